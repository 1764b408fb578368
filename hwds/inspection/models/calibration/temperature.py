"""One temperature for all log odds of a classifier."""

from __future__ import annotations

import numpy as np

HOTTEST = 20.0
"""The highest temperature, and one over the lowest."""

SOFT = 1e-4
"""The least probability of what happened, so that one certain error does not decide the temperature alone."""

FEWEST = 10
"""The fewest defects that a temperature is fitted to.

Fitted to fewer, it mostly made the mean log loss of new images larger than a temperature of 1 does, in draws of log odds that
are right and of ones that are twice too large. Without a defect the least loss is often at a temperature near 0.
"""


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities from log odds up to a constant, shape (n, kinds)."""
    shifted = np.asarray(logits, float) - np.max(logits, axis=1, keepdims=True)
    powers = np.exp(shifted)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def best_temperature(logits: np.ndarray, codes: np.ndarray) -> float:
    """Return the temperature of least log loss (Guo et al. 2017, "On calibration of modern neural networks").

    Args:
        logits: Shape (n, kinds).
        codes: The kind that each shows, 0 where it is good, -1 where it is not known; shape (n,).

    Returns:
        1 where fewer than `FEWEST` of them show a defect.
    """
    from scipy.optimize import minimize_scalar

    known = codes >= 0
    if (codes > 0).sum() < FEWEST:
        return 1.0
    rows = np.arange(int(known.sum()))

    def loss(log_temperature: float) -> float:
        said = softmax(logits[known] / np.exp(log_temperature))[rows, codes[known]]
        return float(-np.log(np.maximum(said, SOFT)).mean())

    reach = float(np.log(HOTTEST))
    return float(np.exp(minimize_scalar(loss, bounds=(-reach, reach), method="bounded", options={"xatol": 1e-6}).x))
