"""Injected anomalies: copies of rows with inputs that are wrong in a stated way, which a detector should find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl

from hwds.frames.table import Table

FEW = 3
"""Inputs of a row that are made extreme."""


def injected(rows: Table, kind: str, count: int, random: np.random.Generator) -> Table:
    """Return copies of drawn rows whose inputs that are numbers were changed; see `KINDS`.

    Args:
        rows: With their inputs.
        kind: One of `KINDS`.
        count: How many.
        random: Draws rows and inputs.
    """
    schema = rows.data.schema
    names = [name for name in rows.inputs if schema[name].is_numeric() and rows.data[name].drop_nulls().n_unique() > 2]
    base = random.integers(0, rows.height, count)
    if kind == "cluster":
        base[:] = base[0] if count else 0
    matrix = rows.numbers(names)
    changed = KINDS[kind](matrix, base, random) if names else matrix[base]
    columns = [
        pl.Series(name, column, nan_to_null=True).cast(schema[name] if schema[name].is_float() else pl.Float64)
        for name, column in zip(names, changed.T, strict=True)
    ]
    return replace(rows, data=rows.data[base].with_columns(columns))


def _extreme(matrix: np.ndarray, base: np.ndarray, random: np.random.Generator) -> np.ndarray:
    made = matrix[base].copy()
    high, spread = np.nanmax(matrix, axis=0), np.nanstd(matrix, axis=0)
    for row in made:
        places = random.choice(matrix.shape[1], min(FEW, matrix.shape[1]), replace=False)
        row[places] = high[places] + spread[places]
    return made


def _mixed(matrix: np.ndarray, base: np.ndarray, random: np.random.Generator) -> np.ndarray:
    places = random.integers(0, len(matrix), (len(base), matrix.shape[1]))
    return np.take_along_axis(matrix, places, axis=0)


def _cluster(matrix: np.ndarray, base: np.ndarray, random: np.random.Generator) -> np.ndarray:
    made = matrix[base].copy()
    places = random.choice(matrix.shape[1], min(FEW, matrix.shape[1]), replace=False)
    made[:, places] = np.nanquantile(matrix[:, places], 0.99, axis=0)
    return made


KINDS: dict[str, Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]] = {
    "extreme": _extreme,
    "mixed": _mixed,
    "cluster": _cluster,
}
"""Kinds of anomalies: `extreme` has three inputs a deviation beyond the largest of all; `mixed` takes each input from another
row, so that each is usual and they do not go together; `cluster` is one row many times, three inputs at their 99 % quantile."""
