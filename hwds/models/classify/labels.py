"""Labels of rows: 1.0, 0.0, or null where nobody had found out by then."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.frames.table import Table


def labels_of(rows: Table) -> np.ndarray:
    """The labels, NaN where they are not known, shape (n,)."""
    return rows.column("label").cast(pl.Float64).to_numpy()


def known(rows: Table) -> Table:
    """The rows whose label is known."""
    return rows.take(rows.column("label").is_not_null())
