"""Inner backtests: forecasts of windows before the cutoff, which models ask of each other, each computed once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import polars as pl

from hwds.core.cache import Cache
from hwds.core.hashing import digest
from hwds.core.recipe import uses_features
from hwds.core.serialization import Serializable
from hwds.core.watching.learning import inner_fit
from hwds.evaluation.base import Cell
from hwds.evaluation.codecs import FORECASTS, ROWS, TimedRows
from hwds.evaluation.keys import key_of
from hwds.forecast.context import ForecastContext
from hwds.forecast.models.base import FittedForecaster, Forecaster
from hwds.forecast.protocols.rows.predictions import KNOWN, WINDOW, fit_and_forecast
from hwds.frames.forecasts import Forecasts
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TIME
from hwds.splitting.cutoffs import AtTime, Cutoff, FromEnd, select
from hwds.splitting.fold import Fold


@dataclass(frozen=True)
class InnerBacktests:
    """Backtests of members on windows that end with the history, and fitted members, kept in the cache.

    Attributes:
        cache: Where the rows lie.
    """

    cache: Cache

    def inner(
        self, model: Forecaster, history: Panel, windows: int, *, horizon: int, context: ForecastContext, refit: bool
    ) -> pl.DataFrame:
        """Return the rows of all windows; see `ForecastContext.inner`."""
        cutoffs = {back: _cutoff(history, context, horizon * back) for back in range(windows, 0, -1)}
        if refit:
            parts = [self._window(model, history, horizon, context, back, cutoff) for back, cutoff in cutoffs.items()]
        else:
            parts = list(self._once(model, history, horizon, context, cutoffs))
        parts = [rows for rows in parts if not rows.is_empty()]
        return pl.concat(parts) if parts else pl.DataFrame()

    def fitted(self, model: Forecaster, history: Panel, *, horizon: int, context: ForecastContext) -> CachedMember:
        """Return the member, which is fitted when its forecasts are not in the cache; see `ForecastContext.fitted`."""
        fold = Fold(0, f"{context.fold}, member", history.n_series)
        fit = partial(model.learn, history, horizon=horizon, context=context)
        return CachedMember(self._key(model, history, horizon, fold, context), self.cache, fit)

    def _window(
        self, model: Forecaster, history: Panel, horizon: int, context: ForecastContext, back: int, cutoff: Cutoff
    ) -> pl.DataFrame:
        """Return the rows of one window, the last for `back` 1; another number of windows has the same ones."""
        fold = Fold(0, f"{context.fold}, inner window {back} of {horizon}", history.n_series, (cutoff,))
        return self._rows(model, history, horizon, fold, context, back)

    def _once(
        self, model: Forecaster, history: Panel, horizon: int, context: ForecastContext, cutoffs: dict[int, Cutoff]
    ) -> Iterator[pl.DataFrame]:
        """Yield the rows of all windows from one fit; of a local model, from a fit of each series before each window.

        Of a series that is fitted alone the length of the history decides how it errs, and blocks of series change nothing.
        """
        usable = {back: _usable(history, cutoff) for back, cutoff in cutoffs.items()}
        earliest = max((back for back, series in usable.items() if series.any()), default=0)
        every = np.ones(history.n_series, bool)
        fits = [(back, series, 1) for back, series in usable.items()] if model.local else [(earliest, every, earliest)]
        for begin, chosen, count in fits:
            if begin and chosen.any():
                part = history if chosen.all() else select(history, np.flatnonzero(chosen))
                cutoffs_of_fit = tuple(cutoff for back, cutoff in cutoffs.items() if begin - count < back <= begin)
                fold = Fold(0, f"{context.fold}, {count} from inner window {begin} of {horizon}", part.n_series, cutoffs_of_fit)
                rows = self._rows(model, part, horizon, fold, context, begin)
                yield rows if rows.is_empty() else _usable_rows(rows, history, usable)

    def _rows(
        self, model: Forecaster, history: Panel, horizon: int, fold: Fold, context: ForecastContext, back: int
    ) -> pl.DataFrame:
        """Return the rows of a fold whose first cutoff lies before the window `back`, cached or computed by one worker."""
        cell = Cell(model.name, fold, 0, history.n_series)

        def make() -> TimedRows:
            began = time.perf_counter()
            inside = replace(context, fold=fold.name)
            with inner_fit(model.name, fold.name):
                rows = fit_and_forecast(model, history, cell, inside, horizon=horizon, sliding=context.sliding)
            rows = rows if rows.is_empty() else _with_shares(rows, history, fold).with_columns(pl.col(WINDOW) - back)
            return TimedRows(rows, time.perf_counter() - began)

        return self.cache.get_or_make(self._key(model, history, horizon, fold, context), ROWS, make).rows

    @staticmethod
    def _key(model: Forecaster, history: Panel, horizon: int, fold: Fold, context: ForecastContext) -> str:
        """Return the key of rows or of a member; the history counts by its content."""
        settings = {
            "model": model,
            "features": context.features if uses_features(model) else None,
            "asked": [context.levels, context.season, horizon, context.sliding, context.align, repr(context.known_until)],
        }
        data = [history.fingerprint, fold.name, repr(fold.cutoffs)]
        return key_of("windows", data, settings, context.conditions, __name__)


def _cutoff(history: Panel, context: ForecastContext, rows: int) -> Cutoff:
    """Return the cutoff so many rows before the end: of the calendar, where series share one, else of each series."""
    if context.align == "end":
        return FromEnd(rows)
    last = history.table[TIME].max() if context.known_until is None else context.known_until
    return AtTime(history.frequency.after(pl.Series([last], dtype=history.table.schema[TIME]), -rows)[0])


def _usable(history: Panel, cutoff: Cutoff) -> np.ndarray:
    """Return which series are forecast at a cutoff: those that have begun, and under their own ends keep half of their rows.

    On a calendar young series are as young at an inner cutoff as others are at the real one; counted back from its end, a
    series is only ever shorter there, and what is forecast from a few rows says nothing of a long history.
    """
    ends = cutoff.ends(history)
    alive = cutoff.alive(history, ends)
    return alive & (2 * ends >= history.lengths) if isinstance(cutoff, FromEnd) else alive


def _with_shares(rows: pl.DataFrame, history: Panel, fold: Fold) -> pl.DataFrame:
    """Return rows with the share of the history's rows that were known before their window, counted from 0."""
    if rows[WINDOW].null_count():  # a true law is no member
        return rows
    known = [cutoff.ends(history).clip(0).sum() / max(history.lengths.sum(), 1) for cutoff in fold.cutoffs]
    return rows.with_columns(pl.Series(KNOWN, np.array(known)[rows[WINDOW].to_numpy()]))


def _usable_rows(rows: pl.DataFrame, history: Panel, usable: dict[int, np.ndarray]) -> pl.DataFrame:
    """Return the rows of the windows in which their series is usable."""
    parts = [
        pl.DataFrame({SERIES: history.series_ids.filter(pl.Series(series))}).with_columns(pl.lit(-back, pl.Int32).alias(WINDOW))
        for back, series in usable.items()
    ]
    return rows.join(pl.concat(parts), on=[SERIES, WINDOW], how="semi", maintain_order="left")


@dataclass
class CachedMember(Serializable):
    """A fitted forecaster whose forecasts lie in the cache.

    Attributes:
        key: Names the model, its settings and what it is fitted on.
        cache: Where its forecasts lie.
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
        """Return the forecasts of the fitted model, which is not fitted where they are in the cache."""
        key = digest([self.key, history.fingerprint, future.fingerprint])
        return self.cache.get_or_make(key, FORECASTS, lambda: self.own.predict(history, future))
