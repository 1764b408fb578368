"""Order lines as arrays, which the kernel of `purchases` reads and writes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwds.core.serialization import Serializable

ORDER, SKU, STORE, CHANNEL = 0, 1, 2, 3
"""Columns of `codes`."""

PROMOTED, WEEKEND, OVER_TIER, QUARTER_END = 0, 1, 2, 3
"""Columns of `flags`."""

SUMS = ("quantity", "orders", "amount", "skus", "stores", "channels")
"""The values of each window, in order."""

QUANTITY, ORDERS, AMOUNT, SKUS, STORES, CHANNELS = range(6)

LINE_VALUES = (
    "cross_channel",
    "promoted_share",
    "weekend_share",
    "over_tier_share",
    "quarter_end_share",
    "return_rate",
    "sku_concentration",
    "quantity_ratio",
    "amount_ratio",
    "tenure_days",
    "order_gap_days",
)
"""The values of a line itself, after the windows, in order."""

CROSS, SHARES, RETURN_RATE, CONCENTRATION, RATIOS, TENURE, GAP = 0, 1, 5, 6, 7, 9, 10

LINES, DISTINCT, SUM_QUANTITY, SUM_AMOUNT = 0, 1, 5, 7
"""Places in `totals`; behind a sum stands what rounding took from it."""

RETURNED, UNITS, SQUARES = 4, 5, 6
"""Places in `held`, after the flags."""

ROWS, PENDING, SORTED = 0, 1, 2
"""Places in `sizes`."""


@Serializable.register
class Lines(NamedTuple):
    """Order lines; those of an entity stand together, in the order in which they arrived.

    Attributes:
        time: Microseconds.
        arrival: Microseconds, not falling within an entity.
        returned: When the line was returned, `NEVER` if it was not.
        quantity: NaN where not known; 1 where there is no such column.
        amount: NaN where not known.
        codes: Order, SKU, store and channel, -1 where not known, shape (n, 4); no two columns share a code.
        flags: Promoted, of a weekend, just over a tier, at the end of a quarter: 1 or 0, shape (n, 4).
    """

    time: np.ndarray
    arrival: np.ndarray
    returned: np.ndarray
    quantity: np.ndarray
    amount: np.ndarray
    codes: np.ndarray
    flags: np.ndarray


@Serializable.register
class Book(NamedTuple):
    """The state of one entity: all lines in the order of time, and the windows that end at its latest one.

    Attributes:
        ranked: Lines in the order of time, those of one time in the order of arrival.
        pending: A heap of the lines that were not yet returned but will be, by when.
        back: 1 for each line that was returned by now.
        last: The latest line of each code; one before the entity's first line is of another entity.
        units: Of each SKU in the longest window.
        levels: Sorted quantities and amounts of the longest window, shape (2, lines).
        start: Where each window begins in `ranked`.
        totals: Of each window: lines, distinct codes of four columns, and sums of quantity and amount with their errors.
        held: Of the longest window: four flags, returned lines, units of known SKUs, and their squares by SKU.
        sizes: Lines, pending returns, sorted quantities, sorted amounts.
        late_last: As `last`, `units`, `levels`, `totals` and `held`, of the windows of a late line.
        late_units: Of each SKU.
        late_levels: Not sorted.
        late_totals: With a row more, which runs through the windows.
        late_held: Of the longest window.
    """

    ranked: np.ndarray
    pending: np.ndarray
    back: np.ndarray
    last: np.ndarray
    units: np.ndarray
    levels: np.ndarray
    start: np.ndarray
    totals: np.ndarray
    held: np.ndarray
    sizes: np.ndarray
    late_last: np.ndarray
    late_units: np.ndarray
    late_levels: np.ndarray
    late_totals: np.ndarray
    late_held: np.ndarray


def new_book(lines: int, room: int, codes: int, windows: int) -> Book:
    """Return an empty book.

    Args:
        lines: How many there are in all.
        room: The most that an entity has.
        codes: One more than the largest.
        windows: How many.
    """
    return Book(
        ranked=np.zeros(room, np.int64),
        pending=np.zeros(room, np.int64),
        back=np.zeros(lines, np.uint8),
        last=np.full(codes, -1, np.int64),
        units=np.zeros(codes),
        levels=np.zeros((2, room)),
        start=np.zeros(windows, np.int64),
        totals=np.zeros((windows, 9)),
        held=np.zeros(7),
        sizes=np.zeros(4, np.int64),
        late_last=np.full(codes, -1, np.int64),
        late_units=np.zeros(codes),
        late_levels=np.zeros((2, room)),
        late_totals=np.zeros((windows + 1, 9)),
        late_held=np.zeros(7),
    )
