"""Mean and standard deviation of sliding windows, each value made of the rows of its own window and of nothing else."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

BLOCK = 8_192
"""Rows worked on at a time, so that the scratch arrays stay in the processor's second-level cache."""

Sums = tuple[np.ndarray, np.ndarray]
"""The sums of windows of one size, and their sums of squares about the mean; entry i ends at row i + (size - 1) stride."""


def window_moments(values: np.ndarray, sizes: Iterable[int], stride: int = 1) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Return mean and standard deviation (n - 1) of the rows t, t - stride, ..., t - (size - 1) stride, for every t.

    A window is put together from its two halves, or from its earliest row and the others (Chan, Golub and LeVeque, Updating
    formulae and a pairwise algorithm for computing sample variances, 1979). No running sum goes along the column, so that a
    value has the same bits wherever its window stands and whatever stands before it, and the error grows with the logarithm
    of the size.

    Args:
        values: The column, shape (rows,), NaN where unknown.
        sizes: Rows in a window, each at least 1.
        stride: Rows from one row of a window to the next.

    Returns:
        By size, two arrays of shape (rows,): NaN where the window is not whole or has a NaN; a window of one row has no
        standard deviation.
    """
    moments = {size: (np.empty(len(values)), np.empty(len(values))) for size in dict.fromkeys(sizes)}
    span = (max(moments, default=1) - 1) * stride
    block = max(BLOCK, 4 * span)
    # Windows that straddle two series are masked by the caller, so what overflows in them is of no interest.
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(values), block):
            part = values[max(start - span, 0) : start + block]
            sums = {1: (part, np.zeros_like(part))}
            for size, (mean, deviation) in moments.items():
                _write(_sums(sums, size, stride), size, mean[start : start + block], deviation[start : start + block])
    return moments


def _sums(known: dict[int, Sums], size: int, stride: int) -> Sums:
    if size not in known:
        early = 1 if size % 2 else size // 2
        known[size] = _joined(_sums(known, size - early, stride), size - early, _sums(known, early, stride), early, stride)
    return known[size]


def _joined(late: Sums, n: int, early: Sums, k: int, stride: int) -> Sums:
    """Combine windows of the latest n rows and of the k before them into windows of n + k rows."""
    rows = max(len(early[0]) - n * stride, 0)
    late_sum, late_squares = (values[len(values) - rows :] for values in late)
    early_sum, early_squares = (values[:rows] for values in early)
    squares = late_sum - early_sum * (n / k) if n != k else late_sum - early_sum
    squares *= squares
    squares *= k / (n * (n + k))
    if n > 1:  # a single row has no squares about its mean
        squares += late_squares
    if k > 1:
        squares += early_squares
    return late_sum + early_sum, squares


def _write(sums: Sums, size: int, mean: np.ndarray, deviation: np.ndarray) -> None:
    rows = min(len(mean), len(sums[0]))
    first = len(mean) - rows
    mean[:first] = deviation[:first] = np.nan
    np.divide(sums[0][len(sums[0]) - rows :], size, out=mean[first:])
    if size == 1:
        deviation[:] = np.nan
        return
    np.divide(sums[1][len(sums[1]) - rows :], size - 1, out=deviation[first:])
    np.sqrt(deviation, out=deviation)
