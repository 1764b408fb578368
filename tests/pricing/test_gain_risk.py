"""The risk of no gain: against closed forms, a search, and the law that makes it always valid."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from scipy import optimize, stats
from scipy.special import betaln

from hwds.core.seeds import stream
from hwds.pricing.arm_evidence import ArmCounts, always_valid_risk, posterior_risk
from hwds.stats.distributions import (
    NormalPosterior,
    ScaledBeta,
    difference_bounds,
    probability_best,
)


def beta_above(a: int, b: int, c: int, d: int) -> float:
    """P(Beta(c, d) > Beta(a, b)) for whole numbers (Evan Miller, Formulas for Bayesian A/B
    testing).
    """
    return sum(
        np.exp(betaln(a + i, b + d) - np.log(d + i) - betaln(1 + i, d) - betaln(a, b))
        for i in range(c)
    )


@pytest.mark.parametrize(
    ("a", "b", "c", "d"), [(1, 1, 1, 1), (3, 9, 5, 7), (121, 2281, 151, 2251), (1, 40, 2, 300)]
)
def test_the_posterior_risk_is_the_closed_form(a, b, c, d):
    assert posterior_risk(ScaledBeta(c, d), ScaledBeta(a, b)) == pytest.approx(
        1 - beta_above(a, b, c, d), abs=1e-9
    )


def test_the_posterior_risk_of_prices_is_that_of_the_reference():
    a, b = ScaledBeta(121, 2281, 20.0), ScaledBeta(151, 2251, 18.0)
    assert 1 - posterior_risk(b, a) == pytest.approx(0.8377319518, abs=1e-10)
    assert probability_best([a, b])[1] == pytest.approx(0.8377319518, abs=1e-10)


def searched(own: ArmCounts, other: ArmCounts) -> float:
    """The p-value by a search among all pairs of conversions without a gain."""

    def logs(arm: ArmCounts, share: float) -> float:
        return float(
            stats.binom.logpmf(arm.successes, arm.successes + arm.failures, share)
        ) + np.log(arm.successes + arm.failures + 1.0)

    top = min(1.0, other.earns / own.earns)
    best = optimize.minimize_scalar(
        lambda x: -logs(own, x) - logs(other, x * own.earns / other.earns),
        bounds=(1e-9, top * (1 - 1e-9)),
        method="bounded",
        options={"xatol": 1e-12},
    )
    return min(1.0, float(np.exp(-best.fun)))


@pytest.mark.parametrize(
    ("own", "other"),
    [
        (ArmCounts(300, 700, 1.0), ArmCounts(200, 800, 1.0)),
        (ArmCounts(250, 750, 20.0), ArmCounts(380, 620, 10.0)),
        (ArmCounts(700, 300, 10.0), ArmCounts(100, 900, 40.0)),
        (ArmCounts(40, 0, 1.0), ArmCounts(2, 38, 1.0)),
    ],
)
def test_the_always_valid_risk_is_the_likeliest_pair_without_a_gain(own, other):
    assert always_valid_risk(own, other) == pytest.approx(searched(own, other), rel=1e-6)


def test_an_arm_that_seems_no_better_has_all_the_risk():
    assert always_valid_risk(ArmCounts(10, 90, 1.0), ArmCounts(10, 90, 1.0)) == 1.0
    assert always_valid_risk(ArmCounts(0, 0, 9.0), ArmCounts(10, 90, 1.0)) == 1.0
    assert always_valid_risk(ArmCounts(5, 5, -1.0), ArmCounts(5, 5, 1.0)) == 1.0
    assert always_valid_risk(ArmCounts(5, 5, 1.0), ArmCounts(5, 5, -1.0)) == 0.0
    assert always_valid_risk(ArmCounts(1, 9, -1.0), ArmCounts(5, 5, -1.0)) == 1.0


def test_the_always_valid_risk_is_exactly_below_its_level_for_a_fixed_size():
    n, share = 30, 0.4
    mass = [comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(n + 1)]
    false = sum(
        mass[i] * mass[j]
        for i in range(n + 1)
        for j in range(n + 1)
        if always_valid_risk(ArmCounts(i, n - i, 1.0), ArmCounts(j, n - j, 1.0)) <= 0.05
    )
    assert 0 < false <= 0.05


def test_the_always_valid_risk_survives_peeking_after_every_customer_of_a_greedy_game():
    rng, false, games = stream(0, "gain_risk"), 0, 300
    for _ in range(games):
        seen = [[0, 0], [0, 0]]
        for _ in range(300):
            shares = [(1 + won) / (2 + won + lost) for won, lost in seen]
            arm = int(shares[1] > shares[0]) if rng.random() > 0.1 else int(rng.integers(2))
            seen[arm][int(rng.random() >= 0.3)] += 1
            if always_valid_risk(ArmCounts(*seen[1], 1.0), ArmCounts(*seen[0], 1.0)) <= 0.2:
                false += 1
                break
    assert false / games <= 0.2


def test_arms_that_are_known_very_unequally_are_integrated_over_both_scales():
    rare, often = ScaledBeta(12, 90), ScaledBeta(50_001, 950_001)
    share = stats.beta(12, 90)
    edges = np.linspace(0.04, 0.06, 20_001)  # fine enough for the narrow one
    mass = np.diff(stats.beta(50_001, 950_001).cdf(edges))
    expected = float(mass @ share.sf((edges[1:] + edges[:-1]) / 2))
    assert probability_best([rare, often]) == pytest.approx([expected, 1 - expected], abs=1e-7)
    wide, narrow = NormalPosterior(0.0, 1.0), NormalPosterior(0.3, 1e-3)
    assert probability_best([wide, narrow])[0] == pytest.approx(
        stats.norm.sf(0.3 / np.hypot(1, 1e-3)), abs=1e-12
    )
    assert sum(probability_best([wide, narrow, NormalPosterior(0.2, 1e-2)])) == pytest.approx(
        1, abs=1e-12
    )
    bounds = 0.3 + stats.norm.ppf([0.025, 0.975]) * np.hypot(1, 1e-3)
    assert difference_bounds(narrow, wide, 0.95) == pytest.approx(bounds, abs=1e-9)
