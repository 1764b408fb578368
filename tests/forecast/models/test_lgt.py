"""The local and global trend: its density, its draws against a truth that is known, what it makes
of growth.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from hwds.forecast import trend_kernels as global_trend
from hwds.forecast.models.lgt import LGT
from hwds.forecast.trend_kernels import FREEDOM, PARAMETERS, STATE, has_posterior, trend_paths

STEPS = 6
LEVELS = (0.1, 0.5, 0.9)


def by_hand(values, growth, place):
    """The density with its priors, written as the model is."""
    logits, scale = place[:5], math.exp(place[5])
    level_pace, trend_pace, power, kept, error_power = stats.logistic.cdf(logits)
    power = -0.5 + 1.5 * power
    density = stats.logistic.logpdf(logits).sum()
    density += (
        stats.halfcauchy.logpdf(scale, scale=growth) + place[5]
    )  # the density of the logarithm
    density += stats.cauchy.logpdf(place[6]) + stats.norm.logpdf(place[7])
    level, trend = values[0], growth * place[7]
    for value in values[1:]:
        mean = level + growth * place[6] * level**power + kept * trend
        density += stats.t.logpdf(value, FREEDOM, loc=mean, scale=scale * level**error_power)
        moved = (1 - level_pace) * level + level_pace * value
        level, trend = moved, (1 - trend_pace) * trend + trend_pace * (moved - level)
    return density, level, trend


def test_the_density_is_that_of_the_model_but_for_a_constant():
    rng = np.random.default_rng(0)
    values = np.exp(np.cumsum(rng.normal(0.02, 0.1, 25)))
    values /= values.max()
    apart, states = [], np.empty((1, STATE))
    for place in rng.normal(0, 1, (8, PARAMETERS)):
        density, level, trend = by_hand(values, 0.02, place)
        apart.append(density - global_trend._log_posterior(values, 0.02, place, states, 0))
        np.testing.assert_allclose(states[0, :2], [level, trend])
    np.testing.assert_allclose(apart, apart[0])


def drawn(rng, rows):
    """A series whose parameters are drawn from the prior, and its next rows; its largest value is
    not far from 1.
    """
    while True:
        level_pace, trend_pace, kept, error_power = rng.random(4)
        power, growth, scale = (
            rng.uniform(-0.5, 1),
            0.02 * rng.standard_cauchy(),
            0.02 * abs(rng.standard_cauchy()),
        )
        level, trend, values = 0.5, 0.02 * rng.normal(), [0.5]
        for _ in range(rows + STEPS - 1):
            mean = level + growth * level**power + kept * trend
            values.append(mean + scale * level**error_power * rng.standard_t(FREEDOM))
            moved = (1 - level_pace) * level + level_pace * values[-1]
            level, trend = moved, (1 - trend_pace) * trend + trend_pace * (moved - level)
            if not 0.05 < level < 2 or values[-1] <= 0:
                break
        if len(values) == rows + STEPS and 0.8 < max(values[:rows]) < 1.25:
            return np.array(values)


def test_quantiles_hold_as_often_as_they_say_where_parameters_come_from_the_prior():
    rng = np.random.default_rng(1)
    held = []
    for _ in range(120):
        values = drawn(rng, 24)
        _, quantiles = LGT().forecast(values[:24], 1, STEPS, LEVELS)
        held.append(values[24:, None] <= quantiles)
    shares = np.array(held).mean(0)
    error = np.sqrt(np.array(LEVELS) * (1 - np.array(LEVELS)) / 120)
    assert (np.abs(shares - LEVELS) < 4 * error).all()


def test_growth_goes_on_and_is_less_sure_far_ahead():
    rng = np.random.default_rng(2)
    values = 100 * 1.03 ** np.arange(60) * np.exp(rng.normal(0, 0.02, 60))
    mean, quantiles = LGT().forecast(values, 1, 12, LEVELS)
    np.testing.assert_allclose(mean, 100 * 1.03 ** np.arange(60, 72), rtol=0.06)
    assert (np.diff(quantiles[:, 2] - quantiles[:, 0]) > 0).all()
    season = np.tile([0.8, 1.2, 1.1, 0.9], 15)
    seasonal, _ = LGT().forecast(values * season, 4, 12, LEVELS)
    np.testing.assert_allclose(seasonal, mean * season[:12], rtol=0.06)


@pytest.mark.parametrize("unit", [1.0, 1024.0])
def test_the_same_series_has_the_same_paths_and_another_one_other_chances(unit):
    values = 50 + np.arange(30.0)
    np.testing.assert_array_equal(
        trend_paths(values * unit, 1, STEPS), unit * trend_paths(values, 1, STEPS)
    )
    other = trend_paths(values + 1e-9, 1, STEPS)
    assert np.corrcoef(other[:, 0], trend_paths(values, 1, STEPS)[:, 0])[0, 1] < 0.2


def test_a_series_that_hardly_changes_is_not_answered_for():
    one_step = np.r_[
        np.ones(59), 2.0
    ]  # without a bound of the density paths went to 1, 2 or 8 by chance
    assert not LGT().suits(one_step)
    assert not LGT().suits(
        np.repeat([100, 90, 95, 90, 100, 85, 90.0], 8)
    )  # follows itself in 49 rows of 55
    assert not LGT().suits(1.0 + (np.arange(60) % 10 == 0))  # stays at 1 in 54 rows of 60
    assert has_posterior(
        np.r_[np.ones(7), 2.0]
    )  # six exact rows to one other: s^-6 s^6 has a bound
    assert not has_posterior(np.r_[np.ones(8), 2.0])
    assert LGT().suits(1.0 + np.random.default_rng(0).poisson(0.4, 60))


def test_a_series_that_falls_below_the_least_level_is_not_answered_for():
    assert LGT().suits(1.2 ** -np.arange(60.0))
    assert not LGT().suits(1.5 ** -np.arange(60.0))  # its forecast was 24,512 times its last value


def test_random_numbers_of_a_long_horizon_take_little_memory():
    made = sum(table.nbytes for table in global_trend._random_tables(1_000))
    assert made < 30e6  # 151 MB with as many places as a short one has
    values = 50 + np.random.default_rng(0).normal(0, 1, 30)
    assert trend_paths(values, 1, 1_000).shape == (global_trend.DRAWS, 1_000)
