"""Bootstrap by clusters: how often each cluster is drawn, and the interval of what was computed from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

LEAST = 0.5
"""The share of resamples in which a number must be defined for it to have an interval."""


@dataclass(frozen=True, slots=True)
class Spread:
    """What a bootstrap says of a number.

    Attributes:
        stderr: The standard deviation over the resamples.
        low, high: The 95 % percentile interval.
        method: What was resampled.
    """

    stderr: float
    low: float
    high: float
    method: str


def drawn(n: int, luck: np.random.Generator) -> np.ndarray:
    """How often each of n clusters is among n draws with replacement, shape (n,)."""
    return np.bincount(luck.integers(0, n, n), minlength=n).astype(float)


def spread_of(values: np.ndarray, method: str, around: float | None = None) -> Spread | None:
    """The interval of a number from its resamples; None where it is undefined in most of them.

    Args:
        values: Of each resample, NaN where it has none.
        method: What was resampled.
        around: The number itself where resamples overstate it, as they do a distance: their median is moved there, and
            nothing lies below 0.
    """
    known = values[~np.isnan(values)]
    if len(known) < max(2, LEAST * len(values)):
        return None
    low, middle, high = np.quantile(known, (0.025, 0.5, 0.975))
    if around is not None:
        low, high = max(low - middle + around, 0.0), high - middle + around
    return Spread(float(np.std(known, ddof=1)), float(low), float(high), method)


def widest(samples: Mapping[str, np.ndarray], around: float | None = None) -> Spread | None:
    """Of several ways to resample the one with the widest interval; None where none has one; see `spread_of`."""
    found: Sequence[Spread] = [spread for way, values in samples.items() if (spread := spread_of(values, way, around))]
    return max(found, key=lambda spread: spread.high - spread.low, default=None)
