"""SARIMA: the filter and the likelihood against statsmodels, one pass for all origins, odd series, what is stored."""

from __future__ import annotations

import warnings

import numpy as np
import polars as pl
import pytest
from statsmodels.tsa.statespace.sarimax import SARIMAX

from hwds.compiled import compiled
from hwds.context import Context
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.models.forecast.sarima import Sarima
from hwds.models.forecast.sarima_differences import decompose, differences
from hwds.models.forecast.sarima_filter import project
from hwds.models.forecast.sarima_fitting import EXACT, FILTERED, minimise
from hwds.models.forecast.sarima_polynomials import Form, desk, lags_of, lost_by, near_edge
from tests.toys import monthly_panel

CONTEXT = Context(0, levels=(0.1, 0.5, 0.9), season=12, horizon=6)
FORM = Form(1, 1, 1, 1, 1, 1, 12, 0)
FREE = np.array([0.3, -0.2, 0.25, 0.8])
# one lag a factor: an AR coefficient is the tangent, a MA coefficient its opposite
COEFFICIENTS = np.tanh(FREE) * [1, -1, 1, -1]


def walk(rows=100, seed=0):
    rng = np.random.default_rng(seed)
    return 50 + np.cumsum(rng.normal(0, 1, rows)) + 5 * np.sin(2 * np.pi * np.arange(rows) / 12)


def panel_of(series, every="1i"):
    tables = [
        pl.DataFrame({"series_id": f"s{i:02}", "time": np.arange(len(y)), "target": pl.Series(np.asarray(y, float))})
        for i, y in enumerate(series)
    ]
    table = pl.concat(tables).with_columns(pl.col("target").fill_nan(None))
    return Panel.build(table, Frequency(every), season=12)


def after(panel, steps):
    ends = panel.lengths
    tables = [
        pl.DataFrame(
            {"series_id": name, "time": np.arange(n, n + steps), "target": pl.Series([None] * steps, dtype=pl.Float64)}
        )
        for name, n in zip(panel.series_ids, ends, strict=True)
    ]
    return Panel.build(pl.concat(tables), panel.frequency, season=12)


class At:
    def __init__(self, back):
        self.back = back

    def ends(self, panel):
        return panel.lengths - self.back


def statsmodels_of(values, **options):
    return SARIMAX(values, order=(1, 1, 1), seasonal_order=(1, 1, 1, 12), **options)


def test_forecasts_and_variances_from_every_origin_are_those_of_statsmodels():
    values, ends = walk(), np.arange(80, 101, 4)
    mean, variance = np.empty((2, len(ends), 6))
    scratch = desk(lags_of(FORM), lost_by(FORM), 4, len(values), 6)
    compiled(project)(FORM, FREE, values, ends, mean, variance, scratch)
    for k, end in enumerate(ends):
        # `append` filters a longer series likewise, but forgets that the start is exactly diffuse
        wanted = statsmodels_of(values[:end], use_exact_diffuse=True).filter(np.r_[COEFFICIENTS, 1.0]).get_forecast(6)
        np.testing.assert_allclose(mean[k], wanted.predicted_mean, rtol=1e-8)
        np.testing.assert_allclose(variance[k], wanted.var_pred_mean, rtol=1e-8)


def test_the_exact_likelihood_is_that_of_statsmodels_and_so_is_the_filters():
    values = walk()
    work = np.diff(values[12:] - values[:-12])
    scratch = desk(lags_of(FORM), lost_by(FORM), 4, len(values))
    run, none = compiled(minimise), np.zeros((len(values), 0))
    wanted = statsmodels_of(values, simple_differencing=True, concentrate_scale=True).loglike(COEFFICIENTS)
    for way, rows in ((EXACT, work), (FILTERED, values)):
        square = run(way, FORM, rows, none, FREE.copy(), scratch, 1)
        assert -len(work) / 2 * (np.log(2 * np.pi * square) + 1) == pytest.approx(wanted, abs=1e-8)


def test_a_fit_reaches_the_likelihood_that_statsmodels_reaches():
    panel = panel_of([walk()])
    recipe = Sarima(search="fixed", order=(1, 1, 1), seasonal_order=(1, 1, 0))
    fitted = recipe.fit(panel, horizon=6, context=CONTEXT)
    values = walk()
    model = SARIMAX(values, order=(1, 1, 1), seasonal_order=(1, 1, 0, 12), simple_differencing=True, concentrate_scale=True)
    best = model.fit(disp=0, cov_type="none").llf
    assert model.loglike(np.tanh(fitted.free[0]) * [1, -1, 1]) > best - 0.01


def test_roots_near_the_circle_are_told():
    assert near_edge(Form(1, 0, 0, 0, 0, 0, 12, 0), np.arctanh([0.995]), 0.01)
    assert not near_edge(Form(1, 0, 0, 0, 0, 0, 12, 0), np.arctanh([0.98]), 0.01)
    assert near_edge(Form(0, 0, 0, 0, 0, 1, 12, 0), np.arctanh([0.9]), 0.01)


def test_differences_are_found():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=120)
    assert [differences(values, 2) for values in (noise, np.cumsum(noise))] == [0, 1]
    seasonal, rest = decompose(noise / 10 + np.sin(2 * np.pi * np.arange(120) / 12), 12)
    assert np.var(rest) < 0.1 * np.var(seasonal)


def test_one_pass_gives_what_each_cutoff_gives():
    panel = panel_of([walk(seed=0), walk(90, seed=1), np.where(np.arange(100) % 9 == 5, np.nan, walk(seed=2))])
    cutoffs = [At(back) for back in (12, 9, 6)]
    fitted = Sarima().fit(panel.until(cutoffs[0].ends(panel)), horizon=6, context=CONTEXT)
    for cutoff, together in zip(cutoffs, fitted.predict_at(panel, cutoffs, 6), strict=True):
        known = panel.until(cutoff.ends(panel))
        alone = fitted.predict(known, after(known, 6))
        np.testing.assert_allclose(together.mean, alone.mean, rtol=1e-10)
        np.testing.assert_allclose(together.quantiles, alone.quantiles, rtol=1e-10)
        assert not together.fallback.any()


def test_rows_after_an_origin_do_not_matter():
    panel = panel_of([walk()])
    fitted = Sarima().fit(panel.until(np.array([60])), horizon=6, context=CONTEXT)
    spoiled = panel_of([np.r_[walk()[:70], np.full(30, 1e9)]])
    for back in (30, 93):
        honest, tempted = (fitted.predict_at(data, [At(back), At(1)], 6)[0].mean for data in (panel, spoiled))
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
        made = Sarima().fit(panel, horizon=6, context=CONTEXT).predict(panel, after(panel, 6))
    alone = panel_of([walk()])
    np.testing.assert_array_equal(
        made.mean[-1], Sarima().fit(alone, horizon=6, context=CONTEXT).predict(alone, after(alone, 6)).mean[0]
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
    bare = Sarima(covariates=False).fit(known, horizon=6, context=CONTEXT).predict(known, future)
    fitted = Sarima().fit(known, horizon=6, context=CONTEXT)
    assert fitted.weights[:, 1] == pytest.approx([20, 20], abs=4)
    actual = future.target.reshape(2, 6)
    assert np.abs(fitted.predict(known, future).mean - actual).mean() < 0.7 * np.abs(bare.mean - actual).mean()


def test_a_long_season_is_told_by_waves_whose_phase_is_that_of_the_calendar():
    rows = np.arange(200)
    values = 10 * np.sin(2 * np.pi * rows / 52) + np.random.default_rng(0).normal(0, 1, 200)
    panel = panel_of([values])
    fitted = Sarima(season=52).fit(panel, horizon=6, context=CONTEXT)
    made = fitted.predict(panel, after(panel, 6)).mean[0]
    assert np.abs(made - 10 * np.sin(2 * np.pi * np.arange(200, 206) / 52)).max() < 3
    np.testing.assert_allclose(fitted.predict(panel.last(150), after(panel, 6)).mean[0], made, atol=0.2)


def test_what_is_stored_forecasts_the_same(tmp_path):
    panel = panel_of([walk(60), [1.0]])
    fitted = Sarima(search="fixed").fit(panel, horizon=6, context=CONTEXT)
    assert fitted.forms[0].tolist() == [0, 1, 1, 0, 1, 1, 12, 0]
    fitted.save(tmp_path)
    again = type(fitted).load(tmp_path)
    np.testing.assert_array_equal(
        again.predict(panel, after(panel, 6)).quantiles, fitted.predict(panel, after(panel, 6)).quantiles
    )
    assert sum(file.stat().st_size for file in tmp_path.glob("*.*")) < 8_000


@pytest.mark.parametrize("search", ["exact_stepwise", "pmdarima", "statsforecast"])
def test_other_searches_are_fitted_the_same_way(search):
    panel = panel_of([walk(60)])
    pytest.importorskip(search if search != "exact_stepwise" else "numpy")
    recipe = Sarima(search=search, most_ordinary=1, most_seasonal=0, most_total=2)
    made = recipe.fit(panel, horizon=6, context=CONTEXT).predict(panel, after(panel, 6))
    assert np.isfinite(made.quantiles).all()
    assert not made.fallback.any()
