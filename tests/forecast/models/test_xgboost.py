"""Gradient boosting: counts, recursion, monotone prices, odd series through each objective,
saving.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError
from hwds.core.serialization import load_fitted, save_fitted
from hwds.evaluation.cells import recorded_learning
from hwds.evaluation.panel_folds import FromEnd, future_of, panel_known_at
from hwds.evaluation.trees import load_booster
from hwds.forecast.boosting import (
    EARLY_ROWS,
    AlternatingRows,
    BoosterSettings,
    demand_quantiles,
    distance_quantiles,
    error_quantiles,
    fit_boosters,
    recursive_path,
    size_table,
)
from hwds.forecast.features.calendar import Calendar
from hwds.forecast.models.base import ForecastContext
from hwds.forecast.models.seasonal_naive import FittedSeasonalNaive
from hwds.forecast.models.xgboost import ROWS_AN_INPUT, SMOOTH, XGBoost
from hwds.forecast.models.zero import Zero
from hwds.forecast.training_rows import TrainingRows, input_names, training_rows
from hwds.forecast.windows import Windowing, WindowSource
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.frames.roles import Roles
from tests.support.panels import monthly_panel, panel_of

LEVELS = (0.1, 0.5, 0.9)
STEPS = 6
CONTEXT = ForecastContext(0, "fold", levels=LEVELS, season=12)
FEW = {"trees": 25, "leaf_rows": 5.0, "max_rows": 4_000}
MODELS = {
    "quantile": XGBoost(**FEW),
    "tweedie": XGBoost(objective="tweedie", **FEW),
    "poisson": XGBoost(objective="poisson", **FEW),
    "recursive": XGBoost(strategy="recursive", **FEW),
    "lines": XGBoost(base="lines", **FEW),
}


def parts(panel):
    ends = FromEnd(STEPS).ends(panel)
    return panel_known_at(panel, FromEnd(STEPS)), future_of(
        panel, np.arange(panel.n_series), ends, STEPS
    )


def answer(model, history, future):
    return model.learn(history, horizon=STEPS, context=CONTEXT).predict(history, future)


def intermittent(chance, seed, rows=60):
    rng = np.random.default_rng(seed)
    return (rng.random(rows) < chance) * (1.0 + rng.poisson(1, rows))


PARTS = {f"part {i:02}": intermittent(0.1 + 0.025 * i, i) for i in range(30)}
HOLES = intermittent(0.5, 7)
HOLES[np.random.default_rng(2).permutation(60)[:50]] = np.nan
ODD = {
    "constant": np.full(40, 5.0),
    "zero": np.zeros(40),
    "one_point": np.array([7.0]),
    "mostly_missing": HOLES,
    "unknown": np.full(20, np.nan),
    "huge": intermittent(0.5, 3) * 1e12,
    "negative": np.sin(np.arange(60.0)) * 20,
    "long": intermittent(0.3, 5, 20_000),
}


@pytest.fixture(scope="module")
def odd():
    return parts(panel_of(PARTS | ODD, STEPS))


@pytest.mark.parametrize("name", MODELS)
def test_odd_series_are_forecast_or_counted_and_cost_the_others_little(name, odd):
    history, future = odd
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        forecasts = answer(MODELS[name], history, future)
    ids = history.series_ids.to_list()
    fell = {series for series, fallback in zip(ids, forecasts.fallback, strict=True) if fallback}
    assert fell == ({"negative", "unknown"} if MODELS[name].objective != "quantile" else set())
    known = np.array([series != "unknown" for series in ids])
    assert np.isfinite(forecasts.mean[known]).all()
    assert np.isfinite(forecasts.quantiles[known]).all()
    assert (np.diff(forecasts.quantiles[known], axis=-1) >= 0).all()
    plain = np.array([series.startswith("part") for series in ids])
    assert np.abs(forecasts.quantiles[plain]).max() < 20


@pytest.mark.parametrize("name", ["tweedie", "poisson"])
@pytest.mark.parametrize(
    "series", [{"a": np.zeros(40)}, {"a": np.array([3.0])}, {"a": -intermittent(0.5, 1)}]
)
def test_counts_that_teach_nothing_are_answered_by_the_seasonal_naive(name, series):
    history, future = parts(panel_of(series, STEPS))
    forecasts = answer(MODELS[name], history, future)
    assert forecasts.fallback.all()
    np.testing.assert_array_equal(
        forecasts.mean, FittedSeasonalNaive(12, LEVELS).predict(history, future).mean
    )


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model_forecasts_the_same_bytes(name, tmp_path):
    history, future = parts(panel_of(PARTS, STEPS))
    fitted = MODELS[name].learn(history, horizon=STEPS, context=CONTEXT)
    save_fitted(fitted, tmp_path / "model")
    first, again = (
        fitted.predict(history, future),
        load_fitted(tmp_path / "model").predict(history, future),
    )
    assert first.mean.tobytes() == again.mean.tobytes()
    assert first.quantiles.tobytes() == again.quantiles.tobytes()


@pytest.mark.parametrize("name", ["tweedie", "poisson"])
def test_counts_have_the_mean_of_the_series_and_whole_quantiles(name):
    history, future = parts(panel_of(PARTS, STEPS))
    forecasts = answer(MODELS[name], history, future)
    true = 2 * (0.1 + 0.025 * np.arange(30))
    assert np.corrcoef(forecasts.mean.mean(1), true)[0, 1] > 0.9
    assert abs(forecasts.mean.mean() / true.mean() - 1) < 0.2
    assert (forecasts.quantiles == np.rint(forecasts.quantiles)).all()
    seldom, often = true < 0.5, true > 1.3
    assert (forecasts.quantiles[seldom][..., 1] == 0).mean() > 0.9
    assert (forecasts.quantiles[often][..., 1] > 0).mean() > 0.9


def test_counts_follow_the_scale_of_the_series():
    small, large = (
        answer(MODELS["tweedie"], *parts(panel_of({k: v * s for k, v in PARTS.items()}, STEPS)))
        for s in (1.0, 1e6)
    )
    np.testing.assert_allclose(large.mean / 1e6, small.mean, rtol=0.3)


def test_quantiles_of_demand_are_zero_below_its_chance_and_sizes_lie_as_they_did():
    edges, ratios = size_table(np.full(1_000, 2.0), np.tile([1.0, 3.0], 500))
    quantiles = demand_quantiles(
        np.array([[1.0]]), np.array([[0.5]]), (0.4, 0.6, 0.7, 0.8, 0.99), edges, ratios, whole=True
    )
    np.testing.assert_array_equal(quantiles[0, 0], [0.0, 1.0, 1.0, 3.0, 3.0])
    always = demand_quantiles(
        np.array([[2.2]]), np.array([[1.0]]), (0.25, 0.75), edges, ratios, whole=False
    )
    np.testing.assert_allclose(always[0, 0], [1.1, 3.3])


def test_sizes_without_a_past_are_as_expected():
    edges, ratios = size_table(np.zeros(0), np.zeros(0))
    assert demand_quantiles(
        np.array([[3.0]]), np.array([[1.0]]), (0.1, 0.9), edges, ratios, whole=True
    ).tolist() == [[[3.0, 3.0]]]


def test_windows_of_demand_are_multiples_of_the_mean_so_far():
    panel = panel_of({"a": np.array([0.0, 2.0, 0.0, 4.0])}, STEPS)
    windowing = Windowing.learn(panel, season=12, horizon=STEPS, of_demand=True)
    source = WindowSource.of(windowing, panel)
    windows = source.cut(source.at(np.array([4])))
    mean = (6.0 + 0.5 * 3.0) / 5
    np.testing.assert_allclose(windows.scale, mean)
    assert windows.origin.shape[1] == len(source.origin_names)
    told = dict(zip(source.origin_names, windows.origin[0], strict=True))
    assert told["demand, 3 rows"] == pytest.approx(2.0 / mean)
    assert told["rows with demand, 3 rows"] == pytest.approx(2 / 3)
    assert told["rows since demand"] == 0
    assert told["size"] == pytest.approx(3.0 / mean)
    assert told["spread of size"] == pytest.approx(1.0 / mean, rel=1e-5)
    np.testing.assert_allclose(windows.restore(np.ones((1, STEPS), np.float32)), mean)


def priced(slope, series=8, months=60):
    """Demand that falls with the price, or rises with it."""
    rng = np.random.default_rng(4)
    rows = []
    for i in range(series):
        price = np.exp(rng.normal(0, 0.2, months)) * 100
        target = 50 * (1 + i) * np.exp(slope * np.log(price / 100) + rng.normal(0, 0.1, months))
        times = pl.date_range(date(2018, 1, 1), date(2040, 1, 1), "1mo", eager=True)[:months]
        rows.append(
            pl.DataFrame(
                {
                    "series_id": [f"s{i}"] * months,
                    "time": times,
                    "target": np.round(target),
                    "price": price,
                }
            )
        )
    return Panel.build(
        pl.concat(rows), Frequency("1mo"), roles=Roles(known_future=("price",)), horizon=STEPS
    )


@pytest.mark.parametrize(
    "asked",
    [{"objective": "quantile"}, {"objective": "tweedie"}, {"strategy": "recursive"}],
    ids=str,
)
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_forecast_falls_or_rises_with_the_price_as_asked(asked, sign):
    history, future = parts(priced(-0.5))
    context = replace(CONTEXT, features=Calendar())
    fitted = XGBoost(monotone={"price": sign}, **asked, **FEW).learn(
        history, horizon=STEPS, context=context
    )

    def at(factor):
        column = (
            pl.when(pl.int_range(pl.len()).over("series_id") == 2)
            .then(pl.col("price") * factor)
            .otherwise("price")
        )
        return fitted.predict(
            history, replace(future, table=future.table.with_columns(column.alias("price")))
        )

    told = [at(factor) for factor in (0.5, 0.7, 0.85, 1.0, 1.15, 1.4, 2.0)]
    moved = np.diff([forecasts.mean[:, 2] for forecasts in told], axis=0) * sign
    assert (moved >= -1e-6).all()
    assert (moved.sum(0) > 0).all() if sign < 0 else True
    if asked.get("objective") != "tweedie":
        assert (
            np.diff([forecasts.quantiles[:, 2] for forecasts in told], axis=0) * sign >= -1e-6
        ).all()


def test_trees_that_are_held_to_the_price_are_as_good_as_free_ones():
    panel = priced(-2.0)
    history, future = parts(panel)
    actual = panel.target.reshape(8, -1)[:, -STEPS:]
    free, held = (
        np.abs(
            answer(XGBoost(**FEW | {"trees": 100}, monotone=signs), history, future).quantiles[
                ..., 1
            ]
            / actual
            - 1
        ).mean()
        for signs in ({}, {"price": -1})
    )
    assert held < 1.1 * free


def test_a_price_that_is_not_there_is_refused_with_the_nearest():
    history, _ = parts(priced(-1.0))
    with pytest.raises(
        ConfigError, match=r"model\.monotone: no known-future column 'prize'; did you mean 'price'"
    ):
        XGBoost(monotone={"prize": -1}, **FEW).learn(history, horizon=STEPS, context=CONTEXT)
    with pytest.raises(ConfigError):
        XGBoost(monotone={"price": 2})


def test_counts_are_not_forecast_row_by_row():
    with pytest.raises(ConfigError, match="use 'direct'"):
        XGBoost(strategy="recursive", objective="poisson")


def test_lines_are_not_corrected_row_by_row():
    with pytest.raises(ConfigError, match="base 'lines' is for strategy 'direct'"):
        XGBoost(base="lines", strategy="recursive")


def test_a_path_feeds_on_itself():
    history, future = parts(monthly_panel(n_series=6, months=72))
    fitted = MODELS["recursive"].learn(history, horizon=STEPS, context=CONTEXT)
    told, _ = recursive_path(fitted.windowing, None, fitted.booster, 1, history, future)
    longer = history.followed_by(future)
    target = longer.target
    target[np.isnan(target)] = told.ravel()
    known = replace(longer, table=longer.table.with_columns(pl.Series("target", target)))
    first = known.until(known.lengths - STEPS + 1)
    rest = future.last(STEPS - 1)
    np.testing.assert_allclose(
        recursive_path(fitted.windowing, None, fitted.booster, 1, first, rest)[0], told[:, 1:]
    )


def test_bands_grow_with_the_step_and_cover_what_they_were_made_of():
    rng = np.random.default_rng(0)
    errors = list(np.cumsum(rng.normal(size=(400, 8)), 1).T)
    bands = error_quantiles(errors, (0.1, 0.5, 0.9))
    assert (np.diff(bands[:, 2]) > 0).all()
    inside = [
        np.mean((step > low) & (step < high))
        for step, (low, _, high) in zip(errors, bands, strict=True)
    ]
    assert np.allclose(inside, 0.8, atol=0.06)
    assert error_quantiles([np.zeros(0)] * 3, (0.5,)).shape == (0, 1)


def test_the_inputs_have_names():
    panel = monthly_panel()
    source = WindowSource.of(
        Windowing.learn(panel, season=12, horizon=STEPS, of_demand=True), panel
    )
    rows = training_rows(source, 50, np.random.default_rng(0))
    assert rows.inputs.shape[1] == len(input_names(source)) == len(set(input_names(source)))


def test_the_shape_is_that_of_the_errors_and_normal_without_any():
    rng = np.random.default_rng(0)
    errors = rng.exponential(1.0, 20_000)
    shape = distance_quantiles(errors, (0.1, 0.5, 0.9))
    np.testing.assert_allclose(shape, np.log([0.5 / 0.9, 1.0, 5.0]), atol=0.05)
    few = distance_quantiles(np.zeros(1), (0.1, 0.5, 0.9))
    np.testing.assert_allclose(few * 51 / 50, [-1.606, 0.0, 1.606], atol=1e-3)


def test_the_spread_follows_the_series_and_covers_what_comes():
    rng = np.random.default_rng(3)
    level = 100 + 10 * np.sin(np.arange(84) * np.pi / 6)
    noise = {
        f"s{i:02}": level * np.exp((0.02 if i % 2 else 0.2) * rng.normal(size=84))
        for i in range(40)
    }
    panel = panel_of(noise, 0)
    history, future = parts(panel)
    actual = panel.target.reshape(40, -1)[:, -STEPS:]
    told = answer(XGBoost(trees=40, leaf_rows=20.0), history, future).quantiles
    width = (told[..., 2] - told[..., 0]).mean(1)
    assert width[::2].min() > 3 * width[1::2].max()
    assert 0.7 < ((actual > told[..., 0]) & (actual < told[..., 2])).mean() < 0.9


def skewed(rows):
    """Rows of one input, whose target is exponential about it.

    The last tenth is the last horizon.
    """
    rng = np.random.default_rng(5)
    inputs = rng.normal(size=(rows, 1)).astype(np.float32)
    target = (inputs[:, 0] + rng.exponential(1.0, rows)).astype(np.float32)
    return TrainingRows(inputs, target, np.arange(rows) >= 0.9 * rows, np.ones(rows))


@pytest.mark.parametrize("parts", [1, 4])
def test_levels_of_a_smoothed_loss_have_their_share_of_skewed_targets_below(parts):
    rows, grid = skewed(10_000), (0.1, 0.5, 0.9)
    settings = {
        "tree_method": "hist",
        "max_depth": 3,
        "eta": 0.2,
        "max_bin": 64,
        "nthread": 1,
        "seed": 0,
        "min_child_weight": 20,
    }
    growing = BoosterSettings(settings | SMOOTH, 30, 9, early_rate=3, parts=parts)
    grown = fit_boosters(growing, rows, rows.take(rows.late), grid, np.zeros(1, bool))
    location, spread = (
        load_booster(each, 1).inplace_predict(rows.inputs)[:, None]
        for each in (grown.median, grown.spread)
    )
    below = (rows.target[:, None] < location + spread * grown.shape).mean(0)
    np.testing.assert_allclose(below, grid, atol=0.03)
    assert (rows.target < location[:, 0]).mean() > 0.53  # without what is made good it is no median


def test_the_loss_is_smoothed_where_rows_are_many_for_their_inputs():
    history, _ = parts(monthly_panel(n_series=6, months=72))

    def growing(rows, **changes):
        model = XGBoost(**changes)
        source = WindowSource.of(model._windowing(history, STEPS, CONTEXT), history)
        return model._booster_settings(source, rows * len(input_names(source)), CONTEXT)

    def objective(rows, **changes):
        return growing(rows, **changes).settings["objective"]

    assert objective(ROWS_AN_INPUT) == "reg:absoluteerror"
    assert objective(ROWS_AN_INPUT + 1) == SMOOTH["objective"]
    assert objective(ROWS_AN_INPUT + 1, strategy="recursive") == "reg:absoluteerror"
    assert objective(ROWS_AN_INPUT + 1, objective="tweedie") == "reg:tweedie"
    few, many = growing(ROWS_AN_INPUT), growing(ROWS_AN_INPUT + 1)
    assert np.isclose(many.settings["eta"] * many.trees, few.settings["eta"] * few.trees)
    assert many.trees == 3 * few.trees
    assert np.isclose(
        many._faster().settings["eta"], few._faster().settings["eta"]
    )  # the rounds are chosen at one rate
    assert many._faster().patience == few._faster().patience
    assert [
        growing(ROWS_AN_INPUT + 1, row_share=share).parts for share in (1.0, 0.7, 0.4, 0.01)
    ] == [3, 4, 8, 10]
    assert few.parts == growing(ROWS_AN_INPUT, row_share=0.4).parts == 1
    assert (few.settings["max_bin"], many.settings["max_bin"]) == (256, 64)


def test_trees_see_equal_parts_of_the_rows_by_turns(tmp_path):
    rows = skewed(4_001)
    settings = {"max_depth": 3, "eta": 0.3, "max_bin": 64, "nthread": 1, "seed": 0}
    growing = BoosterSettings(settings | SMOOTH, 12, 0, parts=4)
    dealt = AlternatingRows.of(growing, rows)
    np.testing.assert_allclose(np.diff(dealt.bounds), 1_000, atol=3)
    assert sorted(dealt.rows.target) == sorted(rows.target)
    for every in (
        2,
        3,
        4,
        12,
    ):  # steps of an origin follow each other: none may meet one part alone
        marked = AlternatingRows.of(
            growing, replace(rows, target=np.arange(len(rows.target)) % every == 0)
        )
        shares = [part.mean() for part in np.split(marked.rows.target, marked.bounds[1:-1])]
        np.testing.assert_allclose(shares, 1 / every, atol=0.01)
    booster = dealt.grow(growing, 12)
    learned = dealt.predict(booster)
    np.testing.assert_allclose(learned, booster.inplace_predict(dealt.rows.inputs), rtol=1e-5)
    constant = np.abs(rows.target - np.median(rows.target)).mean()
    assert np.abs(dealt.rows.target - learned).mean() < 0.9 * constant
    with recorded_learning(tmp_path, "xgboost", "2023", 0):
        assert AlternatingRows.of(growing, rows).grow(growing, 12).save_raw(
            "ubj"
        ) == booster.save_raw("ubj")
    (file,) = tmp_path.glob("*.jsonl")
    losses = [json.loads(line)["train"] for line in file.read_text().splitlines()[1:]]
    assert len(losses) == 12
    assert losses[-1] < losses[0]


def test_rounds_of_quantiles_are_chosen_by_no_more_rows_than_that_takes():
    rows = skewed(2 * EARLY_ROWS)
    before = BoosterSettings({}, 1, 1, early_rate=3)._rows_before(rows)
    assert len(before.target) == EARLY_ROWS
    assert not before.late.any()
    assert before.target[0] == rows.target[0]
    assert before.target[-1] == rows.target[~rows.late][-1]
    assert len(BoosterSettings({}, 1, 1)._rows_before(rows).target) == (~rows.late).sum()


def test_rows_are_thinned_where_one_value_is_seen_from_many_origins():
    history, _ = parts(monthly_panel(n_series=6, months=72))
    seen = []
    for looks in (1, STEPS):
        model = XGBoost(looks=looks)
        source = WindowSource.of(model._windowing(history, STEPS, CONTEXT), history)
        seen.append(
            len(training_rows(source, model._most_rows(source), np.random.default_rng(0)).target)
        )
    assert 0.98 * len(source.origins()) < seen[0] <= len(source.origins())
    assert seen[1] > 4 * seen[0]


def test_zero_is_zero():
    history, future = parts(panel_of(PARTS, STEPS))
    forecasts = answer(Zero(), history, future)
    assert not forecasts.mean.any()
    assert not forecasts.quantiles.any()
    assert forecasts.quantiles.shape == (30, STEPS, 3)
