"""RowContext: the context of a fit of a classifier of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import polars as pl

from hwds.evaluation.codecs import COLUMNS, FITTED
from hwds.evaluation.context import RunContext
from hwds.evaluation.keys import Conditions, key_of
from hwds.frames.table import Table


@dataclass(frozen=True, slots=True)
class RowContext(RunContext):
    """The seed, streams, device and cache that a classifier gets with its rows."""

    @classmethod
    def of(cls, run: RunContext) -> Self:
        """Return the context of a run's classifiers."""
        return cls(**run.shared())

    def learned(self, model: Any, train: Table, stop: Table) -> Any:
        """Return the scorer that a member classifier learns; a run learns it once for all models that have this member."""
        if self.cache is None:
            return model.learn(train, stop=stop, context=self)
        data = [self.fold, train.fingerprint, stop.fingerprint]
        key = key_of("scorer", data, {"model": model}, self.conditions, __name__)
        return self.cache.get_or_make(key, FITTED, lambda: model.learn(train, stop=stop, context=self))

    def columns_of(self, table: Table) -> pl.DataFrame:
        """Return the columns that the feature set adds to a table; a run computes them once for all models."""
        if self.cache is None:
            return self._computed(table)
        key = key_of("columns", table.fingerprint, {"features": self.features}, Conditions(), __name__)
        return self.cache.get_or_make(key, COLUMNS, lambda: self._computed(table))

    def _computed(self, table: Table) -> pl.DataFrame:
        columns: pl.DataFrame = self.features.compute(table)
        return columns
