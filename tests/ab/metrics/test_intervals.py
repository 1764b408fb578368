"""Intervals, p-values, bounds, sizes and posteriors of A/B tests against exact figures, scipy and
statsmodels.
"""

from __future__ import annotations

from fractions import Fraction
from math import factorial

import numpy as np
import pytest
from scipy import stats
from scipy.special import xlogy

from hwds.ab.intervals import (
    adjust_p_values,
    crossing_chance,
    equal_looks,
    group_bounds,
    group_p,
    inverted_p,
    mover_bounds,
    pooled_p,
    ratio_check,
    satterthwaite,
    score_bounds,
    sequence_bounds,
    sequence_p,
    sequence_rate,
    t_bounds,
    t_p,
)
from hwds.ab.planning import minimum_effect, power_beyond, units_for_difference, units_for_price
from hwds.stats.distributions import (
    NormalPosterior,
    ScaledBeta,
    difference_bounds,
    expected_loss,
    probability_best,
)
from hwds.stats.estimates import wilson

PEEKING = {
    1: 0.0500,
    2: 0.0831,
    3: 0.1073,
    4: 0.1262,
    5: 0.1417,
    10: 0.1934,
    20: 0.2479,
    50: 0.3205,
    100: 0.3736,
}
CONVERSIONS = {
    (0.05, 0.055): 31_231,
    (0.10, 0.12): 3_838,
    (0.20, 0.25): 1_091,
    (0.02, 0.022): 80_679,
}


def at(value):
    return np.array(float(value))


def test_welch_is_that_of_scipy():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 40), rng.normal(0.6, 3, 25)
    errors = at(b.var(ddof=1) / 25), at(a.var(ddof=1) / 40)
    df = satterthwaite(errors[0], at(25), errors[1], at(40))
    value, stderr = at(b.mean() - a.mean()), np.sqrt(sum(errors))
    told = stats.ttest_ind(b, a, equal_var=False)
    assert t_p(value, stderr, df) == pytest.approx(told.pvalue, rel=1e-12)
    assert t_bounds(value, stderr, df, 0.05) == pytest.approx(
        tuple(told.confidence_interval(0.95)), rel=1e-10
    )


@pytest.mark.parametrize(
    ("x", "n", "y", "m"), [(150, 2400, 120, 2400), (3, 30, 0, 20), (20, 20, 11, 15)]
)
def test_proportions_are_pearsons_chi_square_and_its_interval_is_the_test_inverted(x, n, y, m):
    table = [[x, n - x], [y, m - y]]
    p = pooled_p(at(x / n), at(n), at(y / m), at(m))
    assert p == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue, rel=1e-12)
    for alpha in (0.05, float(p)):
        for bound in score_bounds(at(x / n), at(n), at(y / m), at(m), alpha):
            assert abs(score(x, n, y, m, float(bound))) == pytest.approx(
                stats.norm.isf(alpha / 2), abs=2e-4
            )
    assert min(np.abs(score_bounds(at(x / n), at(n), at(y / m), at(m), float(p)))) < 1e-6


def score(x, n, y, m, shift):
    """The score statistic of a difference, its restricted maximum found by brute force."""
    share = np.linspace(max(0, -shift) + 1e-9, min(1, 1 - shift) - 1e-9, 400_001)
    own = share + shift
    likely = xlogy(y, share) + xlogy(m - y, 1 - share) + xlogy(x, own) + xlogy(n - x, 1 - own)
    best = share[np.argmax(likely)]
    variance = best * (1 - best) / m + (best + shift) * (1 - best - shift) / n
    return (x / n - y / m - shift) / np.sqrt(variance)


def test_wilson_and_newcombe_are_those_of_statsmodels():
    from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

    z = stats.norm.isf(0.025)
    own, other = wilson(at(0.0625), at(2400), z), wilson(at(0.05), at(2400), z)
    assert own == pytest.approx(proportion_confint(150, 2400, method="wilson"), rel=1e-12)
    told = confint_proportions_2indep(150, 2400, 120, 2400, method="newcomb")
    assert mover_bounds(at(0.0625), own, at(0.05), other) == pytest.approx(told, rel=1e-10)


def test_an_inverted_interval_agrees_with_itself():
    value, stderr = np.array([1.0, -2.0, 0.3]), np.array([0.5, 0.6, 0.7])
    found = inverted_p(lambda z: (value - z * stderr, value + z * stderr), value)
    assert found == pytest.approx(2 * stats.norm.sf(np.abs(value / stderr)), rel=1e-9)


@pytest.mark.parametrize(("looks", "rate"), PEEKING.items())
def test_peeking_is_exact(looks, rate):
    assert round(crossing_chance([stats.norm.isf(0.025)] * looks, equal_looks(looks)), 4) == rate


def test_group_bounds_are_those_of_the_tables():
    assert group_bounds("pocock", equal_looks(5), 0.05)[0] == pytest.approx(2.4132, abs=5e-5)
    assert group_bounds("pocock", equal_looks(10), 0.05)[0] == pytest.approx(2.5552, abs=3e-4)
    assert crossing_chance([2.5552] * 10, equal_looks(10)) == pytest.approx(0.05, abs=5e-5)
    assert crossing_chance([2.4132] * 5, equal_looks(5)) == pytest.approx(0.05, abs=5e-5)
    falling = group_bounds("obrien_fleming", equal_looks(5), 0.05)
    assert falling == pytest.approx(
        [4.562, 3.226, 2.634, 2.281, 2.040], abs=6e-4
    )  # Jennison and Turnbull, table 2.3
    assert group_bounds("obrien_fleming", (1.0,), 0.05)[0] == pytest.approx(
        stats.norm.isf(0.025), abs=1e-6
    )


def test_uneven_looks_spend_alpha_too():
    assert crossing_chance(
        group_bounds("pocock", (0.2, 0.9, 1.0), 0.05), (0.2, 0.9, 1.0)
    ) == pytest.approx(0.05, abs=1e-6)


def test_a_repeated_p_value_is_alpha_on_the_bound():
    looks = equal_looks(5)
    for shape in ("pocock", "obrien_fleming"):
        for look, bound in enumerate(group_bounds(shape, looks, 0.05)):
            assert group_p(-bound, look, shape, looks) == pytest.approx(0.05, abs=1e-6)


@pytest.mark.parametrize(
    ("n", "times"), [(1_000, 1.72), (5_000, 1.55), (20_000, 1.60), (100_000, 1.70)]
)
def test_the_sequence_is_as_wide_as_gbstats_makes_it(n, times):
    low, high = sequence_bounds(at(0), at(1), at(n), sequence_rate(5000, 0.05), 0.05)
    assert (high - low) / 2 / stats.norm.isf(0.025) == pytest.approx(times, abs=0.005)


def test_the_sequence_is_narrowest_where_it_is_tuned_for():
    def width(tuned):
        return float(sequence_bounds(at(0), at(1), at(20_000), sequence_rate(tuned, 0.05), 0.05)[1])

    assert width(20_000) < min(width(15_000), width(27_000))


def test_an_always_valid_p_value_is_alpha_where_its_interval_touches_zero():
    rate = sequence_rate(5000, 0.05)
    reach = float(sequence_bounds(at(0), at(0.4), at(3000), rate, 0.05)[1])
    assert sequence_p(at(reach), at(0.4), at(3000), rate) == pytest.approx(0.05, rel=1e-12)
    assert sequence_p(at(0), at(0.4), at(3000), rate) == 1


@pytest.mark.parametrize(("pair", "size"), CONVERSIONS.items())
def test_sizes_for_conversion_are_exact(pair, size):
    assert round(units_for_price(*((1, conversion) for conversion in pair))) == size


def test_a_price_test_needs_elevenfold_units():
    assert round(units_for_price((149, 0.045), (199, 0.036))) == 86_744
    assert round(units_for_price((1, 0.045), (1, 0.036))) == 7_527
    assert round(units_for_price((20, 0.40), (30, 0.28))) == 13_610
    assert round(units_for_price((1, 0.40), (1, 0.28))) == 241


def test_size_power_and_minimum_effect_agree():
    n = units_for_difference(0.3, 2.0, 3.0, alpha=0.02, power=0.9)
    stderr = float(np.sqrt(5 / n))
    assert minimum_effect(stderr, alpha=0.02, power=0.9) == pytest.approx(0.3, rel=1e-12)
    assert power_beyond(0.3 / stderr, stats.norm.isf(0.01)) == pytest.approx(0.9, abs=1e-6)


A, B = ScaledBeta(121, 2281), ScaledBeta(151, 2251)


def beta(a, b):
    return Fraction(factorial(a - 1) * factorial(b - 1), factorial(a + b - 1))


def better(a, b, own_a, own_b):
    """The probability that Beta(own_a, own_b) is above Beta(a, b), in whole numbers (Miller
    2014).
    """
    terms = (beta(a + i, own_b + b) / ((own_b + i) * beta(1 + i, own_b)) for i in range(own_a))
    return sum(terms, Fraction(0)) / beta(a, b)


def test_posteriors_are_exact():
    assert probability_best([A, B])[1] == pytest.approx(
        0.9697666396534417, abs=1e-14
    )  # in rational arithmetic
    assert expected_loss([A, B]) == pytest.approx(
        [0.012567818445975777, 7.822643931466038e-05], abs=1e-15
    )
    small = ScaledBeta(13, 28), ScaledBeta(16, 25)
    assert probability_best(small)[1] == pytest.approx(float(better(13, 28, 16, 25)), abs=1e-14)


@pytest.mark.parametrize(("price", "probability"), [(18, 0.8377319518), (16, 0.4962267323)])
def test_posteriors_of_revenue_are_exact(price, probability):
    arms = [ScaledBeta(121, 2281, 20), ScaledBeta(151, 2251, price)]
    assert probability_best(arms)[1] == pytest.approx(probability, abs=1e-10)


def test_many_arms_and_rare_events():
    arms = [ScaledBeta(1, 1), ScaledBeta(1, 1), ScaledBeta(1, 1)]
    assert probability_best(arms) == pytest.approx([1 / 3] * 3, abs=1e-10)
    assert expected_loss(arms) == pytest.approx([0.25] * 3, abs=1e-10)
    assert sum(
        probability_best([ScaledBeta(1, 5001), ScaledBeta(3, 4999), ScaledBeta(2, 90)])
    ) == pytest.approx(1, abs=1e-9)


def test_the_posterior_of_a_difference():
    low, high = difference_bounds(NormalPosterior(3.0, 0.3), NormalPosterior(1.0, 0.4), 0.95)
    assert (low, high) == pytest.approx((2 - 1.959964 * 0.5, 2 + 1.959964 * 0.5), abs=1e-6)
    rng = np.random.default_rng(0)
    drawn = rng.beta(151, 2251, 400_000) - rng.beta(121, 2281, 400_000)
    assert difference_bounds(B, A, 0.95) == pytest.approx(
        np.quantile(drawn, [0.025, 0.975]), abs=1e-4
    )


def test_the_sample_ratio_is_chi_square():
    check = ratio_check([5000, 5300], [1, 1])
    told = stats.chisquare([5000, 5300])
    assert (check.statistic, check.p_value) == pytest.approx(
        (told.statistic, told.pvalue), rel=1e-12
    )
    assert ratio_check([900, 100], [0.9, 0.1]).p_value == 1
    assert ratio_check([4, 5], [1, 1]).p_value is None


@pytest.mark.parametrize(("ours", "theirs"), [("holm", "holm"), ("bh", "fdr_bh")])
def test_corrections_are_those_of_statsmodels(ours, theirs):
    from statsmodels.stats.multitest import multipletests

    p = np.random.default_rng(0).random(17) ** 3
    assert adjust_p_values(p, ours) == pytest.approx(multipletests(p, method=theirs)[1], rel=1e-12)
    assert adjust_p_values(p, "none") == p.tolist()
    assert adjust_p_values([], ours) == []


def test_the_sample_ratio_alarms_by_chance_in_one_test_of_a_thousand():
    counts = np.random.default_rng(0).multinomial(5000, [0.5, 0.3, 0.2], 20_000)
    alarms = sum(ratio_check(row, [5, 3, 2]).p_value < 0.001 for row in counts)
    assert 8 <= alarms <= 34  # 20 are expected
    assert ratio_check([50_600, 49_400], [1, 1]).p_value < 0.001
