"""The windows of an order line that is not the latest of its entity, counted line by line; compiled by numba."""

from __future__ import annotations

import math

import numpy as np

from hwds.core.numba_cache import helper
from hwds.detection.features.order_lines.arrays import DISTINCT, RETURNED, SKU, Book, Lines
from hwds.detection.features.order_lines.sums import add_to_longest, count
from hwds.features.rows.columns import NEVER
from hwds.features.rows.sorted_arrays import median_of


@helper
def count_late(lines: Lines, book: Book, spans: np.ndarray, line: int, place: int) -> tuple[float, float]:
    """Fill `late_totals` and `late_held`; return the medians of quantity and amount of the longest window without the line.

    The windows end at one line and lie in one another, so that one pass backwards in time serves all of them: what was
    counted when it passes a window's beginning is that window's.
    """
    running, window = spans.size, 0
    for k in range(book.late_totals.shape[1]):
        book.late_totals[running, k] = 0.0
    book.late_held[:] = 0.0
    quantities, amounts = 0, 0
    while place >= 0 and window < spans.size:
        other = book.ranked[place]
        while window < spans.size and lines.time[other] <= lines.time[line] - spans[window]:
            _close(book, window, running)
            window += 1
        if window == spans.size:
            break
        _meet(lines, book, line, other, running)
        if other != line:
            quantities = _gather(book, 0, quantities, lines.quantity[other])
            amounts = _gather(book, 1, amounts, lines.amount[other])
        place -= 1
    while window < spans.size:
        _close(book, window, running)
        window += 1
    return median_of(book.late_levels, 0, quantities), median_of(book.late_levels, 1, amounts)


@helper
def _meet(lines: Lines, book: Book, line: int, other: int, running: int) -> None:
    """Count a line; `late_last` is the line for which a code was met last."""
    count(lines, book.late_totals, running, other, 1.0)
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
def _close(book: Book, window: int, running: int) -> None:
    for k in range(book.late_totals.shape[1]):
        book.late_totals[window, k] = book.late_totals[running, k]


@helper
def _gather(book: Book, row: int, size: int, value: float) -> int:
    if math.isnan(value):  # not known
        return size
    book.late_levels[row, size] = value
    return size + 1
