"""Windows of rows of runs and their means, with the bits of a stream."""

from __future__ import annotations

import numpy as np

from hwds.core.numba_cache import compiled
from hwds.features.signals.window_kernel import STATISTICS, fill_windows


def windows_of(signals: np.ndarray, begins: np.ndarray, window: int, rows: np.ndarray) -> np.ndarray:
    """Return the last rows up to some, the first row repeated where a run is younger; shape (m, window, k), single precision.

    Args:
        signals: Rows of runs, those of a run side by side, shape (n, k).
        begins: The first row of each row's run, shape (n,).
        window: Rows of a window.
        rows: Places, shape (m,).
    """
    places = np.maximum(rows[:, None] + np.arange(1 - window, 1), begins[rows][:, None])
    return np.ascontiguousarray(signals[places], np.float32)


def moving_mean(values: np.ndarray, begins: np.ndarray, window: int) -> np.ndarray:
    """Return the mean of the last rows of a run up to each, of as many as there are; the same shape.

    Args:
        values: Rows of runs, those of a run side by side, shape (n, k).
        begins: The first row of each row's run, shape (n,).
        window: Rows at most.
    """
    out = np.empty((len(values), 1, values.shape[1]))
    kinds = np.array([STATISTICS.index("mean")])
    compiled(fill_windows)(np.ascontiguousarray(values), begins, np.arange(len(values)), window, kinds, out)
    return out[:, 0]
