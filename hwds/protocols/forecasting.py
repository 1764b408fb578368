"""Asking a forecaster at cutoffs, and the rows that come of it: shared by the protocols of panels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from hwds.context import Context
from hwds.errors import DataError
from hwds.frames.forecasts import Forecasts
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TARGET, TIME
from hwds.metrics.scale import last_season, seasonal_scales
from hwds.models.forecast.base import FittedForecaster, Forecaster
from hwds.protocols.base import Cell
from hwds.protocols.cutting import Cutoff, asked_at, future_of, known_at, rows_after, select

LEVELS = (0.1, 0.5, 0.9)


def quantile_name(level: float) -> str:
    """The column of a quantile level: `q_0.1`."""
    return f"q_{level:g}"


def ask_forecasts(
    model: Forecaster, panel: Panel, cell: Cell, context: Context, *, gap: int = 0, sliding: int | None = None
) -> pl.DataFrame:
    """Fit at the fold's first cutoff, then forecast from each of its cutoffs; the rows of all.

    Args:
        model: The recipe to fit.
        panel: The whole data; it is cut here.
        cell: Which fold, and which of its series.
        context: With the levels and the season; its horizon counts the gap.
        gap: Steps after the cutoff that are forecast but not scored.
        sliding: Rows of history that a fit may see at most.
    """
    block = panel.block(cell.start, cell.stop)
    history = known_at(block, cell.fold.cutoffs[0], sliding)
    if not history.n_series:
        return pl.DataFrame()
    fitted = model.fit(history, horizon=context.horizon, context=context)
    asked = [forecast_rows(fitted, block, cutoff, context, gap, sliding) for cutoff in cell.fold.cutoffs]
    answered = [rows for rows in asked if not rows.is_empty()]
    return pl.concat(answered) if answered else pl.DataFrame()


def forecast_rows(
    fitted: FittedForecaster, panel: Panel, cutoff: Cutoff, context: Context, gap: int, sliding: int | None
) -> pl.DataFrame:
    """The forecasts from one cutoff beside what happened, one row for each that did."""
    series, ends = asked_at(panel, cutoff), cutoff.ends(panel)
    if not len(series):
        return pl.DataFrame()
    known = known_at(select(panel, series), cutoff)
    future = future_of(panel, series, ends, context.horizon)
    forecasts = fitted.predict(known.last(sliding) if sliding else known, future)
    where, exists = rows_after(panel, series, ends, context.horizon)
    exists[:, :gap] = False
    table = _laid_out(forecasts, known, future, context)
    actual = panel.target[np.where(exists, where, 0)].ravel()
    table = table.with_columns(pl.Series("actual", actual, nan_to_null=True))
    return table.filter(pl.Series(exists.ravel())).select(ordered(table.columns))


def ordered(columns: list[str]) -> list[str]:
    """The columns of predictions in the order people read them."""
    first = [SERIES, "cutoff", TIME, "step", "actual", "mean"]
    return [*first, *(name for name in columns if name not in first)]


def _laid_out(forecasts: Forecasts, known: Panel, future: Panel, context: Context) -> pl.DataFrame:
    n, horizon = forecasts.mean.shape
    absolute, squared = seasonal_scales(known.target, known.offsets, known.season)
    naive = last_season(known.target, known.offsets, known.season, horizon)
    cut = known.table[TIME].gather(known.offsets[1:] - 1)
    columns = {
        "step": np.tile(np.arange(1, horizon + 1, dtype=np.int32), n),
        "mean": forecasts.mean.ravel(),
        **{quantile_name(level): forecasts.quantiles[..., i].ravel() for i, level in enumerate(context.levels)},
        "seasonal_naive": naive.ravel(),
        "scale_abs": np.repeat(absolute, horizon),
        "scale_sq": np.repeat(squared, horizon),
        "season": np.full(n * horizon, known.season, np.int32),
    }
    series = [pl.Series(name, values, nan_to_null=True) for name, values in columns.items()]
    series.append(pl.Series("fallback", np.repeat(forecasts.fallback, horizon)))
    series.append(cut.gather(np.repeat(np.arange(n), horizon)).alias("cutoff"))
    return future.table.select(SERIES, TIME).hstack(series)


def answers_at(rows: pl.DataFrame, panel: Panel, cutoff: Cutoff) -> pl.DataFrame:
    """The forecasts that were made at a cutoff, without what happened."""
    series, ends = asked_at(panel, cutoff), cutoff.ends(panel)
    last = panel.table.select(SERIES, pl.col(TIME).alias("cutoff"))[panel.offsets[series] + ends[series] - 1]
    return rows.drop("actual").join(last, on=[SERIES, "cutoff"], how="semi", maintain_order="left")


def forecast_beyond(fitted: FittedForecaster, panel: Panel, cutoff: Cutoff, context: Context) -> pl.DataFrame:
    """The forecasts after the last rows: `series_id, cutoff, time, step, mean` and the quantiles.

    Raises:
        DataError: The panel has known-future columns and the plan lacks one of them.
    """
    series, ends = asked_at(panel, cutoff), cutoff.ends(panel)
    known = known_at(select(panel, series), cutoff)
    future = future_of(panel, series, ends, context.horizon)
    rows = _laid_out(fitted.predict(known, future), known, future, context)
    rows = rows.select(
        name for name in ordered(rows.columns) if name in rows.columns and not name.startswith(("scale_", "season", "fallback"))
    )
    return rows.filter(_planned(panel, future)) if panel.roles.known_future else rows


def _planned(panel: Panel, future: Panel) -> pl.Series:
    """Which rows the plan covers; a series may end before the horizon, but no column of a planned row may be missing."""
    names = panel.roles.known_future
    for name in names:
        if future.table[name].null_count() == len(future.table):
            last = panel.table[TIME].max()
            raise DataError(f"predict: known-future column '{name}' has no value after {last!s}; give a plan with --future.")
    covered = future.table.select(pl.any_horizontal(pl.col(names).is_not_null())).to_series()
    for name in names:
        hole = (covered & future.table[name].is_null()).arg_true()
        if len(hole):
            row = future.table.row(hole[0], named=True)
            raise DataError(f"predict: series '{row[SERIES]}' has no planned '{name}' at {row[TIME]}.")
    return covered


def poison(panel: Panel, cutoff: Cutoff, luck: np.random.Generator) -> Panel:
    """The panel with rubbish for targets and past-only columns after a cutoff; what was planned stays."""
    after = pl.Series(panel.positions >= np.repeat(cutoff.ends(panel), panel.lengths))
    rubbish = {name: pl.Series(1e6 * luck.standard_normal(len(after))) for name in (TARGET, *panel.roles.past_only)}
    replaced = [pl.when(after).then(values).otherwise(pl.col(name)).alias(name) for name, values in rubbish.items()]
    return replace(panel, table=panel.table.with_columns(replaced))


def with_panel(context: Context, panel: Panel, levels: tuple[float, ...], horizon: int) -> Context:
    """The context completed by what the panel and the protocol say."""
    return replace(context, levels=levels, season=panel.season, horizon=horizon)
