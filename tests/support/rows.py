"""Small tables of rows for tests: some customers go bad for a while, which shows in what they
buy.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from hwds.detection.rows import RowContext
from hwds.frames.features.none import None_
from hwds.frames.table import Table

BEGIN = datetime(2024, 1, 1)
ROLES = {
    "time": ("time",),
    "entity": ("customer",),
    "label": ("bad",),
    "amount": ("spent",),
    "covariate": ("spent", "quantity", "channel", "promoted", "visits", "last"),
}


def toy_rows(n: int = 1500, days: int = 40, seed: int = 0, label_time: bool = False) -> Table:
    """Rows in the order of time.

    About 12 % are bad. `visits` has holes, `last` is an array of two steps of two numbers.
    """
    rng = np.random.default_rng(seed)
    when = np.sort(rng.random(n)) * days
    customer = rng.integers(0, 200, n)
    bad = ((customer % 7 == 0) & (rng.random(n) < 0.7)) | (rng.random(n) < 0.02)
    channel = np.where(
        rng.random(n) < 0.3 + 0.5 * bad, "education", rng.choice(["online", "carrier", "retail"], n)
    )
    spent = np.exp(rng.normal(4 + 0.8 * bad, 0.5))
    quantity = rng.poisson(2 + 4 * bad)
    visits = np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n) - 0.5 * bad)
    last = np.stack(
        [np.log(spent), rng.normal(size=n), bad + rng.normal(size=n), quantity], 1
    ).reshape(n, 2, 2)
    data = pl.DataFrame(
        {
            "time": [BEGIN + timedelta(days=float(day)) for day in when],
            "customer": [f"c{number}" for number in customer],
            "bad": bad.astype(float),
            "spent": spent,
            "quantity": quantity,
            "channel": channel,
            "promoted": rng.random(n) < 0.2,
            "visits": pl.Series(visits, nan_to_null=True),
            "last": pl.Series(last, dtype=pl.Array(pl.Float64, (2, 2))),
        }
    )
    roles = dict(ROLES)
    if label_time:
        waited = rng.integers(1, 20, n).tolist()
        data = data.with_columns(
            pl.Series(
                "found_at",
                [t + timedelta(days=w) for t, w in zip(data["time"], waited, strict=True)],
            )
        )
        roles |= {"label_time": ("found_at",)}
    return Table.build(data, roles)


def cut(table: Table, first: float, last: float) -> Table:
    """The rows of some days."""
    begin, end = (BEGIN + timedelta(days=day) for day in (first, last))
    return table.filter(table.column("time").is_between(begin, end, closed="left"))


def windows(table: Table) -> tuple[Table, Table, Table, Table]:
    """Train, stop, calibrate and test."""
    return cut(table, 0, 16), cut(table, 16, 22), cut(table, 22, 32), cut(table, 32, 40)


def relabelled(table: Table, label: np.ndarray | pl.Series) -> Table:
    """The rows with other labels."""
    return replace(table, data=table.data.with_columns(pl.Series("bad", label)))


def context(seed: int = 0) -> RowContext:
    """What a model is told."""
    return RowContext(seed, "fold", features=None_())
