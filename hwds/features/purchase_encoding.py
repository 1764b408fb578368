"""From a table to order lines as arrays, and which columns they suffice for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from hwds.features.purchase_lines import SUMS, TOLD, Lines
from hwds.features.row_columns import DAY, NEVER, arrivals, codes_apart, codes_of, floats, happened, instants
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
"""What is told only where a column is there."""

EVER = ("tenure_days", "order_gap_days")
"""What is told of all lines, not of a window."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What flags a line.

    Attributes:
        tiers: Quantities from which on a unit costs less.
        quarter_end: How many of the last days of a quarter count as its end.
    """

    tiers: tuple[float, ...]
    quarter_end: int


@dataclass(frozen=True, slots=True)
class Columns:
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

    def told(self, days: list[int], tiers: bool) -> dict[str, int]:
        """The names of what can be told, and where the kernel writes it."""
        names = [(word, f"{word}_{window}d") for window in days for word in SUMS]
        names += [(word, word if word in EVER else f"{word}_{days[-1]}d") for word in TOLD]
        unsaid = () if tiers else ("over_tier_share",)
        return {name: place for place, (word, name) in enumerate(names) if self._knows(word) and word not in unsaid}

    def _knows(self, word: str) -> bool:
        if word in ("amount", "amount_ratio"):
            return bool(self.amount or (self.quantity and self.unit_price))
        return word not in NEEDS or bool(getattr(self, NEEDS[word]))


def arranged(table: Table) -> tuple[np.ndarray, np.ndarray]:
    """The rows by entity and arrival, and where each entity begins, with the end; a row without entity is alone."""
    entity, arrived = codes_apart(table.column("entity")), np.argsort(arrivals(table), kind="stable")
    order = arrived[np.argsort(entity[arrived], kind="stable")]
    return order, np.concatenate([[0], np.cumsum(np.bincount(entity))])


def lines_of(table: Table, columns: Columns, rules: Rules, order: np.ndarray) -> tuple[Lines, int]:
    """The rows of a table in an order as lines, and how many codes they have."""
    coded, many = np.empty((len(order), 4), np.int64), 0
    for column, found in enumerate(_codes(table.data, columns)):
        coded[:, column] = np.where(found < 0, -1, found + many)
        many += int(found.max(initial=-1)) + 1
    return Lines(*(values[order] for values in uncoded(table, columns, rules)._replace(codes=coded))), many


def uncoded(table: Table, columns: Columns, rules: Rules) -> Lines:
    """The rows of a table as lines that have no codes yet."""
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


def flags_of(time: np.ndarray, quantity: np.ndarray, promoted: np.ndarray, rules: Rules) -> np.ndarray:
    """The flags of lines.

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


def _codes(data: pl.DataFrame, columns: Columns) -> Iterator[np.ndarray]:
    """Of order, SKU, store and channel; a line without an order is one of its own."""
    yield codes_apart(data[columns.order]) if columns.order else np.arange(len(data))
    for name in (columns.sku, columns.store, columns.channel):
        yield codes_of(data[name]) if name else np.full(len(data), -1)


def _amounts(data: pl.DataFrame, columns: Columns, quantity: np.ndarray) -> np.ndarray:
    if columns.amount:
        return floats(data[columns.amount])
    return quantity * floats(data[columns.unit_price]) if columns.unit_price else np.full(len(quantity), np.nan)
