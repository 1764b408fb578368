"""Rows of unequal groups for tests of peers."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from hwds.frames.table import Table

ROLES = {
    "time": ("time",),
    "available_at": ("available_at",),
    "label": ("gray",),
    "slice": ("customer_kind",),
}
DAY = timedelta(days=1)
START = datetime(2024, 2, 20)


def rows_of(rows, seed=0, days=25, late=0.3):
    """Rows of unequal groups, some unlabelled, with values that often repeat and holes, and late
    arrivals.
    """
    rng = np.random.default_rng(seed)
    time = [START + timedelta(hours=int(h)) for h in rng.integers(0, days * 24, rows)]
    waits = rng.integers(0, 9, rows) * (rng.random(rows) < late)
    amount = np.where(rng.random(rows) < 0.1, np.nan, rng.lognormal(size=rows))
    kinds = np.array(["reseller", "consumer", None, "school"])[
        rng.choice(4, rows, p=[0.6, 0.3, 0.07, 0.03])
    ]
    data = pl.DataFrame(
        {
            "time": time,
            "available_at": [t + int(w) * DAY for t, w in zip(time, waits, strict=True)],
            "customer_kind": pl.Series(kinds.tolist(), dtype=pl.String),
            "region": [f"r{k}" for k in rng.integers(0, 2, rows)],
            "amount": pl.Series(amount, nan_to_null=True),
            "units": rng.geometric(0.7, rows),
            "gray": rng.integers(0, 2, rows),
        }
    )
    return Table.build(data, ROLES)
