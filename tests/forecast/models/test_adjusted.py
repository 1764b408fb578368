"""A forecaster shown series without the effects of columns known ahead: effects found, signs, and
what is put back.
"""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError
from hwds.datasets import WeeklySales
from hwds.evaluation.panel_folds import FromEnd, future_of
from hwds.forecast.models.adjusted import (
    Adjusted,
    EffectMoments,
    Effects,
    shrink_effects,
    without_effects,
)
from hwds.forecast.models.base import ForecastContext
from hwds.forecast.models.seasonal_naive import SeasonalNaive
from hwds.forecast.models.theta import Theta
from hwds.forecast.models.xgboost import XGBoost
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.frames.roles import Roles

STEPS = 8
CONTEXT = ForecastContext(0, "fold", levels=(0.1, 0.5, 0.9), season=52)
THETA = Theta(origins=0)


@pytest.fixture(scope="module")
def panel():
    return WeeklySales(seed=41, series=40, weeks=130, young=10, gaps=0.05).load()


def made(elasticities, prices_move, rows=120, lift=0.0, noise=0.05, seed=0):
    """Series with a wandering level, of these elasticities.

    A price that does not move tells nothing.
    """
    rng = np.random.default_rng(seed)
    tables = []
    for i, (elasticity, moves) in enumerate(zip(elasticities, prices_move, strict=True)):
        price = 20 * np.exp(0.1 * moves * np.repeat(rng.normal(size=rows // 4), 4))
        pulse = (rng.random(rows) < 0.1).astype(float)
        level = 5 + np.cumsum(rng.normal(0, 0.02, rows)) + rng.normal(0, noise, rows)
        units = np.exp(level + elasticity * np.log(price / 20) + lift * pulse)
        names = [f"s{i:02d}"] * rows
        tables.append(
            pl.DataFrame(
                {
                    "series_id": names,
                    "time": np.arange(rows),
                    "target": units,
                    "price": price,
                    "pulse": pulse,
                }
            )
        )
    roles = Roles(known_future=("price", "pulse"), price="price")
    return Panel.build(pl.concat(tables), Frequency("1i"), roles=roles, season=12, horizon=6)


def per_unit(effects):
    """Effects for a whole unit of each column, or of its log."""
    spread = np.array([column.spread for column in effects.columns])
    return effects.own / spread, effects.usual / spread


def parts(panel, steps=STEPS):
    ends = panel.lengths - steps
    asked = np.flatnonzero(ends > 0)
    return (
        panel.until(ends),
        future_of(panel, asked, ends, steps),
        np.stack([panel.series(i)[ends[i] :] for i in asked]),
    )


def test_effects_are_those_of_the_world_and_differ_as_far_as_series_say():
    truth = np.linspace(-3, -1, 20)
    own, usual = per_unit(Effects.learn(made(truth, [1] * 20, lift=0.3)))
    assert np.abs(own[:, 0] - truth).mean() < 0.15
    np.testing.assert_allclose(usual, [-2.0, 0.3], atol=0.1)
    assert own[:, 1].std() < 0.05  # one lift for all


def test_a_series_whose_price_never_moved_has_the_usual_effect():
    own, usual = per_unit(Effects.learn(made([-2.0] * 11 + [-9.0], [1] * 11 + [0])))
    assert abs(own[-1, 0] - usual[0]) < 1e-3
    assert abs(usual[0] + 2) < 0.2


def test_series_whose_price_hardly_moves_do_not_hide_the_usual_effect():
    rng = np.random.default_rng(0)
    rows, moved = np.full(320, 150.0), np.where(np.arange(320) < 20, 150.0, 1e-4)
    effect = -1 + 0.3 * rng.normal(size=320)
    cross = moved * effect + 0.3 * np.sqrt(moved) * rng.normal(size=320)
    total = moved * effect**2 + 2 * effect * (cross - moved * effect) + 0.09 * rows
    sums = EffectMoments(moved[:, None, None], cross[:, None], total, rows)
    own, usual = shrink_effects(sums, np.array([True]))
    assert usual == pytest.approx(own[:20].mean(), abs=0.01)


def test_a_price_never_raises_demand():
    own, usual = per_unit(Effects.learn(made([2.0] * 8, [1] * 8, lift=0.3)))
    assert (own[:, 0] == 0).all()
    assert usual[0] == 0
    assert usual[1] > 0.2


def test_a_column_that_moves_on_at_every_row_has_no_effect(panel):
    age = pl.int_range(pl.len()).over("series_id").cast(pl.Float64)
    aged = replace(
        panel,
        table=panel.table.with_columns(age=age),
        roles=Roles({**panel.roles, "known_future": ("age",)}),
    )
    assert Effects.learn(aged).columns == ()


def test_forecasts_are_better_by_what_is_planned(panel):
    history, future, actual = parts(panel)
    plain, adjusted = (
        model.learn(history, horizon=STEPS, context=CONTEXT).predict(history, future)
        for model in (THETA, Adjusted(member=THETA))
    )
    errors = [
        np.nanmean(np.abs(said.quantiles[..., 1] - actual), 1) / np.nanmean(actual, 1)
        for said in (plain, adjusted)
    ]
    gain = errors[0] - errors[1]
    assert gain.mean() > 2 * gain.std() / np.sqrt(len(gain))
    dearer = replace(future, table=future.table.with_columns(pl.col("price") * 1.2))
    fitted = Adjusted(member=THETA).learn(history, horizon=STEPS, context=CONTEXT)
    fall = np.log(fitted.predict(history, dearer).mean / adjusted.mean).mean() / np.log(1.2)
    assert -2.5 < fall < -1.5  # the mean elasticity of the world is -2
    assert (adjusted.quantiles >= 0).all()
    absurd = replace(future, table=future.table.with_columns(pl.lit(1e-6).alias("price")))
    assert (fitted.predict(history, absurd).mean < 20 * plain.mean.max(1, keepdims=True)).all()


def test_what_was_below_zero_has_effects_that_add_up(panel):
    moved = replace(panel, table=panel.table.with_columns(target=pl.col("target") - 1_000))
    history, future, _ = parts(moved)
    fitted = Adjusted(member=SeasonalNaive()).learn(history, horizon=STEPS, context=CONTEXT)
    assert not fitted.effects.relative
    dearer = replace(future, table=future.table.with_columns(pl.col("price") * 1.2))
    assert (fitted.predict(history, dearer).mean < fitted.predict(history, future).mean).all()


def test_without_columns_the_member_answers_to_the_bit(panel):
    bare = replace(
        panel,
        table=panel.table.drop("price", "promotion"),
        roles=panel.roles.without("known_future", "price"),
    )
    history, future, _ = parts(bare)
    plain, adjusted = (
        model.learn(history, horizon=STEPS, context=CONTEXT).predict(history, future)
        for model in (THETA, Adjusted(member=THETA))
    )
    assert adjusted.quantiles.tobytes() == plain.quantiles.tobytes()
    assert (adjusted.fallback == plain.fallback).all()


def test_series_that_fit_has_not_seen_have_the_usual_effects(panel):
    history, future, _ = parts(panel)
    fitted = Adjusted(member=THETA).learn(history.block(0, 20), horizon=STEPS, context=CONTEXT)
    assert np.isfinite(fitted.predict(history, future).quantiles).all()


def test_a_member_of_all_series_is_refused():
    with pytest.raises(ConfigError, match="each series alone"):
        Adjusted(member=XGBoost())


def test_a_cutoff_before_some_series_begin(panel):
    history = panel.until(FromEnd(100).ends(panel))
    assert len(Effects.learn(history).ids) == history.n_series


def test_the_member_is_not_shown_the_columns_whose_effects_were_taken_out_and_reads_the_others():
    """Else SARIMA would estimate the effect of a price again, in what is left without it."""
    panel = made([-2.0] * 3, [1] * 3, rows=60)
    aged = panel.table.with_columns(age=pl.col("time"))
    panel = replace(
        panel, table=aged, roles=panel.roles | {"known_future": ("price", "pulse", "age")}
    )
    assert dict(without_effects(Effects.learn(panel), panel).roles) == {"known_future": ("age",)}
