"""Retraining: proposed where the world has changed and enough labels say so, not where it is as it
was, and said in words.
"""

import re
from dataclasses import replace

import numpy as np
import pytest

from hwds.cli.main import dispatch
from hwds.core.errors import DataError
from hwds.serve.monitor.retraining import _recipe, propose_refit
from hwds.serve.monitor.watch import Captured
from hwds.serve.server.records import HIDDEN
from tests.serve.test_server import ROW

N, DAYS = 1200, 30


def world(bundle, seed, change):
    """Captured answers and labels.

    After a third of the rows the true log odds turn with `visits`.
    """
    rng = np.random.default_rng(seed)
    spent, quantity, visits = rng.lognormal(4, 0.5, N), rng.integers(1, 12, N), rng.normal(size=N)
    values = zip(spent, quantity, visits, strict=True)
    questions = [
        ROW | {"id": f"q{place}", "spent": float(s), "quantity": int(q), "visits": float(v)}
        for place, (s, q, v) in enumerate(values)
    ]
    answers = bundle.service().answer(questions)
    served = np.array([answer["probability"] for answer in answers])
    place = np.arange(N)
    odds = np.log(served / (1 - served)) + np.where(place >= N // 3, change * visits, 0)
    labels = rng.random(N) < 1 / (1 + np.exp(-odds))
    days = np.datetime64("2026-01-01") + place * DAYS // N
    captured = [
        Captured(f"{day}T00:00:00Z", *pair)
        for day, *pair in zip(days, questions, answers, strict=True)
    ]
    return captured, {f"q{at}": float(hit) for at, hit in enumerate(labels)}


def test_a_refit_is_proposed_where_the_world_has_changed(bundle):
    proposal = propose_refit(bundle, *world(bundle, 1, 3.0))
    assert proposal.low > 0
    assert proposal.sentence.startswith("Retraining is proposed: log loss ")
    assert proposal.rows == N // 2
    assert proposal.losses[0] - proposal.losses[1] == pytest.approx(proposal.gain)


def test_no_refit_is_proposed_where_the_serving_model_is_the_truth(bundle):
    lows = [propose_refit(bundle, *world(bundle, seed, 0.0)).low for seed in (1, 2, 3)]
    assert max(lows) <= 0


def test_rows_that_labels_have_not_reached_are_not_learned_from(bundle):
    captured, labels = world(bundle, 1, 3.0)
    half = {name: label for name, label in labels.items() if int(name[1:]) % 2}
    assert propose_refit(bundle, captured, half) == propose_refit(bundle, captured[1::2], half)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda captured, labels: (captured, dict(list(labels.items())[:100])),
            "of a label; 20 are needed",
        ),
        (
            lambda captured, labels: (
                [replace(each, bundle="another") for each in captured],
                labels,
            ),
            "of 0 labelled rows",
        ),
        (
            lambda captured, labels: (
                [replace(each, question={**each.question, "spent": HIDDEN}) for each in captured],
                labels,
            ),
            "spent",
        ),
    ],
)
def test_what_cannot_be_said_is_said(bundle, change, said):
    proposal = propose_refit(bundle, *change(*world(bundle, 1, 3.0)))
    assert proposal.gain is None
    assert proposal.sentence.startswith("Retraining: its gain cannot be said: ")
    assert said in proposal.sentence


def test_labels_that_come_too_late_are_said(bundle, monkeypatch):
    recipe, context, _ = _recipe(bundle)
    monkeypatch.setattr("hwds.serve.monitor.retraining._recipe", lambda _: (recipe, context, 15))
    said = propose_refit(bundle, *world(bundle, 1, 3.0)).sentence
    assert re.search(
        r"of 40 labels that had arrived by the refit of 2026-01-16, 15 days after them, \d+ are "
        r"of a kind; 20",
        said,
    )


def test_no_bundle_is_no_challenger(home, tmp_path):
    trust = ["--trust", str(home / "key.pem.pub")]
    with pytest.raises(DataError, match="NONSENSE"):
        dispatch(
            ["monitor", str(tmp_path / "NONSENSE"), str(tmp_path), "--challenger", "shadow", *trust]
        )
