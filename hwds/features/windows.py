"""Mean and standard deviation of sliding windows, each value made of the rows of its own window and of nothing else."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

BLOCK = 12_288
"""Rows worked on at a time, so that the scratch arrays stay in the processor's second-level cache."""

Sums = dict[int, tuple[np.ndarray, np.ndarray | None]]
"""By size of window, powers of two: sum, and sum of squares about the mean; entry i ends at row i + (size - 1) stride."""


def window_moments(values: np.ndarray, sizes: Iterable[int], stride: int = 1) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Mean and standard deviation (n - 1) of the rows t, t - stride, ..., t - (size - 1) stride, for every t.

    Windows are put together from halves (Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm for computing
    sample variances, 1979), always in the same order. No running sum goes along the column, so that a value has the same
    bits wherever its window stands and whatever stands before it, and the error grows with the logarithm of the size.

    Args:
        values: The column, shape (rows,), NaN where unknown.
        sizes: Rows in a window, each at least 1.
        stride: Rows from one row of a window to the next.

    Returns:
        By size, two arrays of shape (rows,): NaN where the window is not whole or has a NaN; a window of one row has no
        standard deviation.
    """
    found = {size: (np.empty(len(values)), np.empty(len(values))) for size in dict.fromkeys(sizes)}
    reach = (max(found, default=1) - 1) * stride
    block = max(BLOCK, 4 * reach)
    # Windows that straddle two series are masked by the caller, so what overflows in them is of no interest.
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(values), block):
            sums = _doubled(values[max(start - reach, 0) : start + block], max(found, default=1), stride)
            for size, (mean, deviation) in found.items():
                _write(*_joined(sums, size, stride), size, mean[start : start + block], deviation[start : start + block])
    return found


def _doubled(values: np.ndarray, largest: int, stride: int) -> Sums:
    """Windows of 1, 2, 4, ... rows up to `largest`, each of two halves."""
    total, squares, size = values, None, 1
    sums: Sums = {1: (total, None)}
    while 2 * size <= largest:
        gap = size * stride
        late, early = total[gap:], total[:-gap]
        spread = late - early
        spread *= spread
        spread *= 0.5 / size
        if squares is not None:
            spread += squares[gap:]
            spread += squares[:-gap]
        total, squares, size = late + early, spread, 2 * size
        sums[size] = total, squares
    return sums


def _joined(sums: Sums, size: int, stride: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Windows of any size: its binary digits, the largest part being the latest rows."""
    done = part = 1 << (size.bit_length() - 1)
    total, squares = sums[part]
    while done < size:
        part //= 2
        if not size & part:
            continue
        early, early_squares = sums[part]
        rows = max(len(early) - done * stride, 0)
        early, late = early[:rows], total[len(total) - rows :]
        spread = early * (-done / part)
        spread += late
        spread *= spread
        spread *= part / (done * (done + part))
        spread += squares[len(squares) - rows :] if squares is not None else 0.0
        if early_squares is not None:
            spread += early_squares[:rows]
        total, squares, done = late + early, spread, done + part
    return total, squares


def _write(total: np.ndarray, squares: np.ndarray | None, size: int, mean: np.ndarray, deviation: np.ndarray) -> None:
    rows = min(len(mean), len(total))
    first = len(mean) - rows
    mean[:first] = deviation[:first] = np.nan
    np.divide(total[len(total) - rows :], size, out=mean[first:])
    if squares is None:
        deviation[:] = np.nan
        return
    np.divide(squares[len(squares) - rows :], size - 1, out=deviation[first:])
    np.sqrt(deviation, out=deviation)
