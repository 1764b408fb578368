"""Labels of rows: 1.0, 0.0, or null where none was known by then."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.core.errors import DataError
from hwds.frames.table import ROW_ID, Table


def labels_of(rows: Table) -> np.ndarray:
    """Return the labels, NaN where they are not known, shape (n,)."""
    return rows.column("label").cast(pl.Float64).to_numpy()


def known(rows: Table) -> Table:
    """Return the rows whose label is known."""
    return rows.filter(rows.column("label").is_not_null())


def learnable(train: Table) -> Table:
    """Return the rows whose label is known, of both kinds.

    Raises:
        DataError: They are of one kind, or there are none.
    """
    rows = known(train)
    positives, n = int(labels_of(rows).sum()), len(rows.data)
    if not 0 < positives < n:
        raise DataError(
            f"protocol.train_days: the window has {n - positives} rows of label 0 and {positives} of label 1"
            f" ({len(train.data) - n} without one); both are needed to learn."
        )
    return rows


def representative(rows: Table) -> tuple[Table, np.ndarray]:
    """Return the rows that stand for others, and for how many each does, 1 on the average: those to calibrate by.

    Where labels were looked for with known chances (role `label_propensity`), these rows alone count, each 1 / chance times, as
    in the metrics: who was investigated on suspicion is like others that were, not like all. Without such chances, or where
    these rows are of one kind, all rows stand for themselves.
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
    label = labels_of(known(rows))
    return bool(len(label)) and float(label.min()) < float(label.max())


def halves(rows: Table) -> tuple[Table, Table]:
    """Return the earlier and the later half, by arrival or else by time or else by place; one instant is not parted."""
    role = next((role for role in ("available_at", "time") if rows.roles.get(role)), None)
    order = rows.column(role) if role else rows.data[ROW_ID]
    early = (order < order.sort()[len(order) // 2]).fill_null(False) if len(order) else pl.Series([], dtype=pl.Boolean)
    return rows.filter(early), rows.filter(~early)
