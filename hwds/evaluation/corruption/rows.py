"""Rubbish in all rows of a table that arrive after an instant: what the canary of rows asks from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from hwds.frames.table import ROW_ID, Table
from hwds.splitting.row_windows import arrivals, label_arrivals

KEPT = ("time", "available_at", "split")
"""Roles whose columns stay: they say when things happened, which cuts are made by."""


def corrupt_rows(table: Table, instant: Any, delay: int, rng: np.random.Generator) -> Table:
    """Return the table with the columns of late rows drawn anew, and what became known late of earlier rows changed.

    Values are those of other late rows, so that each stays what its column may hold; numbers are disturbed besides. What a row
    is about (its entity, its group) is drawn too: another customer's future is as unknown as one's own. Of an earlier row late
    labels are turned, and instants that lie ahead (of its label, or of a return, in columns that models do not read) are drawn
    from those that do.
    """
    late = (arrivals(table) > instant).fill_null(True).to_numpy()
    unknown = (label_arrivals(table, delay) > instant).fill_null(True).to_numpy() | late
    label = table.name("label")
    unchanged = {ROW_ID, label, *(name for role in KEPT for name in table.roles.get(role, ()))}
    columns = [
        _redrawn(_redrawn(values, late, rng), _ahead(values, instant, table), rng)
        for name, values in zip(table.data.columns, table.data, strict=True)
        if name not in unchanged
    ]
    return replace(table, data=table.data.with_columns(*columns, _turned(table.data[label], unknown)))


def _ahead(values: pl.Series, instant: Any, table: Table) -> np.ndarray:
    """Return which instants had not yet come, of a column that says when something happened after the row: they stay ahead."""
    if not values.dtype.is_temporal() or values.dtype == pl.Duration or values.name in table.inputs:
        return np.zeros(len(values), bool)
    return (values.cast(pl.Datetime("us")).dt.replace_time_zone(None) > instant).fill_null(False).to_numpy()


def _redrawn(values: pl.Series, late: np.ndarray, rng: np.random.Generator) -> pl.Series:
    """Return the values of late rows drawn anew from them, so that their sum changes too; floats also stretched."""
    if not late.any():
        return values
    places = np.arange(len(values))
    places[late] = rng.choice(places[late], int(late.sum()))
    moved = values.gather(places)
    if not values.dtype.is_float():
        return moved
    stretch = np.where(late, np.exp(rng.normal(size=len(values))), 1.0)
    return pl.Series(values.name, np.where(late, moved.to_numpy() * stretch, values.to_numpy()), nan_to_null=True).cast(
        values.dtype
    )


def _turned(label: pl.Series, unknown: np.ndarray) -> pl.Series:
    """Swap 0 and 1 of the labels that were unknown."""
    return pl.select(
        pl.when(pl.lit(pl.Series(unknown))).then(1 - label.cast(pl.Float64)).otherwise(label).alias(label.name)
    ).to_series()
