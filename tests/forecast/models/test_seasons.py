"""The season of a series: what it should be, how it is shrunk, and what theta does of a season that
a test overlooks.
"""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.tsa.seasonal import seasonal_decompose

from hwds.core.seeds import stream
from hwds.forecast.models.theta import Theta
from hwds.forecast.statistical import season_of

SEASON, STEPS = 12, 12
WAVE = 1.0 + 0.3 * np.sin(2 * np.pi * np.arange(SEASON) / SEASON)


def series(noise, years=6, wave=WAVE, growth=2.0):
    level = 100.0 + growth * np.arange(years * SEASON)
    return (
        level
        * np.tile(wave, years)
        * np.exp(stream("noise", years).normal(0, noise, years * SEASON))
    )


def test_factors_are_those_of_the_classical_decomposition_where_they_are_sure():
    values = series(0.001)
    found = season_of(values, SEASON)
    classical = seasonal_decompose(values, model="multiplicative", period=SEASON).seasonal[:SEASON]
    assert found.factors == pytest.approx(classical, rel=1e-4)
    assert found.into(found.out_of(values), 0) == pytest.approx(values, rel=1e-12)


def test_factors_are_drawn_to_none_where_nothing_speaks_for_a_season():
    flat = [
        np.ptp(season_of(series(0.2, years, np.ones(SEASON)), SEASON).factors)
        for years in range(3, 13)
    ]
    whole = [np.ptp(season_of(series(0.2, years), SEASON).factors) for years in range(3, 13)]
    assert np.median(flat) < 0.1
    assert np.median(whole) > 0.5


def test_little_is_kept_of_what_is_no_season_in_two_years_and_a_bit():
    kept = []
    for number in range(60):
        found = season_of(100 + stream("white", number).normal(0, 5, 27), SEASON)
        kept.append(0.0 if found is None else np.std(found.factors))
    assert np.mean(kept) < 0.012  # a season of means alone would have .03


def test_values_that_are_not_positive_have_an_additive_season():
    values = series(0.001) - 150.0
    found = season_of(values, SEASON)
    assert found.additive
    assert found.factors.mean() == pytest.approx(0.0, abs=1e-9)
    assert found.into(np.zeros(3), 13) == pytest.approx(found.factors[1:4])


@pytest.mark.parametrize(("rows", "season"), [(23, 12), (40, 1)])
def test_two_whole_seasons_are_needed(rows, season):
    assert season_of(np.arange(1.0, rows + 1), season) is None


def test_theta_sees_a_smooth_season_beside_a_trend_which_the_library_s_test_overlooks():
    values, future = series(0.02, growth=4.0)[:-STEPS], series(0.0, growth=4.0)[-STEPS:]
    errors = {}
    for seasons in ("shrunken", "tested"):
        mean, quantiles = Theta(seasons=seasons).forecast(values, SEASON, STEPS, (0.1, 0.9))
        errors[seasons] = np.abs(mean - future).mean()
        assert (quantiles[:, 0] < mean).all()
        assert (mean < quantiles[:, 1]).all()
    assert errors["shrunken"] < 0.3 * errors["tested"]
