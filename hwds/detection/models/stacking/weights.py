"""Weights of classifiers from their log odds on rows with labels."""

from __future__ import annotations

import numpy as np

from hwds.detection.models.calibration.logit import cross_entropy, logit_fit
from hwds.statistics.log_odds import sigmoid


def shrunk_weights(odds: np.ndarray, label: np.ndarray, pull: float) -> np.ndarray:
    """Return weights of least log loss, at least 0 and of sum 1, shrunk to equal ones.

    The loss is the sum over rows, with an intercept of its own, and `pull` times the squared distance from equal weights.

    Args:
        odds: Shape (n, members).
        label: 1.0 or 0.0, of both kinds, shape (n,).
        pull: More than 0.
    """
    from scipy.optimize import minimize

    n, k = odds.shape
    equal = np.full(k, 1 / k)

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        weights, off = x[:-1], x[:-1] - equal
        total = odds @ weights + x[-1]
        slope = sigmoid(total) - label
        value = cross_entropy(total, label) + pull * float(off @ off)
        return value / n, np.append(odds.T @ slope + 2 * pull * off, slope.sum()) / n

    start = np.append(equal, intercept_of(odds @ equal, label))
    whole = {"type": "eq", "fun": lambda x: x[:-1].sum() - 1, "jac": lambda x: np.append(np.ones(k), 0.0)}
    bounds = [(0.0, 1.0)] * k + [(None, None)]
    result = minimize(loss, start, jac=True, method="SLSQP", bounds=bounds, constraints=[whole], options={"ftol": 1e-12})
    weights = np.clip(result.x[:-1], 0.0, None)
    return weights / weights.sum()


def best_weights(odds: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Return all weight on the member of least log loss, each with an intercept of its own."""
    losses = [cross_entropy(column + intercept_of(column, label), label) for column in odds.T]
    return np.eye(odds.shape[1])[int(np.argmin(losses))]


def intercept_of(odds: np.ndarray, label: np.ndarray) -> float:
    """Return the shift of log odds under which as many positives are expected as there are."""
    return float(logit_fit(np.zeros((len(odds), 0)), label, odds)[0])
