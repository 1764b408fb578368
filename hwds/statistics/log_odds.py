"""Log odds, and the probabilities that they say."""

from __future__ import annotations

import numpy as np

EDGE = 1e-7
"""Probabilities are held this far from 0 and 1, where their logarithms are infinite."""


def sigmoid(odds: np.ndarray) -> np.ndarray:
    """Return the probability of log odds."""
    return 0.5 * (1 + np.tanh(0.5 * odds))


def log_odds(probability: np.ndarray, edge: float = EDGE) -> np.ndarray:
    """Return the log odds of probabilities, which are held `edge` from 0 and 1."""
    clipped = np.clip(probability, edge, 1 - edge)
    return np.log(clipped) - np.log1p(-clipped)
