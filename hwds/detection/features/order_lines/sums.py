"""Sums over windows of order lines, and the values computed from them; compiled by numba."""

from __future__ import annotations

import math

import numpy as np

from hwds.core.numba_cache import helper
from hwds.detection.features.order_lines.arrays import (
    AMOUNT,
    CHANNEL,
    CHANNELS,
    CONCENTRATION,
    CROSS,
    DISTINCT,
    LINES,
    ORDER,
    ORDERS,
    QUANTITY,
    RETURN_RATE,
    RETURNED,
    SHARES,
    SKU,
    SKUS,
    SQUARES,
    STORE,
    STORES,
    SUM_AMOUNT,
    SUM_QUANTITY,
    SUMS,
    UNITS,
    Lines,
)


@helper
def count(lines: Lines, totals: np.ndarray, window: int, line: int, sign: float) -> None:
    """Add a line to a window, or take it away."""
    totals[window, LINES] += sign
    _add(totals, window, SUM_QUANTITY, sign * lines.quantity[line])
    _add(totals, window, SUM_AMOUNT, sign * lines.amount[line])


@helper
def _add(totals: np.ndarray, row: int, column: int, value: float) -> None:
    """Add a number and keep what rounding takes (Knuth, The Art of Computer Programming 2, section 4.2.2, theorem B).

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
def add_to_longest(lines: Lines, held: np.ndarray, units: np.ndarray, line: int, sign: float) -> None:
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
def write_values(totals: np.ndarray, held: np.ndarray, windows: int, row: int, out: np.ndarray) -> None:
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
