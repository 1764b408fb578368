"""The context of logged decisions as numbers."""

from __future__ import annotations

import numpy as np
import polars as pl

MOST_VALUES = 50
"""Values of a text column that have a column of their own; the rarest beyond them share none."""


def is_named(column: pl.Series) -> bool:
    """Return whether a column holds names, not amounts."""
    return column.dtype in (pl.String, pl.Boolean, pl.Categorical, pl.Enum, pl.Null)


def as_numbers(context: pl.DataFrame) -> np.ndarray:
    """Return a column of ones, numbers and times centred and scaled, a column for each name; shape (n, width).

    A missing number takes the mean, a missing name has none. Scales are of all rows: contexts tell nothing of rewards.
    """
    columns = [np.ones(len(context))]
    for column in context:
        columns += _names(column) if is_named(column) else [_scaled(column)]
    return np.stack(columns, axis=1)


def cells(context: pl.DataFrame) -> np.ndarray:
    """Return the number of each row's combination of names, from 0, shape (n,); numbers do not count."""
    columns_of_names = [column.cast(pl.String) for column in context if is_named(column)]
    if not columns_of_names:
        return np.zeros(len(context), np.int64)
    return pl.DataFrame(columns_of_names).select(pl.struct(pl.all()).rank("dense")).to_series().to_numpy().astype(np.int64) - 1


def _names(column: pl.Series) -> list[np.ndarray]:
    texts = column.cast(pl.String)
    counts = texts.drop_nulls().value_counts(name="count").sort(["count", texts.name], descending=[True, False])
    return [(texts == value).fill_null(value=False).to_numpy().astype(np.float64) for value in counts[texts.name][:MOST_VALUES]]


def _scaled(column: pl.Series) -> np.ndarray:
    values = column.to_physical().cast(pl.Float64).fill_nan(None)
    centred: np.ndarray = (values - (values.mean() or 0.0)).fill_null(0.0).to_numpy()
    return centred / (float(np.std(centred)) or 1.0)
