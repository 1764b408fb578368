"""One order line at a time: the windows of its entity as of its own moment; compiled by numba.

A line that is the latest of its entity moves windows that are kept, which costs the same however long they are (but for the
medians, whose sorted numbers move). A late one is put in its place, and its own windows are counted line by line.
"""

from __future__ import annotations

import math

import numpy as np

from hwds.core.numba_cache import helper
from hwds.detection.features.order_lines.arrays import (
    DISTINCT,
    GAP,
    ORDER,
    PENDING,
    RATIOS,
    RETURNED,
    ROWS,
    SORTED,
    SUMS,
    TENURE,
    Book,
    Lines,
)
from hwds.detection.features.order_lines.late import count_late
from hwds.detection.features.order_lines.sums import add_to_longest, count, ratio, write_values
from hwds.features.rows.columns import DAY, NEVER
from hwds.features.rows.sorted_arrays import insert, middle_of, pop, push, remove


def fill(lines: Lines, book: Book, spans: np.ndarray, bounds: np.ndarray, places: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` for all lines of many entities.

    Args:
        lines: The lines.
        book: An empty one with room for the entity of the most lines.
        spans: The lengths of the windows in microseconds, rising.
        bounds: Where each entity's lines begin, and the end.
        places: The row of `out` for each line.
        out: The values, shape (n, 6 windows + 11).
    """
    for entity in range(bounds.size - 1):
        begin(book)
        for line in range(bounds[entity], bounds[entity + 1]):
            step(lines, book, spans, bounds[entity], line, places[line], out)


def arrive(lines: Lines, book: Book, spans: np.ndarray, line: int, row: int, out: np.ndarray) -> None:
    """Fill `out` for one line of an entity with a book of its own: `step` as one call from Python."""
    step(lines, book, spans, 0, line, row, out)


@helper
def begin(book: Book) -> None:
    """Empty a book for another entity, whose lines come after those of the entity before."""
    book.start[:] = 0
    book.totals[:] = 0.0
    book.held[:] = 0.0
    book.sizes[:] = 0


@helper
def step(lines: Lines, book: Book, spans: np.ndarray, first: int, line: int, row: int, out: np.ndarray) -> None:
    """Write the values known at the arrival of a line into a row of `out`, and store the line in the book.

    Args:
        lines: The lines.
        book: That of the line's entity; it has all lines of the entity before this one, and no others.
        spans: The lengths of the windows in microseconds, rising.
        first: The entity's first line.
        line: The line that arrived.
        row: The row of `out`.
        out: The values, shape (rows, 6 windows + 11).
    """
    time, quantity, amount = lines.time[line], lines.quantity[line], lines.amount[line]
    at = len(SUMS) * spans.size
    _update_returns(lines, book, spans[spans.size - 1], line)
    place = _insert(lines, book, line)
    if place == book.sizes[ROWS] - 1:
        _advance(lines, book, spans, time)
        out[row, at + RATIOS] = ratio(quantity, middle_of(book.levels, 0, book.sizes[SORTED]))
        out[row, at + RATIOS + 1] = ratio(amount, middle_of(book.levels, 1, book.sizes[SORTED + 1]))
        _enter(lines, book, spans, first, line, time)
        write_values(book.totals, book.held, spans.size, row, out)
    else:
        _enter(lines, book, spans, first, line, lines.time[book.ranked[book.sizes[ROWS] - 1]])
        middles = count_late(lines, book, spans, line, place)
        out[row, at + RATIOS], out[row, at + RATIOS + 1] = ratio(quantity, middles[0]), ratio(amount, middles[1])
        write_values(book.late_totals, book.late_held, spans.size, row, out)
    out[row, at + TENURE] = (time - lines.time[book.ranked[0]]) / DAY
    out[row, at + GAP] = _gap(lines, book, line, place)


@helper
def _update_returns(lines: Lines, book: Book, longest: int, line: int) -> None:
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
def _insert(lines: Lines, book: Book, line: int) -> int:
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
def _advance(lines: Lines, book: Book, spans: np.ndarray, time: int) -> None:
    """Let lines leave the windows that end at a time."""
    for window in range(spans.size):
        line = book.ranked[book.start[window]]
        while lines.time[line] <= time - spans[window]:
            count(lines, book.totals, window, line, -1.0)
            for column in range(4):
                code = lines.codes[line, column]
                if code >= 0 and book.last[code] == line:
                    book.totals[window, DISTINCT + column] -= 1
            if window == spans.size - 1:
                _update_longest(lines, book, line, -1.0)
            book.start[window] += 1
            line = book.ranked[book.start[window]]


@helper
def _enter(lines: Lines, book: Book, spans: np.ndarray, first: int, line: int, end: int) -> None:
    """Let a line into the windows that end at `end`; one that is too old for a window moves its beginning on."""
    for column in range(4):
        code = lines.codes[line, column]
        if code >= 0 and book.last[code] < first:
            book.units[code] = 0.0
    for window in range(spans.size):
        edge = end - spans[window]
        if lines.time[line] <= edge:
            book.start[window] += 1
            continue
        count(lines, book.totals, window, line, 1.0)
        for column in range(4):
            code = lines.codes[line, column]
            if code >= 0 and (book.last[code] < first or lines.time[book.last[code]] <= edge):
                book.totals[window, DISTINCT + column] += 1
        if window == spans.size - 1:
            _update_longest(lines, book, line, 1.0)
    for column in range(4):
        code = lines.codes[line, column]
        if code >= 0 and (book.last[code] < first or lines.time[book.last[code]] <= lines.time[line]):
            book.last[code] = line


@helper
def _update_longest(lines: Lines, book: Book, line: int, sign: float) -> None:
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
def _gap(lines: Lines, book: Book, line: int, place: int) -> float:
    """Return days since the latest line of another order; NaN where there is none."""
    before = place - 1
    while before >= 0 and lines.codes[book.ranked[before], ORDER] == lines.codes[line, ORDER]:
        before -= 1
    return (lines.time[line] - lines.time[book.ranked[before]]) / DAY if before >= 0 else math.nan
