"""Relative effects: their ends against the definition, against simulation, and beside the
difference.
"""

from __future__ import annotations

import numpy as np
import pytest

from hwds.ab.intervals import critical, fieller_bounds
from hwds.ab.models.bayes import Bayes
from hwds.ab.models.cuped import Cuped
from hwds.ab.models.proportions import Proportions
from hwds.ab.models.ratio import Ratio
from hwds.ab.models.welch import Welch
from hwds.ab.sample import Design, Sample, SampleArm, UnitMoments
from hwds.core.seeds import stream
from hwds.stats.distributions import NormalPosterior, ScaledBeta, ratio_bounds


def arm(name, *columns, price=None):
    return SampleArm(name, UnitMoments.of(np.column_stack(columns)), None, price)


def found(model, own, control, metric, rule):
    numbers = model.compare(Sample("", (control, own)), Design())
    return next(each for each in numbers if each.metric == metric and each.rule == rule)


def spends(name, n, mean):
    """A tenth of all units buys, for amounts with a heavy tail."""
    return (stream(name, n).random(n) < 0.1) * stream(name, n, "amount").lognormal(
        np.log(mean), 1.0, n
    )


def test_the_ends_are_ratios_at_which_the_arms_differ_by_just_so_many_errors():
    own, own_error, other, other_error, z = 1.3, 0.02, 1.1, 0.015, critical(0.05)
    for end in fieller_bounds(
        np.array(own), np.array(own_error), np.array(other), np.array(other_error), z
    ):
        assert abs(own - end * other) / np.sqrt(own_error + end**2 * other_error) == pytest.approx(
            z, rel=1e-12
        )
    assert np.isnan(
        fieller_bounds(np.array(own), np.array(own_error), np.array(0.2), np.array(other_error), z)
    ).all()


@pytest.mark.parametrize("rule", ["always_valid", "fixed", "group_sequential"])
@pytest.mark.parametrize("shift", [1.0, 1.2, 1.4])
def test_a_lift_excludes_zero_where_the_difference_does(rule, shift):
    own, control = arm("B", spends("B", 3000, 20 * shift)), arm("A", spends("A", 2500, 20))
    model = Welch(rules=(rule,))
    effect, lift = (found(model, own, control, metric, rule) for metric in ("effect", "lift"))
    assert lift.value == pytest.approx(effect.value / control.total.first, rel=1e-12)
    assert (lift.low > 0, lift.high < 0) == (effect.low > 0, effect.high < 0)
    assert lift.low < lift.value < lift.high


def test_the_error_is_that_of_the_delta_method():
    a, b = spends("A", 2000, 20), spends("B", 2400, 24)
    lift = found(Welch(), arm("B", b), arm("A", a), "lift", "fixed")
    errors = (
        b.var(ddof=1) / len(b) / a.mean() ** 2,
        b.mean() ** 2 * a.var(ddof=1) / len(a) / a.mean() ** 4,
    )
    assert lift.stderr == pytest.approx(np.sqrt(sum(errors)), rel=1e-10)


def test_cuped_compares_arms_with_the_covariates_of_all_units():
    import statsmodels.api as sm

    rng = stream("cuped", 3)
    treated, x = rng.random(3000) < 0.5, rng.normal(5, 1, 3000)
    y = 2 + 0.5 * treated + x + rng.normal(0, 0.3, 3000)
    control = arm("A", y[~treated], x[~treated])
    lift = found(Cuped(), arm("B", y[treated], x[treated]), control, "lift", "fixed")
    fit = sm.OLS(y, sm.add_constant(np.column_stack([treated, x]))).fit()
    assert lift.value == pytest.approx(
        fit.params[1] / (fit.params[0] + fit.params[2] * x.mean()), rel=1e-3
    )


def test_cuped_covers_large_lifts_where_the_covariate_is_strong():
    rng, held = stream("cuped", 4), 0
    for _ in range(500):
        x = rng.normal(0, 1, 400)
        y = 1 + (np.arange(400) < 200) + 3 * x + rng.normal(0, 1, 400)
        lift = found(
            Cuped(), arm("B", y[:200], x[:200]), arm("A", y[200:], x[200:]), "lift", "fixed"
        )
        held += lift.low is None or lift.low <= 1.0 <= lift.high
    assert held / 500 > 0.93


def test_a_lift_agrees_with_an_interval_of_its_own_kind():
    control, own = (
        arm(name, np.repeat([1.0, 0.0], [k, n - k]), price=1.0)
        for name, k, n in (("A", 50, 2000), ("B", 11, 200))
    )
    effect, lift = (
        found(Proportions(), own, control, metric, "fixed") for metric in ("effect", "lift")
    )
    assert effect.low > 0
    assert lift.low > 0


@pytest.mark.parametrize("model", [Welch(), Proportions()], ids=lambda model: type(model).__name__)
def test_lifts_of_conversions_cover(model):
    rng, n = stream("cover", 8), 4000

    def many(share, units):
        mean = rng.binomial(units, share, n) / units
        return SampleArm(
            "x",
            UnitMoments(
                np.full(n, float(units)), mean[:, None], (mean * (1 - mean))[:, None, None]
            ),
            price=1.0,
        )

    estimate = model.estimate(many(0.055, 6000), many(0.05, 5000))
    low, high = estimate.ratio_bounds(critical(0.05))
    assert 0.94 < np.mean((low <= 1.1) & (high >= 1.1)) < 0.96


def test_a_ratio_metric_has_a_lift_and_a_loss_has_none():
    sessions = stream("sessions", 1).integers(1, 9, 2000).astype(float)
    revenue = sessions * stream("revenue", 1).exponential(3, 2000)
    own, control = (
        arm("B", revenue[:1000] * 1.1, sessions[:1000]),
        arm("A", revenue[1000:], sessions[1000:]),
    )
    lift = found(Ratio(denominator="sessions"), own, control, "lift", "fixed")
    assert lift.low < 0.1 < lift.high
    losses = arm("A", -revenue[1000:], sessions[1000:])
    assert found(Ratio(denominator="sessions"), own, losses, "lift", "fixed").value is None


def test_a_posterior_lift_is_that_of_draws():
    wins = {"A": (120, 2400), "B": (150, 2300)}
    arms = {
        name: arm(name, np.repeat([1.0, 0.0], [k, n - k]), price=1.0)
        for name, (k, n) in wins.items()
    }
    lift = found(Bayes(), arms["B"], arms["A"], "posterior_lift", "bayes")
    drawn = {
        name: stream("draws", name).beta(1 + k, 1 + n - k, 1_000_000)
        for name, (k, n) in wins.items()
    }
    assert (lift.low, lift.high) == pytest.approx(
        tuple(np.quantile(drawn["B"] / drawn["A"] - 1, [0.025, 0.975])), abs=2e-3
    )


def test_a_narrow_posterior_over_a_wide_one_and_one_that_may_be_zero():
    wide, narrow = ScaledBeta(20, 200), NormalPosterior(0.2, 1e-5)
    low, high = ratio_bounds(narrow, wide, 0.95)
    assert (low, high) == pytest.approx(
        (0.2 / wide.quantile(0.975), 0.2 / wide.quantile(0.025)), rel=1e-3
    )
    assert ratio_bounds(narrow, NormalPosterior(1.0, 1.0), 0.95) is None
