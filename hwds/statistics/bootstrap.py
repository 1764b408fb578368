"""Percentile intervals of scores by a bootstrap of clusters; the intervals of comparisons are in `standard_errors`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

LEAST = 0.5
"""The share of resamples in which a number must be defined for it to have an interval."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The spread of a number over bootstrap resamples.

    Attributes:
        stderr: The standard deviation over the resamples.
        low, high: The 95 % percentile interval.
        method: What was resampled.
    """

    stderr: float
    low: float
    high: float
    method: str


def drawn(n: int, rng: np.random.Generator) -> np.ndarray:
    """Return the number of times each of n clusters is drawn in n draws with replacement, shape (n,)."""
    return np.bincount(rng.integers(0, n, n), minlength=n).astype(float)


def spread_of(values: np.ndarray, method: str, around: float | None = None) -> Spread | None:
    """Return the interval of a number from its resamples; None where it is undefined in most of them.

    Args:
        values: Of each resample, NaN where it has none.
        method: What was resampled.
        around: The number itself where resamples overstate it, as they do a distance: their median is moved there, and
            nothing lies below 0.
    """
    defined = values[~np.isnan(values)]
    if len(defined) < max(2, LEAST * len(values)):
        return None
    low, middle, high = np.quantile(defined, (0.025, 0.5, 0.975))
    if around is not None:
        low, high = max(low - middle + around, 0.0), high - middle + around
    return Spread(float(np.std(defined, ddof=1)), float(low), float(high), method)


def widest(samples: Mapping[str, np.ndarray], around: float | None = None) -> Spread | None:
    """Return the widest interval among several ways to resample, None where none has one; see `spread_of`."""
    spreads: Sequence[Spread] = [spread for way, values in samples.items() if (spread := spread_of(values, way, around))]
    return max(spreads, key=lambda spread: spread.high - spread.low, default=None)
