"""Random order lines that arrive late and tie, a loop that says which count, and rubbish in what
comes later.
"""

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from hwds.frames.table import Table

BEGIN = datetime(2024, 1, 1)
ROLES = {
    "time": ("time",),
    "available_at": ("available_at",),
    "entity": ("customer",),
    "label": ("confirmed",),
}
KEPT = ("row_id", "time", "available_at", "confirmed", "confirmed_at")


def order_lines(seed, count=120, days=60, late=0.3, customers=8, nulls=True):
    """Lines at whole half days, so that many tie.

    Some arrive weeks late, out of the order of the table.
    """
    rng = np.random.default_rng(seed)
    time = rng.integers(0, 2 * days, count) / 2
    lag = np.where(rng.random(count) < late, rng.integers(1, 50, count) / 2, 0.0)
    delay = rng.integers(0, 40, count) / 2
    label = rng.choice([0, 1, None], count, p=[0.4, 0.3, 0.3])
    names = {
        name: rng.integers(0, customers, count)
        for name in ("customer", "address", "payment", "contact", "store")
    }
    columns = {name: [f"{name[0]}{value}" for value in values] for name, values in names.items()}
    data = pl.DataFrame(
        {
            "time": [BEGIN + timedelta(days=day) for day in time],
            "available_at": [BEGIN + timedelta(days=day) for day in time + lag],
            **columns,
            "channel": rng.choice(["carrier", "education", "online"], count),
            "region": rng.choice(["asia", "europe"], count),
            "sku": rng.choice(["a", "b"], count),
            "quantity": rng.integers(1, 50, count),
            "unit_price": rng.integers(80, 120, count).astype(float),
            "street_price": rng.integers(90, 130, count).astype(float),
            "confirmed": pl.Series(label.tolist(), dtype=pl.Int64),
            "confirmed_at": [BEGIN + timedelta(days=day) for day in time + lag + delay],
        }
    )
    if nulls:
        gone = {
            name: pl.Series(rng.random(count) < 0.1)
            for name in ("address", "payment", "customer", "unit_price")
        }
        data = data.with_columns(
            pl.when(~mask).then(pl.col(name)).alias(name) for name, mask in gone.items()
        )
    data = data.with_columns(
        pl.when(pl.col("confirmed").is_not_null()).then(pl.col("confirmed_at"))
    )
    if seed % 2 == 0:
        data = data.sort("available_at", maintain_order=True)
    return Table.build(data, ROLES | {"label_time": ("confirmed_at",)})


def counting(table):
    """For each row the places of those that count for it, itself included, in the order of time,
    then of arrival.
    """
    rows = table.data.to_dicts()
    keys = [(row["available_at"], place) for place, row in enumerate(rows)]
    for place, row in enumerate(rows):
        there = [
            other
            for other, key in enumerate(keys)
            if key <= keys[place] and rows[other]["time"] <= row["time"]
        ]
        yield place, sorted(there, key=lambda other: (rows[other]["time"], keys[other])), rows


def knows(rows, place, other):
    """Whether the label of another row had arrived."""
    when = rows[other]["confirmed_at"]
    return (
        other != place
        and rows[other]["confirmed"] is not None
        and when <= rows[place]["available_at"]
    )


def rubbish(table, instant, seed=0):
    """Everything of rows that arrive after an instant replaced, and labels that do turned or made
    up; moments stay.
    """
    rng = np.random.default_rng(seed)
    late = table.data["available_at"] > instant
    columns = []
    for name in table.data.columns:
        if name not in KEPT:
            moved = table.data[name].gather(rng.permutation(len(late)))
            columns.append(pl.when(late).then(moved).otherwise(pl.col(name)).alias(name))
    unknown = late | (table.data["confirmed_at"] > instant).fill_null(True)
    turned = (
        pl.when(unknown)
        .then(pl.Series(rng.integers(0, 2, len(late))))
        .otherwise(pl.col("confirmed"))
    )
    after = pl.Series(
        [instant + timedelta(days=int(days)) for days in rng.integers(1, 20, len(late))]
    )
    when = (
        pl.when(unknown)
        .then(pl.max_horizontal(after, pl.col("available_at")))
        .otherwise(pl.col("confirmed_at"))
    )
    data = table.data.with_columns(*columns, turned.alias("confirmed"), when.alias("confirmed_at"))
    return replace(table, data=data)


def cut(table, instant):
    """The rows that had arrived by an instant, and the labels that had."""
    known = pl.col("confirmed_at") <= instant
    data = table.data.filter(pl.col("available_at") <= instant)
    return replace(
        table,
        data=data.with_columns(
            pl.when(known).then(pl.col(name)) for name in ("confirmed", "confirmed_at")
        ),
    )


def seen_ahead(features, table):
    """Instants and columns whose bits up to that instant are others if what comes after it is
    rubbish, or is not there.
    """
    clean, found = features.compute(table), set()
    for day in (10, 30.5, 45):
        instant = BEGIN + timedelta(days=day)
        early = table.data["available_at"] <= instant
        for got in (
            features.compute(rubbish(table, instant)).filter(early),
            features.compute(cut(table, instant)),
        ):
            found |= {(instant, name) for name in differing(got, clean.filter(early))}
    return found


def moved_by_order(features, table):
    """Columns that are others if rows which do not tie in arrival stand elsewhere in the table."""
    unique = table.data.unique("available_at", keep="first", maintain_order=True)
    plain = replace(table, data=unique)
    turned = replace(table, data=unique.reverse())
    back = list(range(len(unique) - 1, -1, -1))
    return differing(features.compute(turned)[back], features.compute(plain))


def differing(one, other):
    """The columns that do not have the same bits in two frames, or are in one of them alone."""
    shared = set(one.columns) & set(other.columns)
    return {*one.columns, *other.columns} - {
        name for name in shared if one[name].equals(other[name], null_equal=True)
    }
