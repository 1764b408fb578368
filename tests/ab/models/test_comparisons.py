"""Each comparison against an independent way to the same number; coverage of its intervals; an arm
without any success.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from hwds.ab.models.base import EffectEstimator
from hwds.ab.models.bayes import Bayes
from hwds.ab.models.cuped import Cuped
from hwds.ab.models.proportions import Proportions
from hwds.ab.models.ratio import Ratio
from hwds.ab.models.revenue import Revenue
from hwds.ab.models.stratified import Stratified
from hwds.ab.models.welch import Welch
from hwds.ab.sample import NONZERO, Design, Sample, SampleArm, SampleRoles, UnitMoments
from hwds.core.errors import ConfigError
from hwds.stats.estimates import wilson


def arm(name, *columns, price=None, strata=None):
    return SampleArm(name, UnitMoments.of(np.column_stack(columns)), strata, price)


def one(model, own, control, metric="effect", rule="fixed"):
    found = model.compare(Sample("", (control, own)), Design())
    return next(each for each in found if each.metric == metric and each.rule == rule)


def counts(successes, n, price=1.0, name="B"):
    outcome = np.repeat([price, 0.0], [successes, n - successes])
    return arm(name, outcome, price=price)


def test_welch_is_that_of_scipy():
    rng = np.random.default_rng(1)
    a, b = rng.exponential(1, 300), rng.exponential(1.4, 200)
    found = one(Welch(), arm("B", b), arm("A", a))
    told = stats.ttest_ind(b, a, equal_var=False)
    assert found.p_value == pytest.approx(told.pvalue, rel=1e-10)
    assert (found.low, found.high) == pytest.approx(tuple(told.confidence_interval()), rel=1e-10)


def test_proportions_are_those_of_statsmodels():
    from statsmodels.stats.proportion import proportions_ztest

    found = one(Proportions(), counts(150, 2400), counts(120, 2400))
    assert found.p_value == pytest.approx(proportions_ztest([150, 120], [2400, 2400])[1], rel=1e-10)
    assert (found.p_value < 0.05) == (found.low > 0)


def test_cuped_with_one_slope_is_the_regression_on_arm_and_covariates():
    import statsmodels.api as sm

    rng = np.random.default_rng(2)
    n = 2000
    treated = rng.random(n) < 0.4
    x = rng.normal(0, 1, (n, 2))
    y = 0.3 * treated + x @ [1.5, -0.7] + rng.normal(0, 1, n)
    own, control = arm("B", y[treated], x[treated]), arm("A", y[~treated], x[~treated])
    told = sm.OLS(y, sm.add_constant(np.column_stack([treated, x]))).fit()
    found, plain = one(Cuped(), own, control), one(Welch(), own, control)
    assert found.value == pytest.approx(told.params[1], rel=1e-10)
    assert found.stderr == pytest.approx(told.bse[1], rel=0.02)
    assert found.stderr < 0.6 * plain.stderr


def test_cuped_without_a_covariate_is_welch_and_says_so():
    rng = np.random.default_rng(3)
    own, control = arm("B", rng.normal(0, 1, 50)), arm("A", rng.normal(0, 1, 60))
    assert one(Cuped(), own, control) == one(Welch(), own, control)
    assert Cuped().needs(SampleRoles()).simpler
    assert not Cuped().needs(SampleRoles({"covariate": ("x",)})).simpler


def test_a_covariate_given_twice_changes_nothing():
    rng = np.random.default_rng(4)
    x, z = rng.normal(0, 1, 400), rng.normal(0, 1, 300)
    own, control = (x + rng.normal(0, 1, 400), x), (z + rng.normal(0, 1, 300), z)
    once = one(Cuped(), arm("B", *own), arm("A", *control))
    twice = one(Cuped(), arm("B", *own, own[1]), arm("A", *control, control[1]))
    assert twice.value == pytest.approx(once.value, rel=1e-8)


def test_ratio_has_the_spread_of_the_bootstrap():
    rng = np.random.default_rng(5)

    def drawn(n, rate):
        sessions = 1 + rng.poisson(2, n)
        return rng.poisson(rate * sessions).astype(float), sessions.astype(float)

    own, control = drawn(900, 0.5), drawn(1100, 0.4)
    found = one(Ratio(denominator="sessions"), arm("B", *own), arm("A", *control))
    assert found.value == pytest.approx(
        own[0].sum() / own[1].sum() - control[0].sum() / control[1].sum()
    )

    def again(pair):
        rows = rng.integers(0, len(pair[0]), (4000, len(pair[0])))
        return pair[0][rows].sum(axis=1) / pair[1][rows].sum(axis=1)

    assert found.stderr == pytest.approx(np.std(again(own) - again(control)), rel=0.05)


def test_stratified_is_the_weighted_sum_by_hand():
    rng = np.random.default_rng(6)
    sizes = {"A": ((0, 50), (5, 200)), "B": ((1, 100), (6, 150))}
    groups = {
        name: [rng.normal(shift, 1, n)[:, None] for shift, n in pairs]
        for name, pairs in sizes.items()
    }
    arms = [
        SampleArm(
            name,
            UnitMoments.of(np.vstack(parts)),
            stacked([UnitMoments.of(part) for part in parts]),
        )
        for name, parts in groups.items()
    ]
    found = one(Stratified(), arms[1], arms[0])
    weights = np.array([150, 350]) / 500
    differences = [b.mean() - a.mean() for a, b in zip(groups["A"], groups["B"], strict=True)]
    errors = [
        a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)
        for a, b in zip(groups["A"], groups["B"], strict=True)
    ]
    assert found.value == pytest.approx(weights @ differences)
    assert found.stderr == pytest.approx(np.sqrt(weights**2 @ errors))
    assert abs(found.value - 1) < abs(one(Welch(), arms[1], arms[0]).value - 1)
    with pytest.raises(
        ConfigError, match=r"dataset.roles.stratum: must be given for 'ab/stratified'"
    ):
        Stratified(name="ab/stratified").needs(SampleRoles())


def stacked(parts):
    return UnitMoments(
        *(np.stack([getattr(part, name) for part in parts]) for name in ("n", "mean", "cov"))
    )


def sold(successes, n, price, name):
    bought = np.repeat([1.0, 0.0], [successes, n - successes])
    return arm(name, price * bought, bought, price=price)


def test_revenue_at_one_price_is_price_times_wilson():
    found = one(Revenue(), sold(36, 1000, 199.0, "B"), sold(45, 1000, 149.0, "A"))
    own, other = (
        [price * bound for bound in wilson(np.array(q), np.array(1000.0), 1.959964)]
        for price, q in ((199, 0.036), (149, 0.045))
    )
    value = 199 * 0.036 - 149 * 0.045
    low = value - np.hypot(199 * 0.036 - own[0], other[1] - 149 * 0.045)
    assert found.value == pytest.approx(value)
    assert found.low == pytest.approx(low, rel=1e-5)
    assert (found.p_value < 0.05) == (found.low > 0 or found.high < 0)


def test_the_two_parts_of_a_revenue_effect_add_up():
    arms = sold(45, 1000, 149.0, "A"), sold(36, 1000, 199.0, "B")
    parts = {each.metric: each.value for each in Revenue().compare(Sample("", arms), Design())}
    assert parts["effect_of_buyers"] < 0 < parts["effect_of_order_value"]
    assert parts["effect_of_buyers"] + parts["effect_of_order_value"] == pytest.approx(
        parts["effect"]
    )
    assert Revenue().needs(SampleRoles()).inputs == (NONZERO,)


@pytest.mark.parametrize(
    "model", [Welch(), Proportions(), Revenue(), Bayes()], ids=lambda model: type(model).__name__
)
def test_an_arm_without_a_success_is_answered(model):
    own = sold(0, 40, 1.0, "B")
    found = model.compare(Sample("", (sold(8, 50, 1.0, "A"), own)), Design())
    effect = next(each for each in found if each.compares)
    assert effect.value < 0
    assert effect.low < effect.value < effect.high


@pytest.mark.parametrize(
    "model", [Welch(rules=("always_valid", "fixed", "group_sequential")), Cuped(), Revenue()]
)
def test_where_nothing_varies_no_interval_is_invented(model):
    found = model.compare(Sample("", (sold(0, 40, 1.0, "A"), sold(0, 50, 1.0, "B"))), Design())
    assert {each.low for each in found} == {None}


@pytest.mark.parametrize("n", [3, 4])
def test_three_units_an_arm_are_never_sure(n):
    control, own = np.array([10.0, 10.1, 9.9, 10.0])[:n], np.array([20.0, 20.1, 19.9, 20.0])[:n]
    findings = Welch(rules=("always_valid", "fixed")).compare(
        Sample("", (arm("A", control), arm("B", own))), Design()
    )
    assert {each.low is None for each in findings} == {n == 3}


@pytest.mark.parametrize("price", [None, 149.0])
@pytest.mark.parametrize("buyers", [1, 2, 3])
def test_revenue_declares_nothing_where_hardly_anybody_buys(buyers, price):
    own, control = (few(np.random.default_rng(seed), buyers / 1000, price) for seed in (10, 11))
    assert Revenue().fixed_wins(own, control, 0.05).mean() < 0.065
    one_buyer = Revenue().compare(
        Sample("", (sold(1, 1000, 149.0, "A"), sold(0, 1000, 149.0, "B"))), Design()
    )[1]
    assert one_buyer.low < 0 < one_buyer.high
    assert one_buyer.p_value > 0.3


def test_an_arm_without_a_buyer_may_have_its_own_dearer_price():
    cheap, dear = (
        one(Revenue(), sold(0, 1000, price, "B"), sold(1, 1000, 149.0, "A")).high
        for price in (100.0, 1490.0)
    )
    assert dear > 5 * cheap > 0


def few(rng, share, price, n=1000, tests=4000):
    """Simulated arms with few buyers, at one price or with amounts of any size."""
    buyers = rng.binomial(n, share, tests)
    amounts = [np.full(k, price) if price else rng.lognormal(3, 0.8, k) for k in buyers]
    sums, squares = (np.array([np.sum(each**power) for each in amounts]) for power in (1, 2))
    mean = np.stack([sums, buyers], axis=1) / n
    cross = np.stack([np.stack([squares, sums], 1), np.stack([sums, buyers], 1)], 1)
    return SampleArm(
        "x",
        UnitMoments(
            np.full(tests, float(n)), mean, (cross - n * mean[:, :, None] * mean[:, None]) / (n - 1)
        ),
        price=price,
    )


@pytest.mark.parametrize(("n", "strata"), [(2, 2), (3, 2), (10, 3)])
def test_few_units_a_stratum_are_no_false_winners(n, strata):
    rng = np.random.default_rng(12)

    def drawn():
        rows = rng.standard_normal((8000, strata, n))
        parts = UnitMoments(
            np.full((8000, strata), float(n)),
            rows.mean(2)[..., None],
            rows.var(2, ddof=1)[..., None, None],
        )
        return SampleArm(
            "x",
            UnitMoments(
                np.full(8000, float(n * strata)), np.zeros((8000, 1)), np.zeros((8000, 1, 1))
            ),
            parts,
        )

    assert Stratified().fixed_wins(drawn(), drawn(), 0.05).mean() < 0.06


@pytest.mark.parametrize(("n", "covariates"), [(10, 5), (20, 10)])
def test_each_slope_costs_a_degree_of_freedom(n, covariates):
    rng = np.random.default_rng(13)

    def drawn():
        rows = rng.standard_normal((8000, n, covariates + 1))
        centred = rows - rows.mean(axis=1, keepdims=True)
        cov = np.einsum("rni,rnj->rij", centred, centred) / (n - 1)
        return SampleArm("x", UnitMoments(np.full(8000, float(n)), rows.mean(axis=1), cov))

    assert 0.04 < Cuped().fixed_wins(drawn(), drawn(), 0.05).mean() < 0.06


def test_cuped_with_as_many_slopes_as_units_says_nothing():
    rng = np.random.default_rng(14)
    own, control = (arm(name, *rng.normal(0, 1, (3, 2))) for name in "BA")
    found = one(Cuped(), own, control)
    assert (found.stderr, found.low, found.p_value) == (None, None, None)


def test_bayes_gives_no_number_where_an_arm_has_not_varied():
    rng = np.random.default_rng(15)
    arms = (
        arm("A", rng.normal(0, 1, 50)),
        arm("B", np.full(50, 2.0)),
        arm("C", rng.normal(0, 1, 50)),
    )
    found = {(each.metric, each.arm): each for each in Bayes().compare(Sample("", arms), Design())}
    still = found["posterior_effect", "B"]
    assert still.value == pytest.approx(2 - arms[0].total.first)
    assert (still.stderr, still.low) == (None, None)
    assert found["probability_better", "B"].value is None
    assert found["probability_better", "C"].value is not None
    assert {
        each.value
        for (metric, _), each in found.items()
        if metric in ("probability_best", "expected_loss")
    } == {None}


def test_none_against_all_is_answered_by_the_score_test():
    found = one(Proportions(), counts(20, 20), counts(0, 20, name="A"))
    assert found.value == 1
    assert found.p_value == pytest.approx(2.54e-10, rel=0.01)
    assert 0.7 < found.low < found.high <= 1
    valid = one(Proportions(), counts(20, 20), counts(0, 20, name="A"), rule="always_valid")
    assert valid.low is None


def many(rng, n, share, price=1.0):
    """4,000 simulated arms at once."""
    mean = rng.binomial(n, share, 4000) / n
    scale = np.array([price, 1.0])
    cov = (mean * (1 - mean) * n / (n - 1))[:, None, None] * np.outer(scale, scale)
    return SampleArm(
        "x", UnitMoments(np.full(4000, float(n)), mean[:, None] * scale, cov), price=price
    )


def coverage(model, own, control, truth):
    """The share of fixed 95 % intervals that hold the truth."""
    low, high = model.fixed_bounds(own, control, 0.05)
    return np.mean((low <= truth) & (truth <= high))


@pytest.mark.parametrize("model", [Welch(), Revenue()], ids=lambda model: type(model).__name__)
def test_fixed_intervals_of_revenue_cover(model):
    rng = np.random.default_rng(7)
    own, control = many(rng, 800, 0.036, 199.0), many(rng, 800, 0.045, 149.0)
    assert 0.93 < coverage(model, own, control, 199 * 0.036 - 149 * 0.045) < 0.97


@pytest.mark.parametrize(
    "model", [Welch(), Proportions(), Revenue()], ids=lambda model: type(model).__name__
)
def test_fixed_intervals_of_conversions_cover(model):
    rng = np.random.default_rng(8)
    assert 0.93 < coverage(model, many(rng, 300, 0.09), many(rng, 250, 0.06), 0.03) < 0.97


def test_revenue_with_amounts_covers_where_they_are_skewed():
    rng = np.random.default_rng(8)

    def spent(n, q, size):
        bought = (rng.random(n) < q).astype(float)
        amount = bought * rng.lognormal(np.log(size), 0.8, n)
        return arm("x", amount, bought)

    truth = (0.10 * 22 - 0.08 * 20) * np.exp(0.8**2 / 2)
    held = 0
    for _ in range(1500):
        low, high = Revenue().fixed_bounds(spent(700, 0.10, 22), spent(700, 0.08, 20), 0.05)
        held += bool(low <= truth <= high)
    assert 0.93 < held / 1500 < 0.97


def test_bayes_gives_probabilities_and_losses_of_all_arms():
    arms = tuple(counts(k, 2400, name=name) for k, name in ((120, "A"), (150, "B"), (140, "C")))
    found = Bayes().compare(Sample("", arms), Design())
    best = [each.value for each in found if each.metric == "probability_best"]
    assert len(best) == 3
    assert sum(best) == pytest.approx(1, abs=1e-10)
    better = next(
        each.value for each in found if each.metric == "probability_better" and each.arm == "B"
    )
    assert better == pytest.approx(0.9697666397, abs=5e-11)


def test_bayes_of_other_outcomes_is_normal():
    rng = np.random.default_rng(9)
    own, control = arm("B", rng.normal(1, 1, 500)), arm("A", rng.normal(0, 2, 500))
    found = one(Bayes(), own, control, metric="posterior_effect", rule="bayes")
    plain = one(Welch(), own, control)
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high), rel=0.01)


def test_only_what_estimates_has_rules():
    assert not issubclass(Bayes, EffectEstimator)
    assert Bayes().rules_used() == ("bayes",)
    assert Welch().rules_used() == ("always_valid", "fixed")


@pytest.mark.parametrize("days", [3, 30])
def test_days_in_common_make_no_false_winners(days):
    """Units are randomised within the day: what happens on it hits both arms, and both variances
    have its part.
    """
    rng, wrong, trials = np.random.default_rng(days), 0, 600
    for _ in range(trials):
        day, treated = rng.integers(0, days, 400), rng.random(400) < 0.5
        outcome = rng.normal(0, 1, days)[day] + rng.normal(0, 1, 400)
        wrong += (
            one(Welch(), arm("B", outcome[treated]), arm("A", outcome[~treated])).p_value < 0.05
        )
    assert wrong / trials <= 0.06 + 2 * (0.05 * 0.95 / trials) ** 0.5
