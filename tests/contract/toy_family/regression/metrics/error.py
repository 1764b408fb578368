"""The squared error of rows."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.results.tables import Measure

SQUARED_ERROR = Measure(
    "squared_error",
    meaning="squared difference from what happened",
    units="rows",
    reference="regression/mean",
)


def squared_errors(rows: pl.DataFrame) -> np.ndarray:
    """Return the squared error of each row, shape (n,)."""
    return ((rows["predicted"] - rows["actual"]) ** 2).to_numpy()
