"""Inner windows: what a model would have forecast before the cutoff, asked by another model, and computed once."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from hwds.context import Context
from hwds.execution.cache import CellCache
from hwds.execution.job import Outcome
from hwds.execution.keys import code_digest, libraries, machine, uses_features
from hwds.frames.panel import Panel
from hwds.frames.roles import TIME
from hwds.hashing import digest
from hwds.models.forecast.base import Forecaster
from hwds.protocols.base import Cell, Fold
from hwds.protocols.cutting import AtTime, Cutoff, FromEnd
from hwds.protocols.forecasting import ask_forecasts
from hwds.recipe import canonical


@dataclass(frozen=True)
class InnerWindows:
    """Asks members on windows that end with the history; the rows go through the cell cache.

    Attributes:
        folder: Where finished cells lie.
    """

    folder: Path

    def __call__(self, model: Forecaster, history: Panel, windows: int, context: Context) -> pl.DataFrame:
        """See `Context.inner`."""
        asked = [self._window(model, history, context, back) for back in range(windows, 0, -1)]
        answered = [rows for rows in asked if not rows.is_empty()]
        return pl.concat(answered) if answered else pl.DataFrame()

    def _window(self, model: Forecaster, history: Panel, context: Context, back: int) -> pl.DataFrame:
        """The rows of one window, the last for `back` 1; another number of windows asks for the same ones."""
        cutoff = _cutoff(history, context, back)
        fold = Fold(0, f"{context.fold}, inner window {back} of {context.horizon}", history.n_series, (cutoff,))
        cell = Cell(model.name, fold, 0, history.n_series)
        cache, key = CellCache(self.folder), self._key(model, history, fold, context)
        kept = cache.get(key, cell)
        if kept is not None and kept.rows is not None:
            return kept.rows
        began = time.perf_counter()
        rows = ask_forecasts(model, history, cell, replace(context, fold=fold.name))
        cache.put(key, Outcome(cell, rows, time.perf_counter() - began))
        return rows

    def _key(self, model: Forecaster, history: Panel, fold: Fold, context: Context) -> str:
        """All that the rows depend on; the history counts by its content, whoever cut it."""
        features = canonical(context.features) if uses_features(model) else None
        return digest(
            {
                "inner": [history.fingerprint, fold.name, repr(fold.cutoffs)],
                "model": canonical(model),
                "features": features,
                "asked": [list(context.levels), context.season, context.horizon],
                "seed": context.seed,
                "code": code_digest([model, *([context.features] if features else [])]),  # type: ignore[list-item]
                "threads": context.cpus,
                "device": context.device,
                "machine": machine(),
                "libraries": libraries(),
            }
        )


def _cutoff(history: Panel, context: Context, back: int) -> Cutoff:
    """So many horizons before the end: of the calendar, where series share one, else of each series."""
    rows = context.horizon * back
    if context.align == "end":
        return FromEnd(rows)
    last = pl.Series([history.table[TIME].max()], dtype=history.table.schema[TIME])
    return AtTime(history.frequency.after(last, -rows)[0])
