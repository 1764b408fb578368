"""Rows by what they share: numbers of their entities and days."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.frames.table import ROW_ID


def numbered(values: pl.Series) -> np.ndarray:
    """Return the place of each value among the distinct ones in order, from 0, shape (n,)."""
    return values.rank("dense").to_numpy().astype(np.int64) - 1


def entities(rows: pl.DataFrame) -> pl.Series:
    """Return the entity of each scored row; one without is an entity of its own, of a name that no other has."""
    alone = pl.lit("\0") + pl.col(ROW_ID).cast(pl.String)
    return rows.select(pl.col("entity").fill_null(alone)).to_series()
