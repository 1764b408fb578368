"""Moments of each series and its columns, freed of the series' wandering level."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Moments(NamedTuple):
    """Sums over the known rows of n series, of columns and target after the level is taken out.

    Attributes:
        square: Columns times columns, shape (n, k, k).
        cross: Columns times target, shape (n, k).
        total: Target times target, shape (n,).
        rows: Rows that count, shape (n,).
    """

    square: np.ndarray
    cross: np.ndarray
    total: np.ndarray
    rows: np.ndarray

    def left(self, weights: np.ndarray) -> np.ndarray:
        """Return the sum of squares that weights leave of each series' target.

        Args:
            weights: Shape (n, k), or (k,) for all alike.
        """
        weights = np.broadcast_to(weights, self.cross.shape)
        fitted = np.einsum("nk,nkj,nj->n", weights, self.square, weights)
        return np.maximum(self.total - 2 * (weights * self.cross).sum(1) + fitted, 1e-12 * self.total)


def moments(target: np.ndarray, columns: np.ndarray, offsets: np.ndarray, memory: float) -> Moments:
    """Return the moments of innovations of simple exponential smoothing, in which level and noise are told apart.

    The errors of a series whose level wanders are an ARIMA(0,1,1): a change plus `memory` times the innovation before it is
    one innovation, of the target as of every column (Box and Jenkins 1976, chapter 5). A row after an unknown one is left out.

    Args:
        target: NaN where unknown, shape (rows,).
        columns: Shape (rows, k).
        offsets: Where each series begins, and the end.
        memory: The moving average's coefficient, from 0 (a random walk) to 1 (a level that stays).
    """
    from scipy.signal import lfilter

    n, k = len(offsets) - 1, columns.shape[1]
    square, cross, total, rows = np.zeros((n, k, k)), np.zeros((n, k)), np.zeros(n), np.zeros(n)
    known = ~np.isnan(target)
    last = np.maximum.accumulate(np.where(known, np.arange(len(target)), 0))
    both = np.column_stack([target[last], columns])
    for i in range(n):
        inside = slice(offsets[i], offsets[i + 1])
        first = int(np.argmax(known[inside]))
        part, there = both[inside][first:], known[inside][first:]
        if len(part) < 2 or not there.any():
            continue
        fresh = lfilter([1.0], [1.0, -memory], np.diff(part, axis=0), axis=0)[there[1:] & there[:-1]]
        moved, sold = fresh[:, 1:], fresh[:, 0]
        square[i], cross[i], total[i], rows[i] = moved.T @ moved, moved.T @ sold, sold @ sold, len(sold)
    return Moments(square, cross, total, rows)
