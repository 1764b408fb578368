"""Order lines of a table as arrays, and the columns that can be computed from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from hwds.detection.features.order_lines.arrays import LINE_VALUES, SUMS, Lines
from hwds.features.rows.columns import DAY, NEVER, arrivals, codes_apart, codes_of, floats, happened, instants
from hwds.frames.table import Table

NEEDS = {
    "quantity": "quantity",
    "skus": "sku",
    "stores": "store",
    "channels": "channel",
    "cross_channel": "channel",
    "promoted_share": "promotion",
    "over_tier_share": "quantity",
    "return_rate": "returned_at",
    "sku_concentration": "sku",
    "quantity_ratio": "quantity",
}
"""Values that need a column."""

EVER = ("tenure_days", "order_gap_days")
"""Values of all lines, not of a window."""


@dataclass(frozen=True, slots=True)
class LineRules:
    """The rules that flag a line.

    Attributes:
        tiers: Quantities from which on a unit costs less.
        quarter_end: The number of last days of a quarter that count as its end.
    """

    tiers: tuple[float, ...]
    quarter_end: int


@dataclass(frozen=True, slots=True)
class LineWindows:
    """The windows that end with a line.

    Attributes:
        days: Their lengths.
        rules: What flags a line.
    """

    days: tuple[int, ...]
    rules: LineRules

    @property
    def spans(self) -> np.ndarray:
        """Their lengths in microseconds, rising."""
        return np.array(sorted(self.days)) * DAY

    def room(self, rows: int) -> np.ndarray:
        """Return the empty array that the kernel writes to, shape (rows, values)."""
        return np.empty((rows, len(SUMS) * len(self.days) + len(LINE_VALUES)))

    def places(self, columns: LineColumns) -> dict[str, int]:
        """Return the features that can be computed from some columns, and where the kernel writes each."""
        return columns.places(sorted(self.days), bool(self.rules.tiers))

    def frame(self, columns: LineColumns, out: np.ndarray) -> pl.DataFrame:
        """Return the kernel's array as columns; NaN becomes null."""
        places = self.places(columns).items()
        return pl.DataFrame({name: pl.Series(np.ascontiguousarray(out[:, at]), nan_to_null=True) for name, at in places})


@dataclass(frozen=True, slots=True)
class LineColumns:
    """The columns of a table that are read, each empty where there is none."""

    order: str
    sku: str
    store: str
    channel: str
    quantity: str
    unit_price: str
    amount: str
    promotion: str
    returned_at: str

    def places(self, days: list[int], tiers: bool) -> dict[str, int]:
        """Return the features that can be computed, and where the kernel writes each."""
        names = [(word, f"{word}_{window}d") for window in days for word in SUMS]
        names += [(word, word if word in EVER else f"{word}_{days[-1]}d") for word in LINE_VALUES]
        undefined = () if tiers else ("over_tier_share",)
        return {name: place for place, (word, name) in enumerate(names) if self._knows(word) and word not in undefined}

    def _knows(self, word: str) -> bool:
        if word in ("amount", "amount_ratio"):
            return bool(self.amount or (self.quantity and self.unit_price))
        return word not in NEEDS or bool(getattr(self, NEEDS[word]))


def arranged(table: Table) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows by entity and arrival, and where each entity begins, with the end; a row without entity is alone."""
    entity, arrived = codes_apart(table.column("entity")), np.argsort(arrivals(table), kind="stable")
    order = arrived[np.argsort(entity[arrived], kind="stable")]
    return order, np.concatenate([[0], np.cumsum(np.bincount(entity))])


def lines_of(table: Table, columns: LineColumns, rules: LineRules, order: np.ndarray) -> tuple[Lines, int]:
    """Return the rows of a table in an order as lines, and how many codes they have."""
    coded, many = np.empty((len(order), 4), np.int64), 0
    for column, column_codes in enumerate(_codes(table.data, columns)):
        coded[:, column] = np.where(column_codes < 0, -1, column_codes + many)
        many += int(column_codes.max(initial=-1)) + 1
    return Lines(*(values[order] for values in uncoded(table, columns, rules)._replace(codes=coded))), many


def uncoded(table: Table, columns: LineColumns, rules: LineRules) -> Lines:
    """Return the rows of a table as lines that have no codes yet."""
    data, rows = table.data, len(table.data)
    quantity = floats(data[columns.quantity]) if columns.quantity else np.ones(rows)
    time = happened(table)
    promoted = floats(data[columns.promotion]) if columns.promotion else np.zeros(rows)
    return Lines(
        time=time,
        arrival=arrivals(table),
        returned=instants(data[columns.returned_at], "features.returned_at") if columns.returned_at else np.full(rows, NEVER),
        quantity=quantity,
        amount=_amounts(data, columns, quantity),
        codes=np.full((rows, 4), -1),
        flags=flags_of(time, quantity, promoted, rules),
    )


def flags_of(time: np.ndarray, quantity: np.ndarray, promoted: np.ndarray, rules: LineRules) -> np.ndarray:
    """Return the flags of lines.

    Args:
        time: Microseconds.
        quantity: NaN where not known.
        promoted: Above 0 where it was.
        rules: Where tiers and quarters lie.
    """
    day = time // DAY
    month = day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    next_quarter = (month // 3 * 3 + 3).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    over = np.zeros(len(time), bool)
    for tier in rules.tiers:
        over |= (quantity >= tier) & (10 * (quantity - tier) < tier)
    weekend = (day + 3) % 7 >= 5  # 1970 began on a Thursday
    return np.column_stack([promoted > 0, weekend, over, next_quarter - day <= rules.quarter_end]).astype(np.uint8)


def _codes(data: pl.DataFrame, columns: LineColumns) -> Iterator[np.ndarray]:
    """Yield the codes of order, SKU, store and channel; a line without an order is one of its own."""
    yield codes_apart(data[columns.order]) if columns.order else np.arange(len(data))
    for name in (columns.sku, columns.store, columns.channel):
        yield codes_of(data[name]) if name else np.full(len(data), -1)


def _amounts(data: pl.DataFrame, columns: LineColumns, quantity: np.ndarray) -> np.ndarray:
    if columns.amount:
        return floats(data[columns.amount])
    return quantity * floats(data[columns.unit_price]) if columns.unit_price else np.full(len(quantity), np.nan)
