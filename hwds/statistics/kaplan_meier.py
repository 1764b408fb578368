"""Weighted Kaplan-Meier curves, for lives and for errors of predicted lives."""

from __future__ import annotations

import numpy as np


def kaplan_meier(
    values: np.ndarray, events: np.ndarray, weights: np.ndarray, *, events_first: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Return the values at which the share that is above falls, rising, and that share after each (Kaplan and Meier 1958).

    Args:
        values: Seen lives, or errors; shape (n,).
        events: True where a value is the end, false where the end lies beyond it.
        weights: Of each.
        events_first: Whether of one value events come before what is censored there, as failures do; false for a curve of
            censoring, where machines that fail at a time are no longer at risk of being censored at it.

    Returns:
        Values and shares, shapes (d,). Where the largest value is no event the share does not fall to 0.
    """
    order = np.lexsort((events != events_first, values))
    sorted_values, happened, weight = values[order], events[order], weights[order]
    at_risk = np.cumsum(weight[::-1])[::-1]
    falls = np.where(happened, 1 - weight / np.maximum(at_risk, 1e-300), 1.0)
    share = np.cumprod(np.maximum(falls, 0.0))
    return sorted_values[happened], share[happened]


def quantiles_of(values: np.ndarray, share: np.ndarray, levels: np.ndarray, beyond: float) -> np.ndarray:
    """Return the least value at or below which a share `level` of all lies, shape (levels,).

    Args:
        values: Of `kaplan_meier`, rising.
        share: Above each.
        levels: Between 0 and 1.
        beyond: The value for levels that the curve does not reach.
    """
    if not len(values):
        return np.full(len(levels), beyond)
    place = np.searchsorted(-share, -(1 - levels) - 1e-12)
    return np.where(place < len(values), values[np.minimum(place, len(values) - 1)], beyond)
