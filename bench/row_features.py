"""Features of order lines as of their own moment (purchases and peers): hwds, and the same in
pandas; CPU seconds.
"""

from __future__ import annotations

import resource
from collections.abc import Callable
from dataclasses import replace
from time import process_time
from typing import Any

import numpy as np
import polars as pl

from bench.rows import Row, compared
from hwds.detection.features.peers import BY, COLUMNS, Peers
from hwds.detection.features.purchases import Purchases
from hwds.detection.kernels.peers import NORMAL
from hwds.frames.features.together import Together
from hwds.frames.table import Table

NAME = "row features (purchases and peers; half a year, 200 lines a customer)"
SIZE = 100_000
"""Order lines, of which pandas makes so much that each is measured once; hwds alone is measured on
ten times as many too.
"""

SKUS, STORES, CHANNELS = 100, 50, 4
PURCHASES = Purchases(returned_at="")
PEERS = Peers()
DAYS = sorted(PURCHASES.days)
TOLERANCE = 1e-9


def measure(lines: int = SIZE) -> list[Row]:
    """One comparison; the first run, which compiles or reads what was compiled, is not timed."""
    table, features = _table(lines), Together(parts=(PURCHASES, PEERS))
    ours = features.compute(table)
    note = _alone(features, 10 * lines)
    frame, kept = table.data.drop("row_id").to_pandas(), []
    seconds, theirs = (
        _seconds(lambda: features.compute(table)),
        _seconds(lambda: kept.append(_pandas(frame))),
    )
    row = compared(
        f"{lines:,} lines, {ours.width} columns",
        [seconds],
        "pandas",
        [theirs],
        _equal(ours, kept[0]),
    )
    return [replace(row, note=note)]


def _alone(features: Together, lines: int) -> str:
    table = _table(lines)
    took = _seconds(lambda: features.compute(table))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return f"hwds alone, {lines:,} lines: {took:.1f} s; the process held at most {peak:.1f} GiB"


def _seconds(work: Callable[[], Any]) -> float:
    """Of this process, which others do not stretch."""
    start = process_time()
    work()
    return process_time() - start


def _table(lines: int) -> Table:
    """Order lines in the order of time.

    Customers buy as unlike as those of the Fraud Detection Handbook.
    """
    rng = np.random.default_rng(0)
    customers = max(lines // 200, 1)
    rate = rng.random(customers)
    time = np.sort(rng.integers(0, 183 * 86_400_000_000, lines)) + 1_522_540_800_000_000
    customer = rng.choice(customers, lines, p=rate / rate.sum())
    data = pl.DataFrame(
        {
            "time": pl.Series(time).cast(pl.Datetime("us")),
            "customer": customer,
            "customer_kind": pl.Series([f"kind {k}" for k in range(4)]).gather(customer % 4),
            "region": pl.Series([f"region {k}" for k in range(10)]).gather(customer // 4 % 10),
            "order": np.arange(lines),
            "sku": pl.Series([f"sku {k}" for k in range(SKUS)]).gather(
                rng.integers(0, SKUS, lines)
            ),
            "store": pl.Series([f"store {k}" for k in range(STORES)]).gather(
                rng.integers(0, STORES, lines)
            ),
            "channel": pl.Series([f"channel {k}" for k in range(CHANNELS)]).gather(
                rng.integers(0, CHANNELS, lines)
            ),
            "quantity": rng.geometric(0.3, lines),
            "unit_price": rng.lognormal(4, 1, lines),
            "promotion": rng.random(lines) < 0.1,
            "joined": rng.random(lines) < 0.3,  # to the order of the line before
        }
    )
    before = pl.when("joined").then(pl.col("order").shift(1).over("customer"))
    data = data.with_columns(pl.coalesce(before, "order").alias("order")).drop("joined")
    return Table.build(data, {"time": ("time",), "entity": ("customer",)})


def _pandas(frame: Any) -> Any:
    import pandas as pd  # type: ignore[import-untyped]

    lines = _coded(frame, pd)
    made = pd.DataFrame(index=lines.index)
    for days in DAYS:
        windows = lines.groupby("customer").rolling(f"{days}D", on="time")
        for name in ("quantity", "amount"):
            made[f"{name}_{days}d"] = windows[name].sum().to_numpy()
        for name in ("order", "sku", "store", "channel"):
            made[f"{name}s_{days}d"] = (
                windows[name].apply(lambda values: len(set(values.tolist())), raw=True).to_numpy()
            )
    _longest(lines, windows, made, DAYS[-1])
    first = lines.groupby("customer")["time"].transform("first")
    made["tenure_days"] = (lines["time"] - first) / pd.Timedelta(days=1)
    before, other = (
        lines.groupby("customer")["time"].shift(),
        lines["order"] != lines.groupby("customer")["order"].shift(),
    )
    made["order_gap_days"] = (
        lines["time"] - before.where(other).groupby(lines["customer"]).ffill()
    ) / pd.Timedelta(days=1)
    made = made.sort_index()
    return pd.concat(
        [made, _pandas_peers(pd.concat([frame, made[list(COLUMNS)]], axis=1), pd)], axis=1
    )


def _coded(frame: Any, pd: Any) -> Any:
    """Sorted for windows by customer, which of columns of texts take numbers alone."""
    lines = frame.sort_values(["customer", "time"], kind="stable")
    day = lines["time"].dt.normalize()
    over = np.zeros(len(lines), bool)
    for tier in PURCHASES.tiers:
        over |= ((lines["quantity"] >= tier) & (10 * (lines["quantity"] - tier) < tier)).to_numpy()
    return lines.assign(
        **{name: pd.factorize(lines[name])[0] for name in ("sku", "store", "channel")},
        amount=lines["quantity"] * lines["unit_price"],
        weekend=lines["time"].dt.weekday >= 5,
        over_tier=over,
        quarter_end=(day + pd.offsets.QuarterBegin(startingMonth=1) - day).dt.days
        <= PURCHASES.quarter_end,
        place=np.arange(len(lines), dtype=float),
    )


def _longest(lines: Any, windows: Any, made: Any, days: int) -> None:
    sku, quantity = lines["sku"].to_numpy(), lines["quantity"].to_numpy()

    def concentration(places: np.ndarray) -> float:
        rows = places.astype(np.int64)
        units = np.bincount(sku[rows], quantity[rows])
        return float((units * units).sum() / units.sum() ** 2)

    made[f"cross_channel_{days}d"] = (made[f"channels_{days}d"] > 1).astype(float)
    for name, flag in {"promoted": "promotion"}.items() | {
        (name, name) for name in ("weekend", "over_tier", "quarter_end")
    }:
        made[f"{name}_share_{days}d"] = windows[flag].mean().to_numpy()
    made[f"sku_concentration_{days}d"] = windows["place"].apply(concentration, raw=True).to_numpy()
    before = lines.groupby("customer").rolling(f"{days}D", on="time", closed="left")
    for name in ("quantity", "amount"):
        made[f"{name}_ratio_{days}d"] = lines[name].to_numpy() / before[name].median().to_numpy()


def _pandas_peers(frame: Any, pd: Any) -> Any:
    """Of each day the median and MAD of the window before it, by all rows, kind and region."""
    names, parts = list(COLUMNS), []
    day = frame["time"].dt.normalize()
    for today, rows in frame.groupby(day):
        end = today - pd.Timedelta(days=PEERS.gap)
        past = frame[(day >= end - pd.Timedelta(days=PEERS.window)) & (day < end)]
        middle, scale = past[names].median(), (past[names] - past[names].median()).abs().median()
        middle, scale = (
            pd.DataFrame([values] * len(rows), index=rows.index) for values in (middle, scale)
        )
        for depth in range(1, len(BY) + 1):
            by = list(BY[:depth])
            groups = past.groupby(by)[names]
            own, size = groups.median(), past.groupby(by).size()
            away = (
                (past[names] - groups.transform("median"))
                .abs()
                .groupby([past[name] for name in by])
                .median()
            )
            keys = pd.MultiIndex.from_frame(rows[by]) if depth > 1 else rows[BY[0]]
            weight = size.reindex(keys).fillna(0).to_numpy()[:, None]
            own, away = (values.reindex(keys).fillna(0).to_numpy() for values in (own, away))
            middle = (weight * own + PEERS.shrink * middle) / (weight + PEERS.shrink)
            alone = np.where(weight >= PEERS.shrink, away, 0)
            weight = np.where(away > 0, weight, 0)
            scale = scale.mask(
                scale > 0, (weight * away + PEERS.shrink * scale) / (weight + PEERS.shrink)
            ).where(scale > 0, alone)
        z = (rows[names] - middle) / (NORMAL * scale)
        parts.append(pd.concat([middle.add_suffix("_peers"), z.add_suffix("_z")], axis=1))
    return pd.concat(parts).sort_index()


def _equal(ours: pl.DataFrame, theirs: Any) -> bool:
    """Whether all columns agree; pandas says inf where a median or spread is 0."""
    for name in ours.columns:
        values = theirs[name].to_numpy(dtype=float)
        values = np.where(np.isinf(values), np.nan, values)
        if not np.allclose(
            ours[name].to_numpy(), values, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True
        ):
            return False
    return ours.width > 0
