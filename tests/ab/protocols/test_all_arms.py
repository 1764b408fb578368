"""False winners among all arms of a test: what one comparison's rate grows to, and what the
corrections make of it.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats
from scipy.special import roots_hermitenorm

from hwds.ab.intervals import adjust_p_values
from hwds.ab.models.bayes import Bayes
from hwds.ab.models.proportions import Proportions
from hwds.ab.models.revenue import Revenue
from hwds.ab.models.welch import Welch
from hwds.ab.protocols.ab_test import AbTest
from hwds.ab.sample import Design, SampleArm, UnitMoments
from hwds.ab.simulation import any_wins, winner_rates
from hwds.evaluation.protocol import Cell, RunContext
from hwds.frames.table import Table

CONTEXT, MANY = RunContext(0, "all units"), 20_000


def arms(count, n=20_000, share=0.05, k=1):
    scale = np.array([149.0 if k == 2 else 1.0, 1.0])[:k]
    moments = UnitMoments(
        np.array(float(n)), share * scale, share * (1 - share) * np.outer(scale, scale)
    )
    return tuple(
        SampleArm(f"arm-{place}", moments, price=float(scale[0])) for place in range(count + 1)
    )


def found(model, correction, looks=(1,), count=4, replications=MANY, k=1):
    told = winner_rates(
        model, arms(count, k=k), Design(), looks, replications, CONTEXT, correction=correction
    )
    return {(rate.rule, rate.looks): rate.share for rate in told}


def within(share, exact, replications=MANY):
    return abs(share - exact) < 4 * np.sqrt(exact * (1 - exact) / replications)


def family(bound, count):
    """The chance that any of so many |z| against one control exceeds a bound (Dunnett 1955), arms
    of one size.
    """
    at, weight = roots_hermitenorm(80)
    kept = stats.norm.cdf(at + bound * np.sqrt(2)) - stats.norm.cdf(at - bound * np.sqrt(2))
    return 1 - float(weight @ kept**count) / np.sqrt(2 * np.pi)


@pytest.mark.parametrize("count", [2, 4, 9])
@pytest.mark.parametrize(("correction", "part"), [("none", 1.0), ("holm", None)])
def test_the_rate_is_that_of_arms_that_share_their_control(count, correction, part):
    level = 0.05 * (part or 1 / count)
    exact = family(stats.norm.isf(level / 2), count)
    share = found(Welch(rules=("fixed",)), correction, count=count)["fixed", 1]
    assert within(share, exact), (share, exact)
    assert correction == "holm" or not within(
        share, 1 - 0.95**count
    )  # what controls of their own would give


@pytest.mark.parametrize(
    "model",
    [
        Proportions(rules=("fixed",)),
        Revenue(rules=("fixed",)),
        Welch(rules=("group_sequential",), bounds="pocock"),
        Welch(),
    ],
    ids=["proportions", "revenue", "pocock", "always_valid"],
)
def test_with_holm_a_test_of_four_arms_errs_in_at_most_five_percent(model):
    looks = (1,) if model.rules == ("fixed",) else (10,)
    k = 2 if isinstance(model, Revenue) else 1
    told, plain = (
        found(model, correction, looks, replications=8000, k=k) for correction in ("holm", "none")
    )
    first = model.rules[0], looks[0]
    assert told[first] < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 8000)
    if first[0] != "always_valid":
        assert told[first] > 0.035  # the price of the correction is small
        assert plain[first] > 0.11
    assert plain[first] > 2 * told[first]


def test_an_always_valid_family_holds_after_200_looks():
    told = found(Welch(), "holm", (200,), replications=4000)
    assert told["always_valid", 200] < 0.05
    assert told["fixed", 200] > 0.4  # a fixed interval that is peeked at is beyond the help of Holm


def test_benjamini_and_hochberg_err_no_more_often_where_nothing_is_true():
    holm, bh, none = (
        found(Welch(rules=("fixed",)), how)["fixed", 1] for how in ("holm", "bh", "none")
    )
    assert holm <= bh < 0.05 + 3 * np.sqrt(0.05 * 0.95 / MANY)
    assert bh < 0.5 * none


@pytest.mark.parametrize("correction", ["holm", "bh", "none"])
@pytest.mark.parametrize(
    "model", [Welch(), Proportions(rules=("fixed",)), Welch(rules=("group_sequential",))]
)
def test_a_winner_is_one_by_the_corrected_p_values(model, correction):
    """The same decision as the analysis makes of its p-values, arm by arm, at the look of a small
    test.
    """
    rng, n = np.random.default_rng(1), np.array([4000.0])
    for _ in range(60):
        mean = rng.binomial(4000, 0.05 + 0.012 * rng.random(4) * rng.integers(0, 2, 4)) / 4000
        many = [
            SampleArm(
                f"{i}", UnitMoments(n, m[None, None], (m * (1 - m))[None, None, None]), price=1.0
            )
            for i, m in enumerate(mean)
        ]
        one = [
            SampleArm(arm.name, UnitMoments(n[0], arm.total.mean[0], arm.total.cov[0]), price=1.0)
            for arm in many
        ]
        p = [model._p(model.rules[0], own, one[0], Design()) for own in one[1:]]
        won = any_wins(model, model.rules[0], many[1:], many[0], Design(), correction)
        assert bool(won[0]) == (min(adjust_p_values(p, correction)) <= 0.05)


def test_a_posterior_has_no_correction():
    told = [found(Bayes(), how, replications=1000) for how in ("holm", "none")]
    assert told[0] == told[1]


def test_one_arm_is_the_one_comparison():
    for model in (Welch(), Bayes()):
        told = winner_rates(model, arms(1), Design(), (1, 5), 1000, CONTEXT, correction="holm")
        alone = winner_rates(model, arms(1), Design(), (1, 5), 1000, CONTEXT)
        assert told == alone


def scored(groups, **settings):
    rng = np.random.default_rng(0)
    data = pl.DataFrame({"group": rng.choice(groups, 3000), "visit": rng.integers(0, 2, 3000)})
    frame = Table.build(data, {"arm": ("group",), "outcome": ("visit",)})
    protocol = AbTest(control="A", replications=400, simulated_looks=(1, 5), **settings)
    (fold,) = protocol.split(frame)
    found = protocol.score(
        protocol.evaluate_cell(
            Welch(name="w"), frame, Cell("w", fold, 0, fold.units), RunContext(0, fold.name)
        )
    )
    return found, {measure.name for measure in protocol.measures(frame)}


def test_a_report_of_several_arms_has_both_rates():
    found, known = scored(["A", "B", "C", "D"])
    shares = {
        (s.metric, s.ci_method, s.step): s.value for s in found if "false_positive" in s.metric
    }
    for rule in ("always_valid", "fixed"):
        for looks in (1, 5):
            one = shares["false_positive_rate", rule, looks]
            corrected, plain = (
                shares[f"family_false_positive_rate[{how}]", rule, looks]
                for how in ("holm", "none")
            )
            assert max(one, corrected) <= plain
    name = "family_false_positive_rate[holm, looks=5]"
    assert name in known
    assert (
        shares[name, "always_valid", None]
        == shares["family_false_positive_rate[holm]", "always_valid", 5]
    )
    found, known = scored(["A", "B", "C"], correction="bh")
    assert "family_false_positive_rate[bh, looks=5]" in known & {s.metric for s in found}


def test_a_test_of_two_arms_has_no_family():
    found, known = scored(["A", "B"])
    assert not [name for name in (*known, *(s.metric for s in found)) if name.startswith("family")]
