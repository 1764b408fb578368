"""What must hold of each rule, by simulation: false winners at a nominal 5 %, power, coverage over
all looks.
"""

from __future__ import annotations

import numpy as np
import pytest

from hwds.ab.intervals import crossing_chance, equal_looks
from hwds.ab.models.bayes import Bayes
from hwds.ab.models.cuped import Cuped
from hwds.ab.models.proportions import Proportions
from hwds.ab.models.revenue import Revenue
from hwds.ab.models.stratified import Stratified
from hwds.ab.models.welch import Welch
from hwds.ab.sample import NONZERO, Design, SampleArm, UnitMoments
from hwds.ab.simulation import winner_rates
from hwds.evaluation.protocol import RunContext

CONTEXT = RunContext(0, "all units")


def conversions(n, share, price=1.0, k=1):
    scale = np.array([price, 1.0])[:k]
    return SampleArm(
        "x",
        UnitMoments(
            np.array(float(n)), share * scale, share * (1 - share) * np.outer(scale, scale)
        ),
        price=price,
    )


def found(model, arm, looks, replications=20_000, **kwargs):
    told = winner_rates(model, (arm, arm), Design(), looks, replications, CONTEXT, **kwargs)
    return {(rate.rule, rate.looks): rate.share for rate in told}


@pytest.mark.parametrize(
    ("model", "k"),
    [
        (Welch(rules=("fixed",)), 1),
        (Proportions(rules=("fixed",)), 1),
        (Revenue(rules=("fixed",)), 2),
    ],
    ids=["welch", "proportions", "revenue"],
)
def test_fixed_errs_in_five_percent_of_tests(model, k):
    told = found(model, conversions(10_000, 0.05, 149.0 if k == 2 else 1.0, k), (1,))
    assert 0.045 < told["fixed", 1] < 0.055


@pytest.mark.parametrize("shape", ["pocock", "obrien_fleming"])
def test_group_sequential_errs_in_five_percent_of_tests(shape):
    told = found(
        Welch(rules=("group_sequential",), bounds=shape), conversions(20_000, 0.05), (1, 5, 10, 50)
    )
    assert all(0.045 < share < 0.055 for share in told.values())


@pytest.mark.parametrize("n", [5_000, 100_000])
def test_always_valid_errs_in_less_than_five_percent_of_tests_after_500_looks(n):
    told = found(Welch(), conversions(n, 0.05), (500,), replications=4000)
    assert told["always_valid", 500] < 0.05
    assert told["fixed", 500] > 0.40


def test_peeking_at_a_fixed_interval_is_as_bad_as_the_exact_recursion_says():
    told = found(Welch(rules=("fixed",)), conversions(40_000, 0.05), (1, 5, 20, 100))
    for (_, looks), share in told.items():
        exact = crossing_chance([1.959964] * looks, equal_looks(looks))
        assert share == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 20_000))


@pytest.mark.parametrize(
    ("level", "known"),
    [
        (0.95, {1: 0.097, 5: 0.253, 10: 0.339, 20: 0.423}),
        (0.975, {1: 0.047, 5: 0.138, 10: 0.188, 20: 0.243}),
    ],
)
def test_peeking_at_a_posterior_is_no_better(level, known):
    for looks, share in known.items():
        told = found(
            Bayes(winner_at=level), conversions(1000 * looks, 0.05), (looks,), replications=10_000
        )
        assert told["bayes", looks] == pytest.approx(share, abs=0.015)


def test_power_is_what_was_planned():
    arm = conversions(31_231, 0.05)
    told = found(Proportions(), arm, (1,), shift=0.005)
    assert told["fixed", 1] == pytest.approx(0.8, abs=0.012)
    assert told["always_valid", 1] < told["fixed", 1]


def test_the_effect_that_is_there_is_covered_at_all_looks():
    """The always-valid sequence holds the true effect at every one of 200 looks in at least 95 % of
    tests.
    """
    rng, n = np.random.default_rng(0), np.arange(1, 201) * 100.0

    def paths(share):
        mean = rng.binomial(100, share, (4000, 200)).cumsum(axis=1) / n
        return SampleArm(
            "x",
            UnitMoments(n, mean[..., None], (mean * (1 - mean) * n / (n - 1))[..., None, None]),
            price=1.0,
        )

    model, design = Welch(), Design(fractions=equal_looks(200))
    own, control = paths(0.06), paths(0.05)
    low, high = model._bounds("always_valid", own, control, [design] * 200)
    assert np.mean(((low <= 0.01) & (high >= 0.01)).all(axis=1)) >= 0.95
    low, high = model.fixed_bounds(own, control, 0.05)
    assert np.mean(((low <= 0.01) & (high >= 0.01)).all(axis=1)) < 0.7
    assert 0.93 < np.mean((low[:, -1] <= 0.01) & (high[:, -1] >= 0.01)) < 0.97


def test_other_outcomes_covariates_and_strata_are_simulated_too():
    cov = np.array([[4.0, 1.5], [1.5, 1.0]])
    total = UnitMoments(np.array(2000.0), np.array([3.0, 0.0]), cov)
    told = found(Cuped(rules=("fixed",)), SampleArm("x", total), (1, 10), replications=6000)
    assert told["fixed", 1] == pytest.approx(0.05, abs=0.012)
    assert told["fixed", 10] == pytest.approx(0.193, abs=0.025)
    strata = UnitMoments(
        np.array([500.0, 1500.0]), np.array([[0.0], [5.0]]), np.array([[[1.0]], [[2.0]]])
    )
    arm = SampleArm("x", UnitMoments(np.array(2000.0), np.array([3.75]), np.array([[6.4]])), strata)
    told = found(Stratified(rules=("fixed",)), arm, (1,), replications=6000)
    assert told["fixed", 1] == pytest.approx(0.05, abs=0.012)


def test_more_replications_keep_those_that_were_there():
    arm = conversions(5_000, 0.05)
    first, both = (
        found(Welch(rules=("fixed",)), arm, (5,), replications=n)["fixed", 5] * n
        for n in (1000, 2000)
    )
    assert first <= both <= first + 1000
    again = winner_rates(Welch(rules=("fixed",)), (arm, arm), Design(), (5,), 1000, CONTEXT)
    assert again[0].wins == round(first)
    assert NONZERO == "(nonzero)"


def test_a_part_of_a_block_is_the_start_of_it():
    arm = conversions(5_000, 0.05)
    wins = [
        round(found(Welch(rules=("fixed",)), arm, (20,), replications=n)["fixed", 20] * n)
        for n in range(460, 501, 4)
    ]
    assert all(0 <= step <= 4 for step in np.diff(wins))
