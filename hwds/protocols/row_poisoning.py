"""Rubbish in all rows of a table that arrive after an instant: what the canary of rows asks from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from hwds.frames.table import ROW_ID, Table
from hwds.protocols.row_windows import arrivals, label_arrivals

KEPT = ("time", "available_at", "split")
"""Roles whose columns stay: they say when things happened, which cuts are made by."""


def poisoned_rows(table: Table, instant: Any, delay: int, luck: np.random.Generator) -> Table:
    """The table with the columns of late rows drawn anew, and what became known late of earlier rows changed.

    Values are those of other late rows, so that each stays what its column may hold; numbers are disturbed besides. What a row
    is about (its entity, its group) is drawn too: another customer's future is as unknown as one's own. Of an earlier row late
    labels are turned, and instants that lie ahead (of its label, or of a return, in columns that models do not read) are drawn
    from those that do.
    """
    late = (arrivals(table) > instant).fill_null(True).to_numpy()
    unknown = (label_arrivals(table, delay) > instant).fill_null(True).to_numpy() | late
    label = table.name("label")
    kept = {ROW_ID, label, *(name for role in KEPT for name in table.roles.get(role, ()))}
    columns = [
        _redrawn(_redrawn(values, late, luck), _ahead(values, instant, table), luck)
        for name, values in zip(table.data.columns, table.data, strict=True)
        if name not in kept
    ]
    return replace(table, data=table.data.with_columns(*columns, _turned(table.data[label], unknown)))


def _ahead(values: pl.Series, instant: Any, table: Table) -> np.ndarray:
    """Which instants had not yet come, of a column that tells when something happened after the row: they stay ahead."""
    if not values.dtype.is_temporal() or values.dtype == pl.Duration or values.name in table.inputs:
        return np.zeros(len(values), bool)
    return (values.cast(pl.Datetime("us")).dt.replace_time_zone(None) > instant).fill_null(False).to_numpy()


def _redrawn(values: pl.Series, late: np.ndarray, luck: np.random.Generator) -> pl.Series:
    """The values of late rows drawn anew from them, so that their sum changes too; floats also stretched."""
    if not late.any():
        return values
    places = np.arange(len(values))
    places[late] = luck.choice(places[late], int(late.sum()))
    moved = values.gather(places)
    if not values.dtype.is_float():
        return moved
    stretch = np.where(late, np.exp(luck.normal(size=len(values))), 1.0)
    return pl.Series(values.name, np.where(late, moved.to_numpy() * stretch, values.to_numpy()), nan_to_null=True).cast(
        values.dtype
    )


def _turned(label: pl.Series, unknown: np.ndarray) -> pl.Series:
    """One where there was none, and the other way round."""
    return pl.select(
        pl.when(pl.lit(pl.Series(unknown))).then(1 - label.cast(pl.Float64)).otherwise(label).alias(label.name)
    ).to_series()
