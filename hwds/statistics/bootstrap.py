"""Draws of clusters for a bootstrap; the intervals that they make are in `two_way` and `standard_errors`."""

from __future__ import annotations

import numpy as np

LEAST = 0.5
"""The share of resamples in which a number must be defined for it to have an interval."""


def drawn(n: int, rng: np.random.Generator) -> np.ndarray:
    """Return the number of times each of n clusters is drawn in n draws with replacement, shape (n,)."""
    return np.bincount(rng.integers(0, n, n), minlength=n).astype(float)
