"""Windows of order lines of an entity, one line at a time; compiled by numba."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from hwds.core.compiling import helper
from hwds.core.serialization import Serializable
from hwds.frames.kernels import insert, median_of, middle_of, pop, push, remove
from hwds.frames.rows import DAY_MICROSECONDS, NEVER

# Order lines as arrays, which the kernel of `purchases` reads and writes.

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
class OrderLines(NamedTuple):
    """Order lines; those of an entity stand together, in the order in which they arrived.

    Attributes:
        time: Microseconds.
        arrival: Microseconds, not falling within an entity.
        returned: The time at which the line was returned, `NEVER` if it was not.
        quantity: NaN where not known; 1 where there is no such column.
        amount: NaN where not known.
        codes: Order, SKU, store and channel, -1 where not known, shape (n, 4); no two columns share
            a code.
        flags: Promoted, of a weekend, just over a tier, at the end of a quarter: 1 or 0, shape (n,
            4).
    """

    time: ndarray
    arrival: ndarray
    returned: ndarray
    quantity: ndarray
    amount: ndarray
    codes: ndarray
    flags: ndarray


@Serializable.register
class Book(NamedTuple):
    """The state of one entity: all lines in the order of time, and the windows that end at its
    latest one.

    Attributes:
        ranked: Lines in the order of time, those of one time in the order of arrival.
        pending: A heap of the lines that were not yet returned but will be, by when.
        back: 1 for each line that was returned by now.
        last: The latest line of each code; one before the entity's first line is of another entity.
        units: The units of each SKU in the longest window.
        levels: Sorted quantities and amounts of the longest window, shape (2, lines).
        start: The place in `ranked` where each window begins.
        totals: Sums of each window: lines, distinct codes of four columns, and quantity and amount
            with their errors.
        held: Sums of the longest window: four flags, returned lines, units of known SKUs, and their
            squares by SKU.
        sizes: Lines, pending returns, sorted quantities, sorted amounts.
        late_last: The same as `last`, for the windows of a late line.
        late_units: The same as `units`.
        late_levels: The same as `levels`, not sorted.
        late_totals: The same as `totals`, with one row more, which runs through the windows.
        late_held: The same as `held`.
    """

    ranked: ndarray
    pending: ndarray
    back: ndarray
    last: ndarray
    units: ndarray
    levels: ndarray
    start: ndarray
    totals: ndarray
    held: ndarray
    sizes: ndarray
    late_last: ndarray
    late_units: ndarray
    late_levels: ndarray
    late_totals: ndarray
    late_held: ndarray


def new_book(lines: int, room: int, codes: int, windows: int) -> Book:
    """Return an empty book.

    Args:
        lines: The number of lines in all.
        room: The most that an entity has.
        codes: One more than the largest.
        windows: The number of windows.
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


# Sums over windows of order lines, and the values computed from them; compiled by numba.


@helper
def count_line(lines: OrderLines, totals: ndarray, window: int, line: int, sign: float) -> None:
    """Add a line to a window, or take it away."""
    totals[window, LINES] += sign
    _add(totals, window, SUM_QUANTITY, sign * lines.quantity[line])
    _add(totals, window, SUM_AMOUNT, sign * lines.amount[line])


@helper
def _add(totals: ndarray, row: int, column: int, value: float) -> None:
    """Add a number and keep what rounding takes (Knuth, The Art of Computer Programming 2, section
    4.2.2, theorem B).

    So what enters a window and leaves it again leaves nothing behind.
    """
    if math.isnan(value):  # not known
        return
    before = totals[row, column]
    after = before + value
    added = after - before
    totals[row, column] = after
    totals[row, column + 1] += (before - (after - added)) + (value - added)


@helper
def add_to_longest(
    lines: OrderLines, held: ndarray, units: ndarray, line: int, sign: float
) -> None:
    """Add a line's flags and units to the totals of the longest window, or take them away."""
    for flag in range(4):
        held[flag] += sign * lines.flags[line, flag]
    quantity, sku = lines.quantity[line], lines.codes[line, SKU]
    if sku >= 0 and not math.isnan(quantity):
        held[UNITS] += sign * quantity
        held[SQUARES] += quantity * (quantity + 2.0 * sign * units[sku])
        units[sku] += sign * quantity


@helper
def ratio(value: float, base: float) -> float:
    """Return a value over a base; NaN where the base is 0 or not known."""
    return value / base if base else math.nan


@helper
def write_values(totals: ndarray, held: ndarray, windows: int, row: int, out: ndarray) -> None:
    """Write the values computed from sums into a row: of each window, then of the longest one."""
    for window in range(windows):
        at = len(SUMS) * window
        out[row, at + QUANTITY] = totals[window, SUM_QUANTITY] + totals[window, SUM_QUANTITY + 1]
        out[row, at + AMOUNT] = totals[window, SUM_AMOUNT] + totals[window, SUM_AMOUNT + 1]
        out[row, at + ORDERS] = totals[window, DISTINCT + ORDER]
        out[row, at + SKUS] = totals[window, DISTINCT + SKU]
        out[row, at + STORES] = totals[window, DISTINCT + STORE]
        out[row, at + CHANNELS] = totals[window, DISTINCT + CHANNEL]
    at, longest = len(SUMS) * windows, windows - 1
    lines = totals[longest, LINES]
    out[row, at + CROSS] = 1.0 if totals[longest, DISTINCT + CHANNEL] > 1 else 0.0
    for flag in range(4):
        out[row, at + SHARES + flag] = held[flag] / lines
    out[row, at + RETURN_RATE] = held[RETURNED] / lines
    out[row, at + CONCENTRATION] = ratio(held[SQUARES], held[UNITS] * held[UNITS])


# The windows of an order line that is not the latest of its entity, counted line by line;
# compiled by numba.


@helper
def count_late(
    lines: OrderLines, book: Book, spans: ndarray, line: int, place: int
) -> tuple[float, float]:
    """Fill `late_totals` and `late_held`.

    Return the medians of quantity and amount of the longest window without the line.

    The windows end at one line and lie in one another, so that one pass backwards in time serves
    all of them: what was counted when it passes a window's beginning is that window's.
    """
    running, window = spans.size, 0
    for k in range(book.late_totals.shape[1]):
        book.late_totals[running, k] = 0.0
    book.late_held[:] = 0.0
    quantities, amounts = 0, 0
    while place >= 0 and window < spans.size:
        other = book.ranked[place]
        while window < spans.size and lines.time[other] <= lines.time[line] - spans[window]:
            _close_window(book, window, running)
            window += 1
        if window == spans.size:
            break
        _count_line(lines, book, line, other, running)
        if other != line:
            quantities = _gather_level(book, 0, quantities, lines.quantity[other])
            amounts = _gather_level(book, 1, amounts, lines.amount[other])
        place -= 1
    while window < spans.size:
        _close_window(book, window, running)
        window += 1
    return median_of(book.late_levels, 0, quantities), median_of(book.late_levels, 1, amounts)


@helper
def _count_line(lines: OrderLines, book: Book, line: int, other: int, running: int) -> None:
    """Count a line; `late_last` is the line for which a code was met last."""
    count_line(lines, book.late_totals, running, other, 1.0)
    for column in range(4):
        code = lines.codes[other, column]
        if code >= 0 and book.late_last[code] != line:
            book.late_last[code] = line
            book.late_totals[running, DISTINCT + column] += 1
            if column == SKU:
                book.late_units[code] = 0.0
    if lines.returned[other] <= lines.arrival[line] and lines.returned[other] != NEVER:
        book.late_held[RETURNED] += 1
    add_to_longest(lines, book.late_held, book.late_units, other, 1.0)


@helper
def _close_window(book: Book, window: int, running: int) -> None:
    for k in range(book.late_totals.shape[1]):
        book.late_totals[window, k] = book.late_totals[running, k]


@helper
def _gather_level(book: Book, row: int, size: int, value: float) -> int:
    if math.isnan(value):  # not known
        return size
    book.late_levels[row, size] = value
    return size + 1


# One order line at a time: the windows of its entity as of its own moment; compiled by numba.
# A line that is the latest of its entity moves windows that are kept, which costs the same
# however long they are (but for the medians, whose sorted numbers move). A late one is put in
# its place, and its own windows are counted line by line.


def fill_lines(
    lines: OrderLines,
    book: Book,
    spans: ndarray,
    bounds: ndarray,
    places: ndarray,
    out: ndarray,
) -> None:
    """Fill `out` for all lines of many entities.

    Args:
        lines: The lines.
        book: An empty one with room for the entity of the most lines.
        spans: The lengths of the windows in microseconds, rising.
        bounds: The place of the first line of each entity, and the end.
        places: The row of `out` for each line.
        out: The values, shape (n, 6 windows + 11).
    """
    for entity in range(bounds.size - 1):
        clear_book(book)
        for line in range(bounds[entity], bounds[entity + 1]):
            add_line(lines, book, spans, bounds[entity], line, places[line], out)


def fill_one_line(
    lines: OrderLines, book: Book, spans: ndarray, line: int, row: int, out: ndarray
) -> None:
    """Fill `out` for one line of an entity with a book of its own: `add_line` as one call from
    Python.
    """
    add_line(lines, book, spans, 0, line, row, out)


@helper
def clear_book(book: Book) -> None:
    """Empty a book for another entity, whose lines come after those of the entity before."""
    book.start[:] = 0
    book.totals[:] = 0.0
    book.held[:] = 0.0
    book.sizes[:] = 0


@helper
def add_line(
    lines: OrderLines,
    book: Book,
    spans: ndarray,
    first: int,
    line: int,
    row: int,
    out: ndarray,
) -> None:
    """Write the values known at the arrival of a line into a row of `out`, and store the line in
    the book.

    Args:
        lines: The lines.
        book: The book of the line's entity; it has all lines of the entity before this one, and no
            others.
        spans: The lengths of the windows in microseconds, rising.
        first: The entity's first line.
        line: The line that arrived.
        row: The row of `out`.
        out: The values, shape (rows, 6 windows + 11).
    """
    time, quantity, amount = lines.time[line], lines.quantity[line], lines.amount[line]
    at = len(SUMS) * spans.size
    # Returns come first: the windows count them as of this arrival.
    _update_returns(lines, book, spans[spans.size - 1], line)
    place = _insert(lines, book, line)
    if place == book.sizes[ROWS] - 1:
        # The latest line moves the windows on; the medians are taken before it enters.
        _advance(lines, book, spans, time)
        out[row, at + RATIOS] = ratio(quantity, middle_of(book.levels, 0, book.sizes[SORTED]))
        out[row, at + RATIOS + 1] = ratio(amount, middle_of(book.levels, 1, book.sizes[SORTED + 1]))
        _enter(lines, book, spans, first, line, time)
        write_values(book.totals, book.held, spans.size, row, out)
    else:
        _enter(lines, book, spans, first, line, lines.time[book.ranked[book.sizes[ROWS] - 1]])
        # The windows that are kept end later, so those of a late line are counted apart.
        middles = count_late(lines, book, spans, line, place)
        out[row, at + RATIOS] = ratio(quantity, middles[0])
        out[row, at + RATIOS + 1] = ratio(amount, middles[1])
        write_values(book.late_totals, book.late_held, spans.size, row, out)
    out[row, at + TENURE] = (time - lines.time[book.ranked[0]]) / DAY_MICROSECONDS
    out[row, at + GAP] = _gap(lines, book, line, place)


@helper
def _update_returns(lines: OrderLines, book: Book, longest: int, line: int) -> None:
    """Record the lines returned by the arrival of a line, and when the line itself will be."""
    now, rows = lines.arrival[line], book.sizes[ROWS]
    while book.sizes[PENDING] > 0 and lines.returned[book.pending[0]] <= now:
        other = pop(book.pending, book.sizes[PENDING], lines.returned)
        book.sizes[PENDING] -= 1
        book.back[other] = 1
        if lines.time[other] > lines.time[book.ranked[rows - 1]] - longest:
            book.held[RETURNED] += 1
    when = lines.returned[line]
    book.back[line] = 1 if when <= now and when != NEVER else 0
    if now < when and when != NEVER:
        push(book.pending, book.sizes[PENDING], lines.returned, line)
        book.sizes[PENDING] += 1


@helper
def _insert(lines: OrderLines, book: Book, line: int) -> int:
    """Insert a line after all of its time and before; return its place."""
    time, rows = lines.time[line], book.sizes[ROWS]
    low, high = 0, rows
    if rows and lines.time[book.ranked[rows - 1]] <= time:
        low = rows
    while low < high:
        middle = (low + high) // 2
        if lines.time[book.ranked[middle]] <= time:
            low = middle + 1
        else:
            high = middle
    for k in range(rows, low, -1):
        book.ranked[k] = book.ranked[k - 1]
    book.ranked[low] = line
    book.sizes[ROWS] += 1
    return low


@helper
def _advance(lines: OrderLines, book: Book, spans: ndarray, time: int) -> None:
    """Let lines leave the windows that end at a time."""
    for window in range(spans.size):
        line = book.ranked[book.start[window]]
        while lines.time[line] <= time - spans[window]:
            count_line(lines, book.totals, window, line, -1.0)
            for column in range(4):
                code = lines.codes[line, column]
                if code >= 0 and book.last[code] == line:
                    book.totals[window, DISTINCT + column] -= 1
            if window == spans.size - 1:
                _update_longest(lines, book, line, -1.0)
            book.start[window] += 1
            line = book.ranked[book.start[window]]


@helper
def _enter(lines: OrderLines, book: Book, spans: ndarray, first: int, line: int, end: int) -> None:
    """Let a line into the windows that end at `end`.

    One that is too old for a window moves its beginning on.
    """
    for column in range(4):
        code = lines.codes[line, column]
        if code >= 0 and book.last[code] < first:
            book.units[code] = 0.0
    # A code is new to a window where its latest line is older than the window's beginning.
    for window in range(spans.size):
        edge = end - spans[window]
        if lines.time[line] <= edge:
            book.start[window] += 1
            continue
        count_line(lines, book.totals, window, line, 1.0)
        for column in range(4):
            code = lines.codes[line, column]
            if code >= 0 and (book.last[code] < first or lines.time[book.last[code]] <= edge):
                book.totals[window, DISTINCT + column] += 1
        if window == spans.size - 1:
            _update_longest(lines, book, line, 1.0)
    for column in range(4):
        code = lines.codes[line, column]
        if code >= 0 and (
            book.last[code] < first or lines.time[book.last[code]] <= lines.time[line]
        ):
            book.last[code] = line


@helper
def _update_longest(lines: OrderLines, book: Book, line: int, sign: float) -> None:
    """Let a line into the longest window, or out of it."""
    book.held[RETURNED] += sign * book.back[line]
    add_to_longest(lines, book.held, book.units, line, sign)
    for row in range(2):
        value = lines.amount[line] if row else lines.quantity[line]
        if math.isnan(value):  # not known
            continue
        if sign > 0:
            insert(book.levels, row, book.sizes[SORTED + row], value)
            book.sizes[SORTED + row] += 1
        else:
            remove(book.levels, row, book.sizes[SORTED + row], value)
            book.sizes[SORTED + row] -= 1


@helper
def _gap(lines: OrderLines, book: Book, line: int, place: int) -> float:
    """Return days since the latest line of another order; NaN where there is none."""
    before = place - 1
    while before >= 0 and lines.codes[book.ranked[before], ORDER] == lines.codes[line, ORDER]:
        before -= 1
    return (
        (lines.time[line] - lines.time[book.ranked[before]]) / DAY_MICROSECONDS
        if before >= 0
        else math.nan
    )
