"""SARIMA: the filter and the likelihood against statsmodels, one pass for all origins, odd series,
what is stored.
"""

from __future__ import annotations

import warnings

import numpy as np
import polars as pl
import pytest
from statsmodels.tsa.statespace.sarimax import SARIMAX

from hwds.core.compiling import compiled
from hwds.forecast.arima import decompose_season, expected_square, level_differences
from hwds.forecast.arima_kernels import (
    EXACT,
    FILTERED,
    ArimaForm,
    differencing_rows,
    forecast_from_ends,
    make_scratch,
    minimise,
    near_unit_circle,
    state_length,
)
from hwds.forecast.models.base import ForecastContext
from hwds.forecast.models.sarima import Sarima
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.frames.roles import Roles
from tests.support.panels import monthly_panel

CONTEXT = ForecastContext(0, levels=(0.1, 0.5, 0.9), season=12)
FORM = ArimaForm(1, 1, 1, 1, 1, 1, 12, 0)
FREE = np.array([0.3, -0.2, 0.25, 0.8])
# one lag a factor: an AR coefficient is the tangent, a MA coefficient its opposite
COEFFICIENTS = np.tanh(FREE) * [1, -1, 1, -1]


def walk(rows=100, seed=0):
    rng = np.random.default_rng(seed)
    return 50 + np.cumsum(rng.normal(0, 1, rows)) + 5 * np.sin(2 * np.pi * np.arange(rows) / 12)


def panel_of(series, every="1i"):
    tables = [
        pl.DataFrame(
            {
                "series_id": f"s{i:02}",
                "time": np.arange(len(y)),
                "target": pl.Series(np.asarray(y, float)),
            }
        )
        for i, y in enumerate(series)
    ]
    table = pl.concat(tables).with_columns(pl.col("target").fill_nan(None))
    return Panel.build(table, Frequency(every), season=12)


def after(panel, steps):
    ends = panel.lengths
    tables = [
        pl.DataFrame(
            {
                "series_id": name,
                "time": np.arange(n, n + steps),
                "target": pl.Series([None] * steps, dtype=pl.Float64),
            }
        )
        for name, n in zip(panel.series_ids, ends, strict=True)
    ]
    return Panel.build(pl.concat(tables), panel.frequency, season=12)


def statsmodels_of(values, **options):
    return SARIMAX(values, order=(1, 1, 1), seasonal_order=(1, 1, 1, 12), **options)


def projected(form, free, values, ends):
    mean, variance = np.empty((2, len(ends), 6))
    scratch = make_scratch(state_length(form), differencing_rows(form), 4, len(values), 6)
    compiled(forecast_from_ends)(form, free, values, ends, mean, variance, scratch)
    return mean, variance


def test_forecasts_and_variances_from_every_origin_are_those_of_append_from_an_exactly_diffuse_start():
    values, ends = walk(), np.arange(80, 101, 4)
    mean, variance = projected(FORM, FREE, values, ends)
    fitted = statsmodels_of(values[:80], use_exact_diffuse=True).filter(np.r_[COEFFICIENTS, 1.0])
    for k, end in enumerate(ends):
        # a bare `append` forgets how its model starts
        longer = fitted.append(values[80:end], copy_initialization=True) if end > 80 else fitted
        wanted = longer.get_forecast(6)
        np.testing.assert_allclose(mean[k], wanted.predicted_mean, rtol=1e-8)
        np.testing.assert_allclose(variance[k], wanted.var_pred_mean, rtol=1e-8)


def test_a_bare_append_gives_the_same_where_nothing_is_differenced_and_nearly_so_where_its_start_is_only_vague():
    values, form = walk(), FORM._replace(d=0, seasonal_d=0)
    plain = SARIMAX(values[:80], order=(1, 0, 1), seasonal_order=(1, 0, 1, 12)).filter(
        np.r_[COEFFICIENTS, 1.0]
    )
    np.testing.assert_allclose(
        projected(form, FREE, values, np.array([100]))[0][0],
        plain.append(values[80:]).forecast(6),
        rtol=1e-8,
    )
    # a variance of 1e6 stands for an unknown start there: the two agree to what that costs
    vague = statsmodels_of(values[:80]).filter(np.r_[COEFFICIENTS, 1.0])
    np.testing.assert_allclose(
        projected(FORM, FREE, values, np.array([100]))[0][0],
        vague.append(values[80:]).forecast(6),
        rtol=1e-6,
    )


def test_the_exact_likelihood_is_that_of_statsmodels_and_so_is_the_filters():
    values = walk()
    work = np.diff(values[12:] - values[:-12])
    scratch = make_scratch(state_length(FORM), differencing_rows(FORM), 4, len(values))
    run, none = compiled(minimise), np.zeros((len(values), 0))
    wanted = statsmodels_of(values, simple_differencing=True, concentrate_scale=True).loglike(
        COEFFICIENTS
    )
    for objective, rows in ((EXACT, work), (FILTERED, values)):
        square = run(objective, FORM, rows, none, FREE.copy(), scratch, 1)
        assert -len(work) / 2 * (np.log(2 * np.pi * square) + 1) == pytest.approx(wanted, abs=1e-8)


def test_a_fit_reaches_the_likelihood_that_statsmodels_reaches():
    panel = panel_of([walk()])
    recipe = Sarima(search="fixed", order=(1, 1, 1), seasonal_order=(1, 1, 0))
    fitted = recipe.learn(panel, horizon=6, context=CONTEXT)
    values = walk()
    model = SARIMAX(
        values,
        order=(1, 1, 1),
        seasonal_order=(1, 1, 0, 12),
        simple_differencing=True,
        concentrate_scale=True,
    )
    best = model.fit(disp=0, cov_type="none").llf
    assert model.loglike(np.tanh(fitted.free[0]) * [1, -1, 1]) > best - 0.01


def test_roots_near_the_circle_are_told():
    assert near_unit_circle(ArimaForm(1, 0, 0, 0, 0, 0, 12, 0), np.arctanh([0.995]), 0.01)
    assert not near_unit_circle(ArimaForm(1, 0, 0, 0, 0, 0, 12, 0), np.arctanh([0.98]), 0.01)
    assert near_unit_circle(ArimaForm(0, 0, 0, 0, 0, 1, 12, 0), np.arctanh([0.9]), 0.01)


def test_differences_are_found():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=120)
    assert [level_differences(values, 2) for values in (noise, np.cumsum(noise))] == [0, 1]
    seasonal, rest = decompose_season(noise / 10 + np.sin(2 * np.pi * np.arange(120) / 12), 12)
    assert np.var(rest) < 0.1 * np.var(seasonal)


def test_one_pass_gives_what_each_cutoff_gives():
    panel = panel_of(
        [walk(seed=0), walk(90, seed=1), np.where(np.arange(100) % 9 == 5, np.nan, walk(seed=2))]
    )
    ends = panel.lengths[:, None] - np.array([6, 12, 9])
    ends[1] = [84, 0, 60]  # in any order, and not asked at one of them
    fitted = Sarima().learn(panel.until(panel.lengths - 12), horizon=6, context=CONTEXT)
    for column, together in zip(ends.T, fitted.predict_at(panel, ends, 6), strict=True):
        known = panel.until(column)
        alone = fitted.predict(known, after(known, 6))
        np.testing.assert_array_equal(together.mean, alone.mean)
        np.testing.assert_array_equal(together.quantiles, alone.quantiles)
        assert not together.fallback.any()


def test_rows_after_an_origin_do_not_matter():
    panel = panel_of([walk()])
    fitted = Sarima().learn(panel.until(np.array([60])), horizon=6, context=CONTEXT)
    spoiled = panel_of([np.r_[walk()[:70], np.full(30, 1e9)]])
    for back in (30, 93):
        ends = np.array([[100 - back, 99]])
        honest, tempted = (fitted.predict_at(data, ends, 6)[0].mean for data in (panel, spoiled))
        np.testing.assert_array_equal(honest, tempted)


def test_odd_series_get_a_forecast_without_a_warning_and_cost_the_others_nothing():
    rng = np.random.default_rng(0)
    holes = np.where(rng.random(60) < 0.9, np.nan, 5.0 + rng.random(60))
    odd = [
        np.full(40, 7.0),
        np.zeros(40),
        [3.0],
        1e12 + 1e10 * walk(60),
        -walk(60),
        holes,
        np.arange(40.0),
        np.tile(np.arange(12.0), 5),
        np.full(5, np.nan),
        [1.0, 2.0, 4.0],
        rng.poisson(0.2, 60),
        walk(),
    ]
    panel = panel_of(odd)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = Sarima().learn(panel, horizon=6, context=CONTEXT).predict(panel, after(panel, 6))
    alone = panel_of([walk()])
    np.testing.assert_array_equal(
        made.mean[-1],
        Sarima().learn(alone, horizon=6, context=CONTEXT).predict(alone, after(alone, 6)).mean[0],
    )
    assert np.flatnonzero(made.fallback).tolist() == [2, 8]
    assert np.isfinite(np.delete(made.quantiles, 8, 0)).all()
    np.testing.assert_allclose(made.mean[0], 7.0, rtol=1e-9)
    np.testing.assert_allclose(made.mean[1], 0.0, atol=1e-9)
    np.testing.assert_allclose(made.mean[6], np.arange(40.0, 46.0), rtol=1e-6)
    np.testing.assert_allclose(made.mean[7], np.arange(6.0), atol=1e-6)


def test_known_future_columns_are_regressors():
    panel = monthly_panel(n_series=2, months=72)
    known = panel.until(panel.lengths - 6)
    future = panel.last(6)
    bare = Sarima(covariates=False).learn(known, horizon=6, context=CONTEXT).predict(known, future)
    fitted = Sarima().learn(known, horizon=6, context=CONTEXT)
    assert fitted.weights[:, 1] == pytest.approx([20, 20], abs=4)
    actual = future.target.reshape(2, 6)
    assert (
        np.abs(fitted.predict(known, future).mean - actual).mean()
        < 0.7 * np.abs(bare.mean - actual).mean()
    )


def with_columns(panel, columns):
    """The panel with known-future columns."""
    table = panel.table.with_columns(pl.Series(name, values) for name, values in columns.items())
    return Panel.build(
        table, panel.frequency, roles=Roles(known_future=tuple(columns)), season=panel.season
    )


def test_pulses_and_levels_are_found_and_a_column_that_tells_nothing_is_left_out():
    rng, rows = np.random.default_rng(3), np.arange(106)
    promotion, launched, idle = rows % 9 == 4, rows >= 70, rng.normal(size=106)
    values = walk(106) + 12.0 * promotion - 20.0 * launched
    columns = {
        "promotion": promotion.astype(float),
        "again": promotion.astype(float),
        "launched": launched.astype(float),
    }
    panel = with_columns(panel_of([values]), columns | {"idle": idle, "never": np.zeros(106)})
    known = panel.until(np.array([100]))
    fitted = Sarima().learn(known, horizon=6, context=CONTEXT)
    (promoted, again, level, useless, never) = fitted.weights[0, 1:]
    assert promoted + again == pytest.approx(12, abs=1.5)
    assert promoted * again == 0
    assert level == pytest.approx(-20, abs=3)
    assert useless == never == 0
    made = fitted.predict(known, panel.last(6)).mean[0]
    assert np.abs(made - values[100:]).max() < 8


def test_odd_series_with_columns_cost_the_others_nothing():
    rng = np.random.default_rng(0)
    odd = [
        np.full(36, 7.0),
        np.zeros(36),
        1e12 + 1e10 * walk(36),
        -walk(36),
        np.where(rng.random(36) < 0.9, np.nan, 5.0),
        walk(36),
    ]
    pulse = np.tile(np.arange(36) % 5 == 0, len(odd)).astype(float)
    panel = with_columns(
        panel_of(odd),
        {"pulse": pulse, "trend": np.tile(np.arange(36.0), len(odd)), "nothing": 0 * pulse},
    )
    known, future = panel.until(panel.lengths - 6), panel.last(6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = Sarima().learn(known, horizon=6, context=CONTEXT).predict(known, future)
    assert np.isfinite(made.quantiles).all()
    np.testing.assert_allclose(made.mean[:2], [[7.0] * 6, [0.0] * 6], atol=1e-6)
    assert not made.fallback[[0, 1, 2, 3, 5]].any()


def test_twenty_thousand_rows_are_fitted_and_kept_in_a_few_kilobytes(tmp_path):
    rng = np.random.default_rng(0)
    panel = panel_of([rng.normal(0, 1, 20_000).cumsum()])
    fitted = Sarima(most_ordinary=1, most_seasonal=0).learn(panel, horizon=6, context=CONTEXT)
    last = Sarima(most_ordinary=1, most_seasonal=0).learn(
        panel.last(2_500), horizon=6, context=CONTEXT
    )
    np.testing.assert_array_equal(fitted.free, last.free)
    made = fitted.predict(panel, after(panel, 6))
    assert not made.fallback.any()
    assert np.abs(made.mean[0] - panel.series(0)[-1]).max() < 5
    fitted.save(tmp_path)
    assert sum(file.stat().st_size for file in tmp_path.glob("*.*")) < 8_000


def test_the_spread_counts_what_was_chosen():
    assert expected_square(90.0, 90, 0) == 1.0
    assert expected_square(90.0, 90, 10) == pytest.approx(
        100 / 80
    )  # Akaike's final prediction error
    assert np.isfinite(expected_square(1.0, 2, 6))
    rng = np.random.default_rng(1)
    panel = panel_of(rng.normal(0, 1, (300, 31)))
    known = panel.until(panel.lengths - 1)
    given, found = (
        recipe.learn(known, horizon=1, context=CONTEXT).predict(known, panel.last(1))
        for recipe in (
            Sarima(search="fixed", order=(1, 0, 0), seasonal_order=(0, 0, 0), constant=True),
            Sarima(),
        )
    )
    actual = panel.last(1).target
    for made, low in ((given, 0.75), (found, 0.74)):
        inside = (made.quantiles[:, 0, 0] < actual) & (actual < made.quantiles[:, 0, 2])
        assert low < inside.mean() < 0.87


def test_a_long_season_is_told_by_waves_whose_phase_is_that_of_the_calendar():
    rows = np.arange(200)
    values = 10 * np.sin(2 * np.pi * rows / 52) + np.random.default_rng(0).normal(0, 1, 200)
    panel = panel_of([values])
    fitted = Sarima(season=52).learn(panel, horizon=6, context=CONTEXT)
    made = fitted.predict(panel, after(panel, 6)).mean[0]
    assert np.abs(made - 10 * np.sin(2 * np.pi * np.arange(200, 206) / 52)).max() < 3
    np.testing.assert_allclose(
        fitted.predict(panel.last(150), after(panel, 6)).mean[0], made, atol=0.2
    )


def test_what_is_stored_forecasts_the_same(tmp_path):
    panel = panel_of([walk(60), [1.0]])
    fitted = Sarima(search="fixed").learn(panel, horizon=6, context=CONTEXT)
    assert fitted.forms[0].tolist() == [0, 1, 1, 0, 1, 1, 12, 0]
    fitted.save(tmp_path)
    again = type(fitted).load(tmp_path)
    np.testing.assert_array_equal(
        again.predict(panel, after(panel, 6)).quantiles,
        fitted.predict(panel, after(panel, 6)).quantiles,
    )
    assert sum(file.stat().st_size for file in tmp_path.glob("*.*")) < 8_000


def test_the_quicker_search_is_fitted_the_same_way():
    panel = panel_of([walk(60)])
    recipe = Sarima(search="css_stepwise", most_ordinary=1, most_seasonal=0, most_total=2)
    made = recipe.learn(panel, horizon=6, context=CONTEXT).predict(panel, after(panel, 6))
    assert np.isfinite(made.quantiles).all()
    assert not made.fallback.any()


def test_part_of_a_long_season_is_no_wave_of_which_the_rest_would_follow():
    rng, season = np.random.default_rng(3), 52
    panel = panel_of(
        [
            100 * np.minimum(np.arange(1, n + 1) / 8, 1) + rng.normal(0, 5, n)
            for n in (12, 20, 30, 45, 80, 103)
        ]
    )
    fitted = Sarima(season=season).learn(panel, horizon=8, context=CONTEXT)
    assert not fitted.weights[:, 1:].any()
    assert np.abs(fitted.predict(panel, after(panel, 8)).mean - 100).max() < 25
    two = panel_of(
        [
            100
            + 20 * np.sin(2 * np.pi * np.arange(2 * season) / season)
            + rng.normal(0, 5, 2 * season)
        ]
    )
    assert Sarima(season=season).learn(two, horizon=8, context=CONTEXT).weights[:, 1:].any()


def test_a_few_values_are_forecast_by_their_mean_not_by_nothing():
    panel = panel_of(
        [[140.0, 189.0, 209.0], [113.0, 79.0, 52.0, 103.0], [88.0, 62.0, 45.0, 70.0, 60.0]]
    )
    made = Sarima().learn(panel, horizon=6, context=CONTEXT).predict(panel, after(panel, 6))
    means = [np.mean(panel.series(i)) for i in range(3)]
    np.testing.assert_allclose(made.mean, np.repeat(means, 6).reshape(3, 6), rtol=1e-6)
    assert not made.fallback.any()
