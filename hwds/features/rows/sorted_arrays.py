"""Sorted numbers, a heap and medians in flat arrays: compiled into the kernels of features."""

from __future__ import annotations

import math

import numpy as np

from hwds.core.numba_cache import helper


@helper
def upto(values: np.ndarray, low: int, high: int, value: float) -> int:
    """Return the first place from `low` to `high` whose number is larger than a value; those between them are sorted."""
    while low < high:
        middle = (low + high) // 2
        if values[middle] <= value:
            low = middle + 1
        else:
            high = middle
    return low


@helper
def place_in(values: np.ndarray, row: int, size: int, value: float) -> int:
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
def insert(values: np.ndarray, row: int, size: int, value: float) -> None:
    """Put a value among `size` sorted numbers of a row, which has room for it."""
    place = place_in(values, row, size, value)
    for k in range(size, place, -1):
        values[row, k] = values[row, k - 1]
    values[row, place] = value


@helper
def remove(values: np.ndarray, row: int, size: int, value: float) -> None:
    """Take a value that is there out of `size` sorted numbers of a row."""
    for k in range(place_in(values, row, size, value), size - 1):
        values[row, k] = values[row, k + 1]


@helper
def middle_of(values: np.ndarray, row: int, size: int) -> float:
    """Return the median of `size` sorted numbers of a row; NaN of none."""
    if size == 0:
        return math.nan
    return 0.5 * (values[row, (size - 1) // 2] + values[row, size // 2])


@helper
def median_of(values: np.ndarray, row: int, size: int) -> float:
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
def _kth(values: np.ndarray, row: int, size: int, k: int) -> float:
    """Return the number that stands at k when sorted; those before it are no larger (Hoare 1961, Algorithm 65: FIND)."""
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
def push(heap: np.ndarray, size: int, keys: np.ndarray, item: int) -> None:
    """Add an item to a heap of `size` items whose key is the least at 0."""
    at = size
    while at > 0 and keys[heap[(at - 1) // 2]] > keys[item]:
        heap[at] = heap[(at - 1) // 2]
        at = (at - 1) // 2
    heap[at] = item


@helper
def pop(heap: np.ndarray, size: int, keys: np.ndarray) -> int:
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
