"""Rows of a fit: its context, their labels as known by then, their entities and days as codes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series

from hwds.core.errors import DataError
from hwds.core.keys import Conditions, key_of
from hwds.evaluation.cells import COLUMNS, FITTED
from hwds.evaluation.protocol import RunContext
from hwds.frames.table import ROW_ID, Table

# RowContext: the context of a fit of a classifier of rows.


@dataclass(frozen=True, slots=True)
class RowContext(RunContext):
    """The seed, streams, device and cache that a classifier gets with its rows."""

    @classmethod
    def of(cls, run: RunContext) -> Self:
        """Return the context of a run's classifiers."""
        return cls(**run.shared_fields())

    def learned(self, model: Any, train: Table, stop: Table) -> Any:
        """Return the scorer that a member classifier learns.

        A run learns it once for all models that have this member.
        """
        if self.cache is None:
            return model.learn(train, stop=stop, context=self)
        data = [self.fold, train.fingerprint, stop.fingerprint]
        key = key_of("scorer", data, {"model": model}, self.conditions, __name__)
        return self.cache.get_or_make(
            key, FITTED, lambda: model.learn(train, stop=stop, context=self)
        )

    def columns_of(self, table: Table) -> DataFrame:
        """Return the columns that the feature set adds to a table.

        A run computes them once for all models.
        """
        if self.cache is None:
            return self._computed(table)
        key = key_of(
            "columns", table.fingerprint, {"features": self.features}, Conditions(), __name__
        )
        return self.cache.get_or_make(key, COLUMNS, lambda: self._computed(table))

    def _computed(self, table: Table) -> DataFrame:
        columns: DataFrame = self.features.compute(table)
        return columns


# Rows by what they share: numbers of their entities and days.


def distinct_codes(values: Series) -> ndarray:
    """Return the place of each value among the distinct ones in order, from 0, shape (n,)."""
    return values.rank("dense").to_numpy().astype(np.int64) - 1


def entities_of_rows(rows: DataFrame) -> Series:
    """Return the entity of each scored row.

    One without is an entity of its own, of a name that no other has.
    """
    alone = pl.lit("\0") + pl.col(ROW_ID).cast(pl.String)
    return rows.select(pl.col("entity").fill_null(alone)).to_series()


def uniform_by_id(ids: ndarray, rng: np.random.Generator) -> ndarray:
    """Return a uniform number for each id, shape (n,); more rows change none."""
    return rng.random(int(ids.max(initial=-1)) + 1)[ids]


def draw_by_id(ids: ndarray, most: int, rng: np.random.Generator) -> ndarray:
    """Return a mask of so many rows at most, drawn by their ids: more rows contain the fewer."""
    chosen = np.zeros(len(ids), bool)
    chosen[np.argsort(uniform_by_id(ids, rng), kind="stable")[:most]] = True
    return chosen


# Labels of rows: 1.0, 0.0, or null where none was known by then.


def labels_of(rows: Table) -> ndarray:
    """Return the labels, NaN where they are not known, shape (n,)."""
    return rows.column("label").cast(pl.Float64).to_numpy()


def with_labels(rows: Table, labels: pl.Expr | Series) -> Table:
    """Return the rows with other labels."""
    return replace(rows, data=rows.data.with_columns(labels.alias(rows.name("label"))))


def labelled_rows(rows: Table) -> Table:
    """Return the rows whose label is known."""
    return rows.filter(rows.column("label").is_not_null())


def learnable(train: Table) -> Table:
    """Return the rows whose label is known, of both kinds.

    Raises:
        DataError: They are of one kind, or there are none.
    """
    rows = labelled_rows(train)
    positives, n = int(labels_of(rows).sum()), len(rows.data)
    if not 0 < positives < n:
        raise DataError(
            f"protocol.train_days: the window has {n - positives} rows of label 0 and {positives} "
            f"of label 1"
            f" ({len(train.data) - n} without one); both are needed to learn."
        )
    return rows


def representative_rows(rows: Table) -> tuple[Table, ndarray]:
    """Return the rows that stand for others, and for how many each does, 1 on the average: those to
    calibrate by.

    If labels were looked for with known chances (role `label_propensity`), only these rows count,
    each 1 / chance times, as in the metrics. Rows that were investigated on suspicion are not like
    all rows. Without such chances, or where these rows are of one kind, all rows stand for
    themselves.
    """
    if rows.roles.get("label_propensity"):
        chance = rows.column("label_propensity").cast(pl.Float64)
        drawn = rows.filter(chance.is_not_null())
        if both_kinds(drawn):
            many = 1 / chance.drop_nulls().to_numpy()
            return drawn, many / many.mean()
    return rows, np.ones(len(rows.data))


def both_kinds(rows: Table) -> bool:
    """Return True where known labels of both classes are there."""
    label = labels_of(labelled_rows(rows))
    return bool(len(label)) and float(label.min()) < float(label.max())


def split_halves(rows: Table) -> tuple[Table, Table]:
    """Return the earlier and the later half, by arrival or else by time or else by place.

    One instant is not parted.
    """
    role = next((role for role in ("available_at", "time") if rows.roles.get(role)), None)
    order = rows.column(role) if role else rows.data[ROW_ID]
    early = (
        (order < order.sort()[len(order) // 2]).fill_null(False)
        if len(order)
        else Series([], dtype=pl.Boolean)
    )
    return rows.filter(early), rows.filter(~early)
