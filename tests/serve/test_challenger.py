"""Champion against challenger on captured answers: paired where both answered the same, and by
units where they did not.
"""

from dataclasses import replace

import numpy as np
import pytest

from hwds.core.errors import DataError
from hwds.serve.bundle.reference import log_losses
from hwds.serve.monitor.retraining import judge_arms
from hwds.serve.monitor.watch import Captured
from hwds.stats.estimates import influence_effect

N, DAYS = 1200, 40


def world(seed, noise):
    """Labels, and the answers of a champion and of a challenger whose log odds are off by
    `noise`.
    """
    rng = np.random.default_rng(seed)
    odds = rng.normal(size=N)
    labels = {
        f"u{place}": float(hit) for place, hit in enumerate(rng.random(N) < 1 / (1 + np.exp(-odds)))
    }
    chances = [1 / (1 + np.exp(-(odds + rng.normal(0, size, N)))) for size in (1.0, noise)]
    days = [
        f"2026-02-{1 + place % DAYS:02d}T00:00:00Z"
        if place % DAYS < 28
        else f"2026-03-{place % DAYS - 27:02d}T00:00:00Z"
        for place in range(N)
    ]
    arms = [
        [
            Captured(at, {}, {"id": f"u{place}", "probability": float(p)}, f"r{place}")
            for place, (at, p) in enumerate(zip(days, of, strict=True))
        ]
        for of in chances
    ]
    return labels, *arms


def test_a_better_shadow_is_better_and_its_interval_that_of_paired_losses():
    labels, champion, challenger = world(0, 0.2)
    found = judge_arms(champion, challenger, labels)
    assert found.paired
    assert found.low > 0
    assert "the challenger is better" in found.sentence
    label = np.array(list(labels.values()))
    first, second = (
        log_losses(np.array([each.answer["probability"] for each in arm]), label)
        for arm in (champion, challenger)
    )
    difference = first - second
    days = np.unique([each.at[:10] for each in champion], return_inverse=True)[1]
    plain = influence_effect(
        difference.mean(),
        (difference - difference.mean()) / N,
        ("unit", np.arange(N)),
        ("day", days),
        "over units and days",
    )
    assert found.effect == pytest.approx(plain.value)
    assert (found.high - found.low) < 2.2 * np.diff(plain.interval(0.95))[0]


def test_a_shadow_is_compared_on_what_main_has_answered_too():
    labels, champion, challenger = world(3, 0.2)
    found = judge_arms(champion[: N // 2], challenger, labels)
    assert found.paired
    assert found.rows == (N // 2, N // 2)
    assert found.effect == pytest.approx(
        judge_arms(champion[: N // 2], challenger[: N // 2], labels).effect
    )


def test_alike_arms_cannot_be_told_apart():
    hits = 0
    for seed in range(20):
        labels, champion, challenger = world(seed, 1.0)
        found = judge_arms(champion, challenger, labels)
        hits += not found.low <= 0 <= found.high
    assert hits <= 3


def test_a_canary_is_compared_by_units_of_its_own():
    labels, champion, challenger = world(1, 0.2)
    found = judge_arms(champion[::2], challenger[1::2], labels)
    assert not found.paired
    assert found.rows == (
        N // 2 - N // DAYS,
        N // 2,
    )  # the first day is before the first of the challenger
    paired = judge_arms(champion, challenger, labels)
    assert found.high - found.low > paired.high - paired.low


def test_without_labels_or_days_nothing_is_said():
    labels, champion, challenger = world(2, 0.2)
    with pytest.raises(DataError, match="no answer of the champion has a label"):
        judge_arms(champion, challenger, {})
    one_day = [
        [each for each in arm if each.at.startswith("2026-02-01")] for arm in (champion, challenger)
    ]
    found = judge_arms(*one_day, labels)
    assert found.low is None
    assert "cannot tell" in found.sentence


def test_days_before_a_canary_are_not_compared_with_its_own():
    labels, champion, challenger = world(5, 1.0)
    early = [
        Captured(f"2025{each.at[4:]}", {}, {"id": f"early {at}", "probability": 0.5})
        for at, each in enumerate(champion)
    ]
    known = labels | {f"early {place}": 1.0 for place in range(N)}
    own = [
        replace(each, answer=each.answer | {"id": f"c{place}"})
        for place, each in enumerate(challenger)
    ]
    known |= {f"c{place}": labels[f"u{place}"] for place in range(N)}
    alone, after_early = (
        judge_arms(champion, own, known),
        judge_arms([*early, *champion], own, known),
    )
    assert not alone.paired
    assert after_early == alone
