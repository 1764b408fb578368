"""Forecasters of other libraries: their own answers, refusals, and what is stored of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError
from hwds.core.serialization import load_fitted, save_fitted
from hwds.evaluation.panel_folds import FromEnd, future_of, panel_known_at, series_at
from hwds.forecast.models.base import ForecastContext
from hwds.foreign.models.mlforecast import MLForecast
from hwds.foreign.models.statsforecast import StatsForecast
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.frames.roles import Roles

CONTEXT = ForecastContext(7, levels=(0.1, 0.5, 0.9), season=4)
STEPS = 5
RIDGE = MLForecast(
    estimator="sklearn.linear_model:Ridge", lags=(1, 2, 4), differences=(1,), standardize=False
)


@pytest.fixture(scope="module")
def panel():
    """Three shops with a price that is known ahead and a region; the last has eight rows."""
    rng = np.random.default_rng(3)
    tables = []
    for number, rows in enumerate((60, 50, 8)):
        price = rng.uniform(1, 2, rows)
        wave = 8 * np.sin(np.arange(rows) * np.pi / 2)
        target = 60 + 30 * number + wave - 20 * price + rng.normal(0, 1, rows)
        tables.append(
            pl.DataFrame({"time": np.arange(rows), "target": target, "price": price}).with_columns(
                series_id=pl.lit(f"shop{number}"), region=pl.lit("east" if number else "west")
            )
        )
    table = pl.concat(tables).select("series_id", "time", "target", "price", "region")
    roles = Roles(known_future=("price",), static=("region",))
    return Panel.build(table, Frequency("1i"), roles=roles, season=4)


def asked(panel, back=0):
    """The history of a cutoff, and the rows to forecast."""
    cutoff = FromEnd(back)
    future = future_of(panel, series_at(panel, cutoff), cutoff.ends(panel), STEPS)
    return panel_known_at(panel, cutoff), future


@pytest.mark.parametrize("estimator", ["AutoTheta", "AutoCES", "SeasonalNaive"])
def test_a_model_of_statsforecast_answers_as_the_library_does(panel, estimator):
    import statsforecast.models

    history, future = asked(panel, STEPS)
    made = StatsForecast(estimator=estimator).learn(history, horizon=STEPS, context=CONTEXT)
    answer = made.predict(history, future)
    library = getattr(statsforecast.models, estimator)(season_length=4)
    alone = library.forecast(y=history.series(0), h=STEPS, level=[80])
    np.testing.assert_allclose(answer.mean[0], alone["mean"], rtol=1e-6)
    np.testing.assert_allclose(answer.quantiles[0, :, 0], alone["lo-80"], rtol=1e-6)
    assert answer.fallback.tolist() == [False, False, True]


def test_settings_and_intervals_from_earlier_origins_reach_the_library(panel):
    from statsforecast.models import SimpleExponentialSmoothing as Smoothing

    history, future = asked(panel, STEPS)
    model = StatsForecast(
        estimator="SimpleExponentialSmoothing", settings={"alpha": 0.3}, origins=12
    )
    answer = model.learn(history, horizon=STEPS, context=CONTEXT).predict(history, future)
    alone = Smoothing(alpha=0.3).forecast(y=history.series(0), h=STEPS)["mean"]
    np.testing.assert_allclose(answer.mean[0], alone, rtol=1e-6)
    assert (np.diff(answer.quantiles[:2], axis=-1) > 0).all()


def test_a_regressor_answers_as_mlforecast_does(panel):
    from mlforecast import MLForecast as Library
    from mlforecast.target_transforms import Differences
    from sklearn.linear_model import Ridge

    history, future = asked(panel, STEPS)
    answer = RIDGE.learn(history, horizon=STEPS, context=CONTEXT).predict(history, future)
    rows = history.table.filter(pl.col("series_id") != "shop2").select(
        unique_id="series_id", ds="time", y="target", price="price",
        region=pl.col("region").eq("west").cast(pl.Int32),
    )  # fmt: skip
    ahead = future.table.filter(pl.col("series_id") != "shop2")
    library = Library({"mean": Ridge()}, 1, lags=[1, 2, 4], target_transforms=[Differences([1])])
    alone = library.fit(rows, static_features=["region"]).predict(
        STEPS, X_df=ahead.select(unique_id="series_id", ds="time", price="price")
    )
    np.testing.assert_allclose(answer.mean[:2].ravel(), alone["mean"].to_numpy(), rtol=1e-6)
    assert answer.fallback.tolist() == [False, False, True]


def test_a_regressor_reads_the_price_and_later_rows_and_is_stored_as_its_history(panel, tmp_path):
    history, future = asked(panel, 2 * STEPS)
    model = replace(RIDGE, differences=(), settings={"alpha": 0.01})
    fitted = model.learn(history, horizon=STEPS, context=CONTEXT)
    dear = future.with_table(future.table.with_columns(price=pl.col("price") + 1))
    fall = fitted.predict(history, future).mean[0, 0] - fitted.predict(history, dear).mean[0, 0]
    assert 15 < fall < 25  # 20 in truth
    later = asked(panel, STEPS)
    save_fitted(fitted, tmp_path)
    for past, ahead in ((history, future), later):
        again = load_fitted(tmp_path).predict(past, ahead)
        np.testing.assert_array_equal(again.quantiles, fitted.predict(past, ahead).quantiles)
    assert not np.array_equal(fitted.predict(*later).mean, fitted.predict(history, future).mean)


def test_bands_of_random_walks_hold_as_often_as_they_say():
    walks = np.random.default_rng(0).normal(size=(60, 40)).cumsum(axis=1)
    table = pl.DataFrame(
        {
            "series_id": np.repeat([f"w{i:02d}" for i in range(60)], 40),
            "time": np.tile(np.arange(40), 60),
            "target": walks.ravel(),
        }
    )
    panel = Panel.build(table, Frequency("1i"), season=1)
    history, future = asked(panel, STEPS)
    answer = RIDGE.learn(history, horizon=STEPS, context=CONTEXT).predict(history, future)
    low, _, high = np.moveaxis(answer.quantiles, -1, 0)
    held = (low <= walks[:, -STEPS:]) & (walks[:, -STEPS:] <= high)
    assert 0.7 < held.mean() < 0.9
    assert (high - low).mean(axis=0)[-1] > 1.5 * (high - low).mean(axis=0)[0]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (StatsForecast(estimator="AutoTheto"), "did you mean 'AutoTheta'"),
        (MLForecast(estimator="sklearn.nowhere:Ridge"), "cannot be imported"),
        (MLForecast(estimator="tests.foreign.models.test_forecasters:Panel"), "installed library"),
    ],
)
def test_what_is_no_class_of_an_installed_library_is_refused(panel, model, said):
    history, future = asked(panel, STEPS)
    with pytest.raises(ConfigError, match=said):
        model.learn(history, horizon=STEPS, context=CONTEXT).predict(history, future)


def test_the_package_of_the_regressor_is_asked_for():
    model = MLForecast(estimator="lightgbm.sklearn:LGBMRegressor")
    assert model.needed_imports()["estimator"] == ("lightgbm",)
