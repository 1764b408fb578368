"""Inner windows: what a model would have forecast before the cutoff, asked by another model, and computed once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from hwds.context import Context
from hwds.execution.cache import CellCache, alone
from hwds.execution.job import Outcome
from hwds.execution.kept_columns import kept_columns
from hwds.execution.kept_member import KeptMember
from hwds.execution.kept_scorer import kept_scorer
from hwds.execution.keys import libraries, machine
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TIME
from hwds.frames.table import Table
from hwds.hashing import digest
from hwds.models.forecast.base import Forecaster
from hwds.protocols.base import Cell, Fold
from hwds.protocols.cutting import AtTime, Cutoff, FromEnd, select
from hwds.protocols.forecasting import WINDOW, ask_forecasts
from hwds.recipe import Recipe, canonical, code_digest, uses_features


@dataclass(frozen=True)
class InnerWindows:
    """Asks members on windows that end with the history; the rows go through the cell cache.

    Attributes:
        folder: Where finished cells lie.
    """

    folder: Path

    def __call__(self, model: Forecaster, history: Panel, windows: int, context: Context, *, refit: bool) -> pl.DataFrame:
        """See `Context.inner`."""
        cutoffs = {back: _cutoff(history, context, back) for back in range(windows, 0, -1)}
        if refit:
            asked = [self._window(model, history, context, back, cutoff) for back, cutoff in cutoffs.items()]
        else:
            asked = list(self._once(model, history, context, cutoffs))
        answered = [rows for rows in asked if not rows.is_empty()]
        return pl.concat(answered) if answered else pl.DataFrame()

    def fitted(self, model: Forecaster, history: Panel, context: Context) -> KeptMember:
        """See `Context.fitted`."""
        fold = Fold(0, f"{context.fold}, member", history.n_series)
        fit = partial(model.fit, history, horizon=context.horizon, context=context)
        return KeptMember(self._key(model, history, fold, context), self.folder, fit)

    def learned(self, model: Recipe, train: Table, stop: Table, context: Context) -> Any:
        """See `Context.learned`."""
        asked: Any = model
        told = {"learned": [context.fold, train.fingerprint, stop.fingerprint]} | self._settings(model, context)
        return kept_scorer(digest(told), self.folder, lambda: asked.learn(train, stop=stop, context=context))

    def columns_of(self, features: Any, table: Table) -> pl.DataFrame:
        """See `Context.columns_of`."""
        return kept_columns(self.folder, features, table)

    def _window(self, model: Forecaster, history: Panel, context: Context, back: int, cutoff: Cutoff) -> pl.DataFrame:
        """The rows of one window, the last for `back` 1; another number of windows asks for the same ones."""
        fold = Fold(0, f"{context.fold}, inner window {back} of {context.horizon}", history.n_series, (cutoff,))
        return self._rows(model, history, fold, context, back)

    def _once(self, model: Forecaster, history: Panel, context: Context, cutoffs: dict[int, Cutoff]) -> Iterator[pl.DataFrame]:
        """The rows of all windows from one fit; what is fitted series by series, from a fit of each series before each window.

        Of a series that is fitted alone the length of the history decides how it errs, and blocks of series change nothing.
        """
        lawful = {back: _lawful(history, cutoff) for back, cutoff in cutoffs.items()}
        earliest = max((back for back, series in lawful.items() if series.any()), default=0)
        every = np.ones(history.n_series, bool)
        fits = [(back, series, 1) for back, series in lawful.items()] if model.local else [(earliest, every, earliest)]
        for begin, chosen, count in fits:
            if begin and chosen.any():
                part = history if chosen.all() else select(history, np.flatnonzero(chosen))
                served = tuple(cutoff for back, cutoff in cutoffs.items() if begin - count < back <= begin)
                fold = Fold(0, f"{context.fold}, {count} from inner window {begin} of {context.horizon}", part.n_series, served)
                rows = self._rows(model, part, fold, context, begin)
                yield rows if rows.is_empty() else _kept(rows, history, lawful)

    def _rows(self, model: Forecaster, history: Panel, fold: Fold, context: Context, back: int) -> pl.DataFrame:
        """The rows of a fold whose first cutoff lies before the window `back`, from the cache or asked now, by one worker."""
        cell = Cell(model.name, fold, 0, history.n_series)
        cache, key = CellCache(self.folder), self._key(model, history, fold, context)
        with alone(cache.path(key)):
            kept = cache.get(key, cell)
            if kept is not None and kept.rows is not None:
                return kept.rows
            began = time.perf_counter()
            rows = ask_forecasts(model, history, cell, replace(context, fold=fold.name), sliding=context.sliding)
            rows = rows if rows.is_empty() else rows.with_columns(pl.col(WINDOW) - back)
            cache.put(key, Outcome(cell, rows, time.perf_counter() - began))
            return rows

    def _key(self, model: Forecaster, history: Panel, fold: Fold, context: Context) -> str:
        """All that the rows depend on; the history counts by its content, whoever cut it."""
        features = canonical(context.features) if uses_features(model) else None
        return digest(
            {
                "inner": [history.fingerprint, fold.name, repr(fold.cutoffs)],
                "features": features,
                "asked": [list(context.levels), context.season, context.horizon, context.sliding],
            }
            | self._settings(model, context, *([context.features] if features else []))
        )

    @staticmethod
    def _settings(model: Recipe, context: Context, *others: Any) -> dict[str, Any]:
        """What the numbers of any model depend on besides what it is given; `others` are recipes whose code it runs."""
        return {
            "model": canonical(model),
            "seed": context.seed,
            "code": code_digest([model, *others]),
            "threads": context.cpus,
            "device": context.device,
            "machine": machine(),
            "libraries": libraries(),
        }


def _cutoff(history: Panel, context: Context, back: int) -> Cutoff:
    """So many horizons before the end: of the calendar, where series share one, else of each series."""
    rows = context.horizon * back
    if context.align == "end":
        return FromEnd(rows)
    last = history.table[TIME].max() if context.known_until is None else context.known_until
    return AtTime(history.frequency.after(pl.Series([last], dtype=history.table.schema[TIME]), -rows)[0])


def _lawful(history: Panel, cutoff: Cutoff) -> np.ndarray:
    """Which series are asked at a cutoff: those that have begun, and under their own ends kept half of their rows.

    On a calendar young series are as young at an inner cutoff as others are at the real one; counted back from its end, a
    series is only ever shorter there, and what is forecast from a few rows says nothing of a long history.
    """
    ends = cutoff.ends(history)
    asked = cutoff.alive(history, ends)
    return asked & (2 * ends >= history.lengths) if isinstance(cutoff, FromEnd) else asked


def _kept(rows: pl.DataFrame, history: Panel, lawful: dict[int, np.ndarray]) -> pl.DataFrame:
    """The rows of windows that their series has."""
    parts = [
        pl.DataFrame({SERIES: history.series_ids.filter(pl.Series(series))}).with_columns(pl.lit(-back, pl.Int32).alias(WINDOW))
        for back, series in lawful.items()
    ]
    return rows.join(pl.concat(parts), on=[SERIES, WINDOW], how="semi", maintain_order="left")
