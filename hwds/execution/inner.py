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
from hwds.hashing import digest
from hwds.models.forecast.base import Forecaster
from hwds.protocols.base import Cell, Fold
from hwds.protocols.cutting import FromEnd
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
        cutoffs = tuple(FromEnd(context.horizon * back) for back in range(windows, 0, -1))
        fold = Fold(0, f"{context.fold}, {windows} inner windows of {context.horizon}", history.n_series, cutoffs)
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
