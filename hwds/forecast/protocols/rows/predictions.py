"""Asking a forecaster at cutoffs, and the rows that come of it: shared by the protocols of panels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from hwds.core.errors import DataError
from hwds.evaluation.base import Cell
from hwds.forecast.context import ForecastContext
from hwds.forecast.metrics.scale import last_season, seasonal_scales, short_scales
from hwds.forecast.models.base import FittedForecaster, Forecaster, LaunchingForecaster, SamplingForecaster, WalkingForecaster
from hwds.frames.forecasts import Forecasts
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TIME
from hwds.splitting.cutoffs import AtTime, Cutoff, future_of, known_at, last_instants, rows_after, select, series_at

PATHS = "paths"
"""The column of a predictions table that holds the draws of its row: draw j of all steps of a series is one path."""

LEVELS = (0.1, 0.5, 0.9)

WINDOW, NONNEGATIVE, AVAILABLE, EXISTS = "window", "nonnegative", "available_at", "exists"
RAW = (WINDOW, NONNEGATIVE, AVAILABLE, EXISTS)
"""Columns that rows bear until they are settled: the number of their cutoff (none for the true law), whether the
series was never below zero, when the actual was out, where the panel says it, and whether the data has such a row, where
rows beyond the end of a series are kept."""

KNOWN = "known_share"
"""The column of inner windows with the share of the history's rows that were known before them."""


def quantile_name(level: float) -> str:
    """Return the column of a quantile level: `q_0.1`."""
    return f"q_{level:g}"


def fit_and_forecast(
    model: Forecaster,
    panel: Panel,
    cell: Cell,
    context: ForecastContext,
    *,
    horizon: int,
    gap: int = 0,
    sliding: int | None = None,
    paths: int = 0,
    whole: bool = False,
    inner: int = 0,
) -> pl.DataFrame:
    """Fit at the fold's first cutoff, then forecast from each of its cutoffs; the rows of all.

    Those of inner windows are beside them: `window` is 0 at the first cutoff and counts on, and back.

    Args:
        model: The recipe to fit.
        panel: The whole data; it is cut here.
        cell: Which fold, and which of its series.
        context: With the levels and the season.
        horizon: The steps that the model forecasts, those of the gap among them.
        gap: Steps after the cutoff that are forecast but not scored.
        sliding: Rows of history that a fit may see at most.
        paths: Sample paths to keep of each series, where the model can draw them.
        whole: Keep the forecasts of a series that has ended before the horizon, marked by `exists`.
        inner: Windows before the first cutoff that are forecast too.
    """
    block, first = panel.block(cell.start, cell.stop), cell.fold.cutoffs[0]
    history = known_at(block, first, sliding)
    if not history.n_series:
        return pl.DataFrame()
    inside = replace(context, known_until=first.instant if isinstance(first, AtTime) else None, sliding=sliding)
    fitted = model.learn(history, horizon=horizon, context=inside)
    together = all_cutoffs(fitted, block, cell.fold.cutoffs, horizon, sliding)
    parts = []
    for number, (cutoff, forecasts) in enumerate(zip(cell.fold.cutoffs, together, strict=True)):
        rows = forecast_rows(fitted, block, cutoff, context, horizon, gap, sliding, paths, forecasts, whole=whole)
        window = pl.lit(None if model.true_law else number, pl.Int32).alias(WINDOW)
        parts += [] if rows.is_empty() else [rows.with_columns(window)]
    if inner and not model.true_law:
        earlier = model.backtest(known_at(block, first), inner, horizon=horizon, context=inside).drop(KNOWN, strict=False)
        there = [pl.lit(True).alias(EXISTS)] if whole else []
        parts += [] if earlier.is_empty() else [without_draws(earlier.with_columns(there), paths)]
    return pl.concat([rows.select(ordered(rows.columns)) for rows in parts]) if parts else pl.DataFrame()


def forecast_rows(
    fitted: FittedForecaster,
    panel: Panel,
    cutoff: Cutoff,
    context: ForecastContext,
    horizon: int,
    gap: int,
    sliding: int | None,
    paths: int = 0,
    forecasts: Forecasts | None = None,
    *,
    whole: bool = False,
) -> pl.DataFrame:
    """Return the forecasts from one cutoff beside what happened, one row for each that did; made unless they are given.

    With `whole` the others are kept too, and marked.
    """
    series, ends = series_at(panel, cutoff), cutoff.ends(panel)
    if not len(series):
        return pl.DataFrame()
    known = known_at(select(panel, series), cutoff)
    future = future_of(panel, series, ends, horizon)
    seen = known.last(sliding) if sliding else known
    if not known.n_series:
        forecasts = _of_launches(fitted, known_at(panel, cutoff, sliding), future)
    forecasts = fitted.predict(seen, future) if forecasts is None else forecasts
    where, exists = rows_after(panel, series, ends, horizon)
    exists[:, :gap] = False
    table = with_paths(_laid_out(forecasts, known, future, context), fitted, seen, future, context, cutoff.label, paths)
    table = table.with_columns(_happened(panel, where, exists, whole=whole))
    shown = (np.arange(horizon) >= gap) & (exists | whole)
    return table.filter(pl.Series(shown.ravel())).select(ordered(table.columns))


def _happened(panel: Panel, where: np.ndarray, exists: np.ndarray, *, whole: bool) -> list[pl.Series]:
    """Return for each forecast row the actual, when it became known, and whether the row exists, as far as they are needed."""
    at, there = np.where(exists, where, 0).ravel(), exists.ravel()
    columns = [pl.Series("actual", np.where(there, panel.target[at], np.nan), nan_to_null=True)]
    columns += [panel.table[panel.roles.available_at].gather(at).alias(AVAILABLE)] if panel.roles.available_at else []
    return [*columns, pl.Series(EXISTS, there)] if whole else columns


def ordered(columns: list[str]) -> list[str]:
    """Return the columns of predictions in the order people read them; what only `settle` reads comes last."""
    first, last = [SERIES, "cutoff", TIME, "step", "actual", "mean"], [name for name in (PATHS, *RAW) if name in columns]
    return [*first, *(name for name in columns if name not in (*first, *last)), *last]


def _of_launches(fitted: FittedForecaster, known: Panel, future: Panel) -> Forecasts:
    """Return the forecasts of series without a row; `known` are the others."""
    if not isinstance(fitted, LaunchingForecaster):
        raise TypeError(f"{type(fitted).__name__} cannot forecast a series without a row.")
    return fitted.launch(known, future)


def _laid_out(forecasts: Forecasts, known: Panel, future: Panel, context: ForecastContext) -> pl.DataFrame:
    n, horizon = forecasts.mean.shape
    if known.n_series:
        absolute, squared = seasonal_scales(known.target, known.offsets, known.season)
        short_absolute, short_squared = short_scales(known.target, known.offsets, known.season)
        naive = last_season(known.target, known.offsets, known.season, horizon)
        cut, signs = known.table[TIME].gather(known.offsets[1:] - 1), never_negative(known)
    else:  # launches: nothing is known of them
        absolute, squared, short_absolute, short_squared = np.full((4, n), np.nan)
        naive = np.full((n, horizon), np.nan)
        cut, signs = known.frequency.after(future.table[TIME].gather(future.offsets[:-1]), -1), np.zeros(n, bool)
    quantiles = forecasts.quantiles.astype(float, copy=False)
    columns = {
        "step": np.tile(np.arange(1, horizon + 1, dtype=np.int32), n),
        "mean": forecasts.mean.ravel().astype(float, copy=False),  # a model of a user's own may answer in another precision
        **{quantile_name(level): quantiles[..., i].ravel() for i, level in enumerate(context.levels)},
        "seasonal_naive": naive.ravel(),
        "scale_abs": np.repeat(absolute, horizon),
        "scale_sq": np.repeat(squared, horizon),
        "short_scale_abs": np.repeat(short_absolute, horizon),
        "short_scale_sq": np.repeat(short_squared, horizon),
        "season": np.full(n * horizon, known.season, np.int32),
    }
    series = [pl.Series(name, values, nan_to_null=True) for name, values in columns.items()]
    series.append(pl.Series("fallback", np.repeat(forecasts.fallback, horizon)))
    series.append(pl.Series(NONNEGATIVE, np.repeat(signs, horizon)))
    series.append(cut.gather(np.repeat(np.arange(n), horizon)).alias("cutoff"))
    series += [pl.Series(name, np.repeat(values, horizon), nan_to_null=True) for name, values in forecasts.diagnostics.items()]
    return future.table.select(SERIES, TIME).hstack(series)


def never_negative(known: Panel) -> np.ndarray:
    """Return which series were never below zero, shape (n_series,)."""
    if not known.n_series:
        return np.zeros(0, bool)
    return np.minimum.reduceat(np.nan_to_num(known.target), known.offsets[:-1]) >= 0


def forecasts_at(rows: pl.DataFrame, panel: Panel, cutoff: Cutoff) -> pl.DataFrame:
    """Return the forecasts that were made at a cutoff, without what happened."""
    series, ends = series_at(panel, cutoff), cutoff.ends(panel)
    last = panel.table.select(SERIES)[panel.offsets[series]].with_columns(cutoff=last_instants(panel, series, ends))
    return rows.drop("actual").join(last, on=[SERIES, "cutoff"], how="semi", maintain_order="left")


def forecast_beyond(
    fitted: FittedForecaster,
    panel: Panel,
    cutoff: Cutoff,
    context: ForecastContext,
    horizon: int,
    paths: int = 0,
    postprocess: Callable[[pl.DataFrame], pl.DataFrame] = lambda rows: rows,
) -> pl.DataFrame:
    """Return the forecasts after the last rows: `series_id, cutoff, time, step, mean` and the quantiles.

    Args:
        fitted: The model.
        panel: The whole data.
        cutoff: Its end.
        context: With the levels and the season.
        horizon: Steps.
        paths: Sample paths to keep of each series, where the model can draw them.
        postprocess: From its rows to those that are shown.

    Raises:
        DataError: The panel has known-future columns and the plan lacks one of them.
    """
    series, ends = series_at(panel, cutoff), cutoff.ends(panel)
    known = known_at(select(panel, series), cutoff)
    future = future_of(panel, series, ends, horizon)
    rows = _laid_out(fitted.predict(known, future), known, future, context)
    rows = with_paths(rows, fitted, known, future, context, cutoff.label, paths)
    rows = postprocess(rows.filter(_planned(panel, future)) if panel.roles.known_future else rows)
    hidden = ("scale_", "short_", "season", "fallback", NONNEGATIVE, "search")
    return rows.select(name for name in ordered(rows.columns) if name in rows.columns and not name.startswith(hidden))


def _planned(panel: Panel, future: Panel) -> pl.Series:
    """Return which rows the plan covers; a series may end before the horizon, but no column of a planned row may be missing.

    Of what is itself a forecast some rows may be missing, as in the past.
    """
    names = panel.planned
    for name in panel.roles.known_future:
        if future.table[name].null_count() == len(future.table):
            raise DataError(
                f"predict: known-future column '{name}' has no value after {panel.table[TIME].max()!s}; {_cure(panel, name)}"
            )
    if not names:
        return pl.Series([True]).new_from_index(0, len(future.table))
    covered = future.table.select(pl.any_horizontal(pl.col(names).is_not_null())).to_series()
    for name in names:
        hole = (covered & future.table[name].is_null()).arg_true()
        if len(hole):
            row = future.table.row(hole[0], named=True)
            raise DataError(f"predict: series '{row[SERIES]}' has no planned '{name}' at {row[TIME]}.")
    return covered


def _cure(panel: Panel, name: str) -> str:
    if name in panel.planned:
        return "give a plan with --future."
    assert panel.vintages is not None
    source = panel.vintages.sources[name]
    return f"it is {source}, which has forecast nothing there; hwds predict of that run does."


def with_paths(
    table: pl.DataFrame,
    fitted: FittedForecaster,
    known: Panel,
    future: Panel,
    context: ForecastContext,
    cutoff: str,
    count: int,
) -> pl.DataFrame:
    """Return the rows of forecasts with a column of draws, null where the model cannot draw; the same rows for a count of 0.

    The random numbers of a series are named by it, the fold and the cutoff, so that no cut of the work shows in them.

    Args:
        table: One row for each series of `known` and each step, in their order.
        fitted: What has forecast them.
        known: The history.
        future: The rows to forecast.
        context: Names the random streams.
        cutoff: The label of the cutoff.
        count: Paths of a series.
    """
    if not count:
        return table
    if not isinstance(fitted, SamplingForecaster) or not known.n_series:
        return without_draws(table, count)
    streams = [context.stream(PATHS, series, cutoff) for series in known.series_ids]
    drawn = fitted.sample(known, future, count, streams).astype(np.float32)
    rows = np.ascontiguousarray(drawn.transpose(0, 2, 1)).reshape(len(table), count)
    return table.with_columns(pl.Series(PATHS, rows, pl.Array(pl.Float32, count)))


def without_draws(table: pl.DataFrame, count: int) -> pl.DataFrame:
    """Return the rows with a column of draws that is null; the same rows for a count of 0."""
    return table.with_columns(pl.lit(None, pl.Array(pl.Float32, count)).alias(PATHS)) if count else table


def all_cutoffs(
    fitted: FittedForecaster, panel: Panel, cutoffs: Sequence[Cutoff], horizon: int, sliding: int | None
) -> Sequence[Forecasts | None]:
    """Return the forecasts of the series at each cutoff; None for each where they must be made one by one.

    Args:
        fitted: The model.
        panel: The whole data.
        cutoffs: Those that the fit serves.
        horizon: Steps.
        sliding: Rows of history that may be seen at most.
    """
    if len(cutoffs) < 2 or sliding or not isinstance(fitted, WalkingForecaster) or not _one_past(panel):
        return [None] * len(cutoffs)
    ends = np.stack([_asked_ends(panel, cutoff) for cutoff in cutoffs], 1)
    longest = ends.max(1)
    series = np.flatnonzero(longest)
    if not len(series):
        return [None] * len(cutoffs)
    known = replace(select(panel, series).until(longest[series]), plan=None)
    return fitted.predict_at(known.followed_by(future_of(panel, series, longest, horizon)), ends[series], horizon)


def _one_past(panel: Panel) -> bool:
    """Return whether a row is the same at every cutoff that knows it: no revisions, no vintages, no plan that fills holes."""
    planned = panel.roles.known_future if panel.plan is not None else ()
    revised = panel.roles.available_at or panel.vintages
    return not revised and not any(panel.table[name].null_count() for name in planned)


def _asked_ends(panel: Panel, cutoff: Cutoff) -> np.ndarray:
    """Return the number of known rows of each series, 0 where it is not forecast."""
    ends = cutoff.ends(panel)
    return np.where(cutoff.alive(panel, ends), ends, 0)
