"""Forecasts as rows of predictions, and the inner backtests that models and protocols share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series

from hwds.core.cache import Cache
from hwds.core.errors import DataError
from hwds.core.files import digest
from hwds.core.keys import key_of
from hwds.core.recipe import uses_features
from hwds.core.serialization import Serializable
from hwds.evaluation.cells import FORECASTS, ROWS, TimedRows, inner_fit
from hwds.evaluation.panel_folds import (
    AtTime,
    Cutoff,
    FromEnd,
    future_of,
    last_instants,
    panel_known_at,
    rows_after,
    select_series,
    series_at,
)
from hwds.evaluation.protocol import Cell, Fold
from hwds.forecast.metrics import last_season, seasonal_scales, short_scales
from hwds.forecast.models.base import (
    FittedForecaster,
    ForecastContext,
    Forecaster,
    LaunchingForecaster,
    SamplingForecaster,
    WalkingForecaster,
)
from hwds.frames.panel import FALLBACK_KIND, Forecasts, Panel
from hwds.frames.roles import SERIES, TIME

# Asking a forecaster at cutoffs, and the rows that come of it: shared by the protocols of
# panels.

PATHS = "paths"
"""The column of a predictions table that holds the draws of its row: draw j of all steps of a
series is one path.
"""

LEVELS = (0.1, 0.5, 0.9)

WINDOW, NONNEGATIVE, AVAILABLE, EXISTS = "window", "nonnegative", "available_at", "exists"
RAW = (WINDOW, NONNEGATIVE, AVAILABLE, EXISTS)
"""Columns that rows bear until they are settled: the number of their cutoff (none for the true
law), whether the series was never below zero, when the actual was out, where the panel says it, and
whether the data has such a row, where rows beyond the end of a series are kept.
"""

KNOWN_SHARE = "known_share"
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
    sliding: int | None,
    paths: int = 0,
    whole: bool = False,
    inner: int = 0,
    first: int = 0,
) -> DataFrame:
    """Fit at the fold's first cutoff, then forecast from each of its cutoffs; the rows of all.

    Those of inner windows are beside them: `window` is 0 at the first cutoff and counts on, and
    back.

    Args:
        model: The recipe to fit.
        panel: The whole data; it is cut here.
        cell: The fold, and the series of it.
        context: The context with the levels and the season.
        horizon: The steps that the model forecasts, those of the gap among them.
        gap: Steps after the cutoff that are forecast but not scored.
        sliding: Rows of history that a fit may see at most.
        paths: Sample paths to keep of each series, where the model can draw them.
        whole: Keep the forecasts of a series that has ended before the horizon, marked by `exists`.
        inner: Windows before the first cutoff that are forecast too.
        first: The number of the first cutoff.
    """
    block, fitted_at = panel.block(cell.start, cell.stop), cell.fold.cutoffs[0]
    history = panel_known_at(block, fitted_at, sliding)
    if not history.n_series:
        return DataFrame()
    inside = replace(
        context,
        known_until=fitted_at.instant if isinstance(fitted_at, AtTime) else None,
        sliding=sliding,
    )
    fitted = model.learn(history, horizon=horizon, context=inside)
    together = all_cutoffs(fitted, block, cell.fold.cutoffs, horizon, sliding)
    parts = []
    asked = zip(cell.fold.cutoffs, together, strict=True)
    for number, (cutoff, forecasts) in enumerate(asked, first):
        rows = forecast_rows(
            fitted, block, cutoff, context, horizon, gap, sliding, paths, forecasts, whole=whole
        )
        window = pl.lit(None if model.true_law else number, pl.Int32).alias(WINDOW)
        parts += [] if rows.is_empty() else [rows.with_columns(window)]
    if inner and not model.true_law:
        known = panel_known_at(block, fitted_at)
        earlier = model.backtest(known, inner, horizon=horizon, context=inside)
        earlier = earlier.drop(KNOWN_SHARE, strict=False)
        there = [pl.lit(True).alias(EXISTS)] if whole else []
        parts += [] if earlier.is_empty() else [without_draws(earlier.with_columns(there), paths)]
    ordered = [rows.select(prediction_columns(rows.columns)) for rows in parts]
    return pl.concat(ordered) if ordered else DataFrame()


def forecast_rows(
    fitted: FittedForecaster,
    panel: Panel,
    cutoff: Cutoff,
    context: ForecastContext,
    horizon: int,
    gap: int,
    sliding: int | None,
    paths: int,
    forecasts: Forecasts | None,
    *,
    whole: bool,
) -> DataFrame:
    """Return the forecasts from one cutoff beside what happened, one row for each that did.

    Made unless they are given.

    With `whole` the others are kept too, and marked.
    """
    series, ends = series_at(panel, cutoff), cutoff.ends(panel)
    if not len(series):
        return DataFrame()
    known = panel_known_at(select_series(panel, series), cutoff)
    future = future_of(panel, series, ends, horizon)
    seen = known.last(sliding) if sliding else known
    if not known.n_series:
        forecasts = _launch_forecasts(fitted, panel_known_at(panel, cutoff, sliding), future)
    forecasts = fitted.predict(seen, future) if forecasts is None else forecasts
    where, exists = rows_after(panel, series, ends, horizon)
    exists[:, :gap] = False
    table = _forecast_table(forecasts, known, future, context)
    table = with_paths(table, fitted, seen, future, context, cutoff.label, paths)
    table = table.with_columns(_outcomes(panel, where, exists, whole=whole))
    shown = (np.arange(horizon) >= gap) & (exists | whole)
    return table.filter(Series(shown.ravel())).select(prediction_columns(table.columns))


def _outcomes(panel: Panel, where: ndarray, exists: ndarray, *, whole: bool) -> list[Series]:
    """Return for each forecast row the actual, when it became known, and whether the row exists, as
    far as they are needed.
    """
    at, there = np.where(exists, where, 0).ravel(), exists.ravel()
    columns = [Series("actual", np.where(there, panel.target[at], np.nan), nan_to_null=True)]
    if panel.roles.available_at:
        columns.append(panel.table[panel.roles.available_at].gather(at).alias(AVAILABLE))
    return [*columns, Series(EXISTS, there)] if whole else columns


def prediction_columns(columns: list[str]) -> list[str]:
    """Return the columns of predictions in the order people read them.

    What only `settle` reads comes last.
    """
    first = [SERIES, "cutoff", TIME, "step", "actual", "mean"]
    last = [name for name in (PATHS, *RAW) if name in columns]
    return [*first, *(name for name in columns if name not in (*first, *last)), *last]


def _launch_forecasts(fitted: FittedForecaster, known: Panel, future: Panel) -> Forecasts:
    """Return the forecasts of series without a row; `known` are the others."""
    if not isinstance(fitted, LaunchingForecaster):
        raise TypeError(f"{type(fitted).__name__} cannot forecast a series without a row.")
    return fitted.launch(known, future)


def _forecast_table(
    forecasts: Forecasts, known: Panel, future: Panel, context: ForecastContext
) -> DataFrame:
    n, horizon = forecasts.mean.shape
    if known.n_series:
        series = known.target, known.offsets, known.season
        scales = np.stack([*seasonal_scales(*series), *short_scales(*series)])
        naive = last_season(*series, horizon)
        cut, signs = known.table[TIME].gather(known.offsets[1:] - 1), nonnegative_series(known)
    else:  # launches: nothing is known of them
        scales, naive = np.full((4, n), np.nan), np.full((n, horizon), np.nan)
        first = future.table[TIME].gather(future.offsets[:-1])
        cut, signs = known.frequency.after(first, -1), np.zeros(n, bool)
    quantiles = forecasts.quantiles.astype(float, copy=False)
    names = ("scale_abs", "scale_sq", "short_scale_abs", "short_scale_sq")
    columns: dict[str, Any] = {
        "step": np.tile(np.arange(1, horizon + 1, dtype=np.int32), n),
        # a model of a user's own may answer in another precision
        "mean": forecasts.mean.ravel().astype(float, copy=False),
        **{
            quantile_name(level): quantiles[..., i].ravel()
            for i, level in enumerate(context.levels)
        },
        "seasonal_naive": naive.ravel(),
        **{name: np.repeat(scale, horizon) for name, scale in zip(names, scales, strict=True)},
        "season": np.full(n * horizon, known.season, np.int32),
        "fallback": np.repeat(forecasts.fallback, horizon),
        FALLBACK_KIND: Series(forecasts.kinds.repeat(horizon).tolist(), dtype=pl.String),
        NONNEGATIVE: np.repeat(signs, horizon),
        "cutoff": cut.gather(np.repeat(np.arange(n), horizon)),
        **{name: np.repeat(each, horizon) for name, each in forecasts.diagnostics.items()},
    }
    made = [Series(name, values, nan_to_null=True) for name, values in columns.items()]
    return future.table.select(SERIES, TIME).hstack(made)


def nonnegative_series(known: Panel) -> ndarray:
    """Return which series were never below zero, shape (n_series,)."""
    if not known.n_series:
        return np.zeros(0, bool)
    return np.minimum.reduceat(np.nan_to_num(known.target), known.offsets[:-1]) >= 0


def forecasts_at(rows: DataFrame, panel: Panel, cutoff: Cutoff) -> DataFrame:
    """Return the forecasts that were made at a cutoff, without what happened."""
    series, ends = series_at(panel, cutoff), cutoff.ends(panel)
    last = panel.table.select(SERIES)[panel.offsets[series]].with_columns(
        cutoff=last_instants(panel, series, ends)
    )
    return rows.drop("actual").join(last, on=[SERIES, "cutoff"], how="semi", maintain_order="left")


def forecast_beyond(
    fitted: FittedForecaster,
    panel: Panel,
    cutoff: Cutoff,
    context: ForecastContext,
    horizon: int,
    paths: int,
    postprocess: Callable[[DataFrame], DataFrame],
) -> DataFrame:
    """Return the forecasts after the last rows: `series_id, cutoff, time, step, mean` and the
    quantiles.

    Args:
        fitted: The model.
        panel: The whole data.
        cutoff: Its end.
        context: The context with the levels and the season.
        horizon: Steps.
        paths: Sample paths to keep of each series, where the model can draw them.
        postprocess: The function from its rows to those that are shown.

    Raises:
        DataError: The panel has known-future columns and the plan lacks one of them.
    """
    series, ends = series_at(panel, cutoff), cutoff.ends(panel)
    known = panel_known_at(select_series(panel, series), cutoff)
    future = future_of(panel, series, ends, horizon)
    rows = _forecast_table(fitted.predict(known, future), known, future, context)
    rows = with_paths(rows, fitted, known, future, context, cutoff.label, paths)
    if panel.roles.known_future:
        rows = rows.filter(_plan_covers(panel, future))
    rows = postprocess(rows)
    hidden = ("scale_", "short_", "season", "fallback", NONNEGATIVE, "search")
    return rows.select(
        name
        for name in prediction_columns(rows.columns)
        if name in rows.columns and not name.startswith(hidden)
    )


def _plan_covers(panel: Panel, future: Panel) -> Series:
    """Return which rows the plan covers.

    A series may end before the horizon, but no column of a planned row may be missing.

    Of what is itself a forecast some rows may be missing, as in the past.
    """
    names = panel.planned
    for name in panel.roles.known_future:
        if future.table[name].null_count() == len(future.table):
            raise DataError(
                f"predict: known-future column '{name}' has no value after "
                f"{panel.table[TIME].max()!s}; {_plan_advice(panel, name)}"
            )
    if not names:
        return Series([True]).new_from_index(0, len(future.table))
    covered = future.table.select(pl.any_horizontal(pl.col(names).is_not_null())).to_series()
    for name in names:
        hole = (covered & future.table[name].is_null()).arg_true()
        if len(hole):
            row = future.table.row(hole[0], named=True)
            raise DataError(
                f"predict: series '{row[SERIES]}' has no planned '{name}' at {row[TIME]}."
            )
    return covered


def _plan_advice(panel: Panel, name: str) -> str:
    if name in panel.planned:
        return "give a plan with --future."
    assert panel.vintages is not None
    source = panel.vintages.sources[name]
    return f"it is {source}, which has forecast nothing there; hwds predict of that run does."


def with_paths(
    table: DataFrame,
    fitted: FittedForecaster,
    known: Panel,
    future: Panel,
    context: ForecastContext,
    cutoff: str,
    count: int,
) -> DataFrame:
    """Return the rows of forecasts with a column of draws, null where the model cannot draw.

    The same rows for a count of 0.

    The random numbers of a series are named by it, the fold and the cutoff, so that no cut of the
    work shows in them.

    Args:
        table: One row for each series of `known` and each step, in their order.
        fitted: The model that has forecast them.
        known: The history.
        future: The rows to forecast.
        context: The context that names the random streams.
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
    return table.with_columns(Series(PATHS, rows, pl.Array(pl.Float32, count)))


def without_draws(table: DataFrame, count: int) -> DataFrame:
    """Return the rows with a column of draws that is null; the same rows for a count of 0."""
    draws = pl.lit(None, pl.Array(pl.Float32, count)).alias(PATHS)
    return table.with_columns(draws) if count else table


def all_cutoffs(
    fitted: FittedForecaster,
    panel: Panel,
    cutoffs: Sequence[Cutoff],
    horizon: int,
    sliding: int | None,
) -> Sequence[Forecasts | None]:
    """Return the forecasts of the series at each cutoff.

    None for each where they must be made one by one.

    Args:
        fitted: The model.
        panel: The whole data.
        cutoffs: The cutoffs that the fit serves.
        horizon: Steps.
        sliding: Rows of history that may be seen at most.
    """
    if (
        len(cutoffs) < 2
        or sliding
        or not isinstance(fitted, WalkingForecaster)
        or not _has_one_past(panel)
    ):
        return [None] * len(cutoffs)
    ends = np.stack([_known_ends(panel, cutoff) for cutoff in cutoffs], 1)
    longest = ends.max(1)
    series = np.flatnonzero(longest)
    if not len(series):
        return [None] * len(cutoffs)
    known = replace(select_series(panel, series).until(longest[series]), plan=None)
    whole = known.followed_by(future_of(panel, series, longest, horizon))
    return fitted.predict_at(whole, ends[series], horizon)


def _has_one_past(panel: Panel) -> bool:
    """Return whether a row is the same at every cutoff that knows it: no revisions, no vintages, no
    plan that fills holes.
    """
    planned = panel.roles.known_future if panel.plan is not None else ()
    revised = panel.roles.available_at or panel.vintages
    return not revised and not any(panel.table[name].null_count() for name in planned)


def _known_ends(panel: Panel, cutoff: Cutoff) -> ndarray:
    """Return the number of known rows of each series, 0 where it is not forecast."""
    ends = cutoff.ends(panel)
    return np.where(cutoff.alive(panel, ends), ends, 0)


# Inner backtests: forecasts of windows before the cutoff, which models ask of each other, each
# computed once.


@dataclass(frozen=True)
class InnerBacktests:
    """Backtests of members on windows that end with the history, and fitted members, kept in the
    cache.

    Attributes:
        cache: The cache that the rows are kept in.
    """

    cache: Cache

    def inner(
        self,
        model: Forecaster,
        history: Panel,
        windows: int,
        *,
        horizon: int,
        context: ForecastContext,
        refit: bool,
    ) -> DataFrame:
        """Return the rows of all windows; see `ForecastContext.inner`."""
        cutoffs = {
            back: _cutoff(history, context, horizon * back) for back in range(windows, 0, -1)
        }
        member = InnerMember(self.cache, model, history, horizon, context)
        parts = member.windows(cutoffs) if refit else member.windows_of_one_fit(cutoffs)
        known = [rows for rows in parts if not rows.is_empty()]
        return pl.concat(known) if known else DataFrame()

    def fitted(
        self, model: Forecaster, history: Panel, *, horizon: int, context: ForecastContext
    ) -> CachedMember:
        """Return the member, which is fitted when its forecasts are not in the cache.

        See `ForecastContext.fitted`.
        """
        fold = Fold(0, f"{context.fold}, member", history.n_series)
        fit = partial(model.learn, history, horizon=horizon, context=context)
        member = InnerMember(self.cache, model, history, horizon, context)
        return CachedMember(member.key(fold), self.cache, fit)


@dataclass(frozen=True, eq=False)
class InnerMember:
    """A forecaster that is asked for windows before the end of a history.

    Attributes:
        cache: The cache that its rows are kept in.
        model: The forecaster.
        history: All that may be known.
        horizon: The rows of a window.
        context: The context of the model that asks.
    """

    cache: Cache
    model: Forecaster
    history: Panel
    horizon: int
    context: ForecastContext

    def windows(self, cutoffs: dict[int, Cutoff]) -> Iterator[DataFrame]:
        """Yield the rows of each window, from a fit of its own.

        Another number of windows has the same ones.

        Args:
            cutoffs: The cutoff of each window by its number from the end, 1 for the last.
        """
        for back, cutoff in cutoffs.items():
            name = f"{self.context.fold}, inner window {back} of {self.horizon}"
            yield self._rows(Fold(0, name, self.history.n_series, (cutoff,)), back)

    def windows_of_one_fit(self, cutoffs: dict[int, Cutoff]) -> Iterator[DataFrame]:
        """Yield the rows of all windows from one fit.

        Of a local model, from a fit of each series before each window.

        Of a series that is fitted alone the length of the history decides how it errs, and blocks
        of series change nothing.
        """
        history = self.history
        usable = {back: _usable_series(history, cutoff) for back, cutoff in cutoffs.items()}
        earliest = max((back for back, series in usable.items() if series.any()), default=0)
        fits = [(earliest, np.ones(history.n_series, bool), earliest)]
        if self.model.local:
            fits = [(back, series, 1) for back, series in usable.items()]
        for begin, chosen, count in fits:
            if begin and chosen.any():
                part = history if chosen.all() else select_series(history, np.flatnonzero(chosen))
                served = tuple(
                    cutoff for back, cutoff in cutoffs.items() if begin - count < back <= begin
                )
                name = f"{self.context.fold}, {count} from inner window {begin} of {self.horizon}"
                fold = Fold(0, name, part.n_series, served)
                rows = replace(self, history=part)._rows(fold, begin)
                yield rows if rows.is_empty() else _usable_rows(rows, history, usable)

    def _rows(self, fold: Fold, back: int) -> DataFrame:
        """Return the rows of a fold whose first cutoff lies before the window `back`, cached or
        computed by one worker.
        """
        model, history = self.model, self.history

        def make() -> TimedRows:
            began = time.perf_counter()
            cell = Cell(model.name, fold, 0, history.n_series)
            inside, sliding = replace(self.context, fold=fold.name), self.context.sliding
            with inner_fit(model.name, fold.name):
                rows = fit_and_forecast(
                    model, history, cell, inside, horizon=self.horizon, sliding=sliding
                )
            if not rows.is_empty():
                rows = _with_shares(rows, history, fold).with_columns(pl.col(WINDOW) - back)
            return TimedRows(rows, time.perf_counter() - began)

        return self.cache.get_or_make(self.key(fold), ROWS, make).rows

    def key(self, fold: Fold) -> str:
        """Return the key of rows or of a fitted member; the history counts by its content."""
        context = self.context
        settings = {
            "model": self.model,
            "features": context.features if uses_features(self.model) else None,
            "asked": [
                context.levels,
                context.season,
                self.horizon,
                context.sliding,
                context.align,
                repr(context.known_until),
            ],
        }
        data = [self.history.fingerprint, fold.name, repr(fold.cutoffs)]
        return key_of("windows", data, settings, context.conditions, __name__)


def _cutoff(history: Panel, context: ForecastContext, rows: int) -> Cutoff:
    """Return the cutoff so many rows before the end: of the calendar, where series share one, else
    of each series.
    """
    if context.align == "end":
        return FromEnd(rows)
    last = history.table[TIME].max() if context.known_until is None else context.known_until
    instant = Series([last], dtype=history.table.schema[TIME])
    return AtTime(history.frequency.after(instant, -rows)[0])


def _usable_series(history: Panel, cutoff: Cutoff) -> ndarray:
    """Return which series are forecast at a cutoff: those that have begun, and under their own ends
    keep half of their rows.

    On a calendar young series are as young at an inner cutoff as others are at the real one;
    counted back from its end, a series is only ever shorter there, and what is forecast from a few
    rows says nothing of a long history.
    """
    ends = cutoff.ends(history)
    alive = cutoff.alive(history, ends)
    return alive & (2 * ends >= history.lengths) if isinstance(cutoff, FromEnd) else alive


def _with_shares(rows: DataFrame, history: Panel, fold: Fold) -> DataFrame:
    """Return rows with the share of the history's rows that were known before their window, counted
    from 0.
    """
    if rows[WINDOW].null_count():  # a true law is no member
        return rows
    known = [
        cutoff.ends(history).clip(0).sum() / max(history.lengths.sum(), 1)
        for cutoff in fold.cutoffs
    ]
    return rows.with_columns(Series(KNOWN_SHARE, np.array(known)[rows[WINDOW].to_numpy()]))


def _usable_rows(rows: DataFrame, history: Panel, usable: dict[int, ndarray]) -> DataFrame:
    """Return the rows of the windows in which their series is usable."""
    parts = [
        DataFrame({SERIES: history.series_ids.filter(Series(series))}).with_columns(
            pl.lit(-back, pl.Int32).alias(WINDOW)
        )
        for back, series in usable.items()
    ]
    return rows.join(pl.concat(parts), on=[SERIES, WINDOW], how="semi", maintain_order="left")


@dataclass
class CachedMember(Serializable):
    """A fitted forecaster whose forecasts lie in the cache.

    Attributes:
        key: The key of the model, its settings and what it is fitted on.
        cache: The cache that its forecasts are kept in.
        fit: Makes the fitted model.
    """

    key: str
    cache: Cache
    fit: Callable[[], FittedForecaster]

    @cached_property
    def own(self) -> FittedForecaster:
        """The fitted model itself: what is saved."""
        return self.fit()

    def stored_as(self) -> FittedForecaster:
        """Return the fitted model itself."""
        return self.own

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Return the forecasts of the fitted model, which is not fitted where they are in the
        cache.
        """
        key = digest([self.key, history.fingerprint, future.fingerprint])
        return self.cache.get_or_make(key, FORECASTS, lambda: self.own.predict(history, future))
