"""Order lines for tests of purchases."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from hwds.frames.table import Table

ROLES = {
    "time": ("time",),
    "available_at": ("available_at",),
    "entity": ("customer",),
    "amount": ("at_stake",),
    "label": ("confirmed",),
    "label_time": ("confirmed_at",),
}
DAY = timedelta(days=1)
START = datetime(2024, 2, 20)


def bought(rows, seed=0, customers=3, days=60, late=0.3, grain=3600 * 6, holes=0.05):
    """Order lines in no order of time, on a clock so coarse that many share an instant."""
    rng = np.random.default_rng(seed)

    def some(values, dtype=None):
        return pl.Series([None if rng.random() < holes else v for v in values], dtype=dtype)

    def texts(kind, count):
        return some([f"{kind}{k}" for k in rng.integers(0, count, rows)], pl.String)

    seconds = rng.integers(0, days * 86400 // grain, rows) * grain
    time = [START + timedelta(seconds=int(s)) for s in seconds]
    waits = rng.integers(0, 12, rows) * (rng.random(rows) < late)
    returns = [
        t + timedelta(days=int(d)) if d < 12 else None
        for t, d in zip(time, rng.integers(0, 24, rows), strict=True)
    ]
    data = pl.DataFrame(
        {
            "time": time,
            "available_at": [t + timedelta(days=int(w)) for t, w in zip(time, waits, strict=True)],
            "customer": texts("c", customers),
            "order": texts("o", rows // 2 + 1),
            "sku": texts("k", 4),
            "store": texts("s", 3),
            "channel": texts("h", 2),
            "quantity": some((1 + rng.geometric(0.4, rows)).tolist(), pl.Int64),
            "unit_price": some(
                (rng.integers(1, 4000, rows) * 10.0 ** rng.integers(-2, 6, rows)).tolist(),
                pl.Float64,
            ),
            "promotion": (rng.random(rows) < 0.3).tolist(),
            "returned_at": pl.Series(returns, dtype=pl.Datetime("us")),
            "at_stake": rng.random(rows),
            "confirmed": rng.integers(0, 2, rows),
            "confirmed_at": [t + 5 * DAY for t in time],
        }
    )
    return Table.build(data, ROLES)
