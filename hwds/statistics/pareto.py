"""Pareto fronts."""

from __future__ import annotations

import numpy as np


def pareto_front(values: np.ndarray) -> np.ndarray:
    """Return which rows no other row beats: none is at least as low in every column and lower in one, shape (rows,).

    Args:
        values: The lower the better, shape (rows, objectives).
    """
    below = (values[:, None] <= values).all(axis=2) & (values[:, None] < values).any(axis=2)
    return np.asarray(~below.any(axis=0))
