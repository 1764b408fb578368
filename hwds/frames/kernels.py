"""Loops of features that numba compiles: statistics of windows, sorted arrays, heaps, medians."""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
from numpy import ndarray

from hwds.core.compiling import helper

# The compiled loops of window statistics: each window is summed by itself, so that a stream has
# the bits of a batch.

Statistic = Literal[
    "mean",
    "sd",
    "slope",
    "rms",
    "minimum",
    "maximum",
    "peak_to_peak",
    "crest",
    "skewness",
    "kurtosis",
]
STATISTICS: tuple[Statistic, ...] = get_args(Statistic)
"""The statistics of a window; a number of `kinds` below is a place in it."""


@helper
def window_statistic(
    kind: int,
    m: int,
    mean: float,
    second: float,
    third: float,
    fourth: float,
    cross: float,
    squares: float,
    low: float,
    high: float,
) -> float:
    """Return one of `STATISTICS` of m numbers.

    Args:
        kind: Its place.
        m: Their number.
        mean: Their mean.
        second: The sum of squared deviations.
        third: The sum of third powers of deviations.
        fourth: The sum of fourth powers of deviations.
        cross: The sum of deviations times places, these less their own mean.
        squares: The sum of squares.
        low: The least.
        high: The greatest.
    """
    if kind <= 2:
        # the squared places less their mean add up to m (m^2 - 1) / 12
        slope = cross * 12.0 / (m * (m * m - 1.0)) if m > 1 else 0.0
        return mean if kind == 0 else np.sqrt(second / m) if kind == 1 else slope
    rms = np.sqrt(squares / m)
    if kind <= 5:
        return rms if kind == 3 else low if kind == 4 else high
    if kind == 6:
        return high - low
    if kind == 7:
        return max(abs(low), abs(high)) / rms if rms > 0 else 0.0
    variance = second / m
    if variance <= 0:
        return 0.0
    return (
        third / m / (variance * np.sqrt(variance))
        if kind == 8
        else fourth / m / (variance * variance)
    )


def fill_windows(
    values: ndarray,
    begins: ndarray,
    rows: ndarray,
    window: int,
    kinds: ndarray,
    out: ndarray,
) -> None:
    """Write statistics of the last `window` rows of a run up to some, or of as many as there are,
    into `out`.

    Args:
        values: Rows of runs, those of a run side by side, shape (n, k).
        begins: The first row of the run of each requested row, shape (m,).
        rows: The places of the requested rows, shape (m,).
        window: Rows at most.
        kinds: Places in `STATISTICS`, shape (s,).
        out: The array that is filled, shape (m, s, k).
    """
    for place in range(len(rows)):
        row = rows[place]
        first = max(begins[place], row - window + 1)
        m = row - first + 1
        for j in range(values.shape[1]):
            total = 0.0
            squares = 0.0
            low = values[row, j]
            high = values[row, j]
            for i in range(first, row + 1):
                x = values[i, j]
                total += x
                squares += x * x
                low = min(low, x)
                high = max(high, x)
            mean = total / m
            # a second pass: sums of powers of large numbers would cancel each other's digits
            second = 0.0
            third = 0.0
            fourth = 0.0
            cross = 0.0
            middle = 0.5 * (m - 1)
            for i in range(first, row + 1):
                d = values[i, j] - mean
                second += d * d
                third += d * d * d
                fourth += d * d * d * d
                # for the slope against the place in the window
                cross += (i - first - middle) * d
            for s in range(len(kinds)):
                out[place, s, j] = window_statistic(
                    kinds[s], m, mean, second, third, fourth, cross, squares, low, high
                )


def fill_ewma(
    values: ndarray,
    runs: ndarray,
    weight: float,
    top: ndarray,
    bottom: ndarray,
    out: ndarray,
) -> None:
    """Write the exponentially weighted mean of each run up to each row into `out`.

    Its weights sum to 1 from the first row on.

    Args:
        values: Rows of numbers, shape (n, k).
        runs: The run of each row, shape (n,).
        weight: The weight of the newest row against all before it.
        top: The weighted sum of each run so far, 0 before its first row, which goes on; shape
            (runs, k).
        bottom: The sum of the weights, the same.
        out: The array that is filled, shape (n, k).
    """
    for row in range(len(values)):
        run = runs[row]
        for j in range(values.shape[1]):
            top[run, j] = (1.0 - weight) * top[run, j] + values[row, j]
            bottom[run, j] = (1.0 - weight) * bottom[run, j] + 1.0
            out[row, j] = top[run, j] / bottom[run, j]


# Sorted numbers, a heap and medians in flat arrays: compiled into the kernels of features.


@helper
def place_after(values: ndarray, low: int, high: int, value: float) -> int:
    """Return the first place from `low` to `high` whose number is larger than a value.

    Those between them are sorted.
    """
    while low < high:
        middle = (low + high) // 2
        if values[middle] <= value:
            low = middle + 1
        else:
            high = middle
    return low


@helper
def place_in(values: ndarray, row: int, size: int, value: float) -> int:
    """Return how many of the first `size` sorted numbers of a row are less than a value."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        if values[row, middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@helper
def insert(values: ndarray, row: int, size: int, value: float) -> None:
    """Put a value among `size` sorted numbers of a row, which has room for it."""
    place = place_in(values, row, size, value)
    for k in range(size, place, -1):
        values[row, k] = values[row, k - 1]
    values[row, place] = value


@helper
def remove(values: ndarray, row: int, size: int, value: float) -> None:
    """Take a value that is there out of `size` sorted numbers of a row."""
    for k in range(place_in(values, row, size, value), size - 1):
        values[row, k] = values[row, k + 1]


@helper
def middle_of(values: ndarray, row: int, size: int) -> float:
    """Return the median of `size` sorted numbers of a row; NaN of none."""
    if size == 0:
        return math.nan
    return 0.5 * (values[row, (size - 1) // 2] + values[row, size // 2])


@helper
def median_of(values: ndarray, row: int, size: int) -> float:
    """Return the median of `size` numbers of a row, which change places; NaN of none."""
    if size == 0:
        return math.nan
    upper = _kth(values, row, size, size // 2)
    if size % 2:
        return upper
    lower = values[row, 0]  # of the numbers before it none is larger
    for k in range(1, size // 2):
        lower = max(lower, values[row, k])
    return 0.5 * (lower + upper)


@helper
def _kth(values: ndarray, row: int, size: int, k: int) -> float:
    """Return the number that stands at k when sorted.

    Those before it are no larger (Hoare 1961, Algorithm 65: FIND).
    """
    low, high = 0, size - 1
    while low < high:
        pivot, i, j = values[row, (low + high) // 2], low, high
        while i <= j:
            while values[row, i] < pivot:
                i += 1
            while values[row, j] > pivot:
                j -= 1
            if i <= j:
                values[row, i], values[row, j] = values[row, j], values[row, i]
                i, j = i + 1, j - 1
        if k <= j:
            high = j
        elif k >= i:
            low = i
        else:
            break
    return values[row, k]


@helper
def push(heap: ndarray, size: int, keys: ndarray, item: int) -> None:
    """Add an item to a heap of `size` items whose key is the least at 0."""
    at = size
    while at > 0 and keys[heap[(at - 1) // 2]] > keys[item]:
        heap[at] = heap[(at - 1) // 2]
        at = (at - 1) // 2
    heap[at] = item


@helper
def pop(heap: ndarray, size: int, keys: ndarray) -> int:
    """Take the item of the least key out of a heap of `size` items."""
    least, item, at = heap[0], heap[size - 1], 0
    while 2 * at + 1 < size - 1:
        child = 2 * at + 1
        if child + 1 < size - 1 and keys[heap[child + 1]] < keys[heap[child]]:
            child += 1
        if keys[heap[child]] >= keys[item]:
            break
        heap[at] = heap[child]
        at = child
    heap[at] = item
    return least
