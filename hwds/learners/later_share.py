"""The later part of rows, which early stopping or a conformal quantile sets apart."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.frames.table import Table


def later(rows: Table, share: float) -> np.ndarray:
    """Return a mask of the last rows to arrive, shape (n,): so large a share, of two or more at least one and never all.

    Where rows have no time, the last ones of the table.
    """
    n = len(rows.data)
    when = rows.name("available_at") or rows.name("time")
    placed = pl.DataFrame({"place": np.arange(n)} | ({"when": rows.data[when]} if when else {}))
    order = placed.sort(placed.columns[-1], maintain_order=True)["place"].to_numpy()
    mask = np.zeros(n, bool)
    mask[order[n - min(max(round(share * n), 1), n - 1) :]] = n > 0
    return mask
