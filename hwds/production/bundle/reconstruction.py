"""Reconstruction: how far a row lies from the planes that the numbers of a reference lie near, by principal components.

The distribution of this distance changes where columns cease to hang together as they did, though each alone stays as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

NAME = "(reconstruction)"
"""The name under which the distance stands among the columns."""

EXPLAINED = 0.9
"""The share of the variance that the components explain at least, one column's worth left out at least."""

Components = Mapping[str, Any]


def components_of(rows: pl.DataFrame, columns: Sequence[str]) -> dict[str, Any] | None:
    """Return the principal components of the numbers among columns, each scaled to variance 1; None of fewer than two.

    Args:
        rows: Of the reference.
        columns: Of which those of numbers that vary are taken.
    """
    names = [name for name in columns if rows[name].dtype.is_numeric() and _varies(rows[name])]
    if len(names) < 2 or len(rows) <= len(names):
        return None
    values = _matrix(rows, names)
    centre = np.nanmean(values, axis=0)
    scale = np.nanstd(values, axis=0)
    _, size, axes = np.linalg.svd(_scaled(values, centre, scale), full_matrices=False)
    share = np.cumsum(size**2) / np.sum(size**2)
    kept = min(int(np.searchsorted(share, EXPLAINED)) + 1, len(names) - 1)
    return {"columns": names, "centre": centre.tolist(), "scale": scale.tolist(), "axes": axes[:kept].tolist()}


def distances_of(known: Components, rows: pl.DataFrame | Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Return the mean squared distance of each row from its projection, shape (n,); what is not known is taken to be usual.

    Args:
        known: The components of a reference.
        rows: A table, or values by column.
    """
    names = known["columns"]
    if isinstance(rows, pl.DataFrame):
        values = _matrix(rows, names)
    else:
        values = np.array([[_number(row.get(name)) for name in names] for row in rows]).reshape(len(rows), len(names))
    scaled = _scaled(values, np.asarray(known["centre"]), np.asarray(known["scale"]))
    axes = np.asarray(known["axes"])
    rest: np.ndarray = scaled - scaled @ axes.T @ axes
    return np.mean(rest**2, axis=1)


def _varies(values: pl.Series) -> bool:
    known = values.cast(pl.Float64).fill_nan(None).drop_nulls()
    return len(known) > 1 and bool(known.is_finite().all()) and float(known.std() or 0.0) > 0  # type: ignore[arg-type]


def _matrix(rows: pl.DataFrame, names: Sequence[str]) -> np.ndarray:
    return rows.select(pl.col(name).cast(pl.Float64).fill_null(np.nan) for name in names).to_numpy()


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else np.nan


def _scaled(values: np.ndarray, centre: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return np.nan_to_num((values - centre) / scale, nan=0.0)
