"""Sample paths beside forecasts: their distribution, their random numbers, and that nothing leaks
into them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.core.seeds import stream
from hwds.evaluation.leak_check import check_leaks
from hwds.evaluation.panel_folds import FromEnd, future_of, panel_known_at
from hwds.evaluation.protocol import Cell, RunContext, compare_answers
from hwds.forecast.models.base import ForecastContext
from hwds.forecast.models.drift import Drift
from hwds.forecast.models.naive import Naive
from hwds.forecast.models.sarima import Sarima
from hwds.forecast.models.seasonal_naive import SeasonalNaive
from hwds.forecast.protocols.walk_forward import WalkForward
from tests.support.panels import LastValue, monthly_panel

PANEL = monthly_panel(n_series=4, months=60, horizon=14)
LEVELS = (0.1, 0.5, 0.9)


def holed(panel):
    """One series with a hole at the end of its history, one of a single row known."""
    rows = pl.int_range(pl.len()).over("series_id")
    hole = (pl.col("series_id") == "s1") & rows.is_between(44, 45)
    bare = (pl.col("series_id") == "s2") & (rows > 0) & (rows < 46)
    return replace(
        panel,
        table=panel.table.with_columns(
            pl.when(hole | bare).then(None).otherwise("target").alias("target")
        ),
    )


@pytest.mark.parametrize(
    "model",
    [
        Naive(),
        SeasonalNaive(),
        SeasonalNaive(season=5),
        Drift(),
        Sarima(search="fixed"),
        Sarima(search="fixed", order=(2, 0, 1)),
    ],
    ids=["naive", "seasonal_naive", "season of 5", "drift", "airline", "sarima(2,0,1)(0,1,1)"],
)
def test_each_step_of_the_paths_has_the_law_that_is_forecast(model):
    panel, cutoff = holed(PANEL), FromEnd(14)
    known, future = (
        panel_known_at(panel, cutoff),
        future_of(panel, np.arange(4), cutoff.ends(panel), 14),
    )
    fitted = model.learn(
        known, horizon=14, context=ForecastContext(0, "f", levels=LEVELS, season=12)
    )
    told = fitted.predict(known, future)
    paths = fitted.sample(known, future, 10_000, [stream(0, "paths", i) for i in range(4)])
    assert paths.shape == (4, 10_000, 14)
    quantiles = np.quantile(paths, LEVELS, axis=1).transpose(1, 2, 0)
    width = told.quantiles[..., 2] - told.quantiles[..., 0]
    off = np.abs(quantiles - told.quantiles)
    assert (
        off <= 0.035 * width[..., None] + 1e-9 * np.abs(told.quantiles)
    ).all()  # 4 standard errors of a P10 of 10,000 draws


def test_seasons_of_the_seasonal_naive_walk_apart_and_drift_moves_all_steps():
    known, future = (
        panel_known_at(PANEL, FromEnd(14)),
        future_of(PANEL, np.arange(4), FromEnd(14).ends(PANEL), 14),
    )
    context = ForecastContext(0, "f", levels=LEVELS, season=12)
    rng = [stream(0, "paths", i) for i in range(4)]
    paths = (
        SeasonalNaive().learn(known, horizon=14, context=context).sample(known, future, 4000, rng)
    )
    related = np.corrcoef(paths[0].T)
    assert related[0, 12] == pytest.approx(np.sqrt(0.5), abs=0.05)
    assert related[0, 1] == pytest.approx(0, abs=0.06)
    paths = Drift().learn(known, horizon=14, context=context).sample(known, future, 4000, rng)
    rows = 45
    covariance = 1 + 1 * 14 / rows  # of steps 1 and 14, in units of one change's variance
    exact = covariance / np.sqrt((1 + 1 / rows) * (14 + 14**2 / rows))
    assert np.corrcoef(paths[0].T)[0, 13] == pytest.approx(exact, abs=0.05)


def rows_of(protocol, model, *cuts):
    (fold, *_) = protocol.split(PANEL)
    parts = [
        protocol.evaluate_cell(model, PANEL, Cell("m", fold, *cut), RunContext(7, fold.name))
        for cut in cuts
    ]
    return pl.concat(parts).sort(protocol.keys)


def test_how_the_work_is_cut_does_not_show_in_the_draws():
    protocol = WalkForward(windows=2, paths=20)
    for model in (Naive(), Drift(), Sarima(search="fixed")):
        whole, parts = rows_of(protocol, model, (0, 4)), rows_of(protocol, model, (2, 4), (0, 2))
        assert compare_answers("m", "f", whole, parts) is None
    assert whole.schema["paths"] == pl.Array(pl.Float32, 20)
    draws = rows_of(protocol, Naive(), (0, 4))["paths"].to_numpy()
    assert len(np.unique(draws[::14, 0])) == 4


def test_a_model_that_cannot_draw_has_none_and_no_paths_change_no_row():
    without = rows_of(WalkForward(windows=2), LastValue(), (0, 4))
    beside = rows_of(WalkForward(windows=2, paths=20), LastValue(), (0, 4))
    assert "paths" not in without.columns
    assert beside["paths"].null_count() == len(beside)
    assert beside.drop("paths").equals(without)
    assert beside.vstack(
        rows_of(WalkForward(windows=2, paths=20), Naive(), (0, 4))
    ).height == 2 * len(beside)


def test_nothing_after_the_cutoff_is_in_the_paths_and_the_canary_reads_them():
    protocol = WalkForward(windows=2, paths=10, horizon=4)
    assert not any(check_leaks(protocol, "naive", Naive(), PANEL, RunContext(0)))
    rows = rows_of(protocol, Naive(), (0, 4))
    other = rows.with_columns(
        pl.Series("paths", rows["paths"].to_numpy() + np.float32(1), rows.schema["paths"])
    )
    assert compare_answers("m", "f", rows, other).changed == len(rows)
