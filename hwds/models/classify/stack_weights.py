"""Weights of classifiers from their log odds on rows with labels."""

from __future__ import annotations

import numpy as np

from hwds.metrics.log_odds import sigmoid
from hwds.models.classify.logit import cross_entropy, logit_fit


def shrunk_weights(odds: np.ndarray, label: np.ndarray, pull: float) -> np.ndarray:
    """Weights of least log loss, at least 0 and of sum 1, drawn to equal ones.

    The loss is the sum over rows, with an intercept of its own, and `pull` times the squared distance from equal weights.

    Args:
        odds: Shape (n, members).
        label: 1.0 or 0.0, of both kinds, shape (n,).
        pull: More than 0.
    """
    from scipy.optimize import minimize

    n, k = odds.shape
    equal = np.full(k, 1 / k)

    def loss(told: np.ndarray) -> tuple[float, np.ndarray]:
        weights, off = told[:-1], told[:-1] - equal
        total = odds @ weights + told[-1]
        slope = sigmoid(total) - label
        value = cross_entropy(total, label) + pull * float(off @ off)
        return value / n, np.append(odds.T @ slope + 2 * pull * off, slope.sum()) / n

    start = np.append(equal, intercept_of(odds @ equal, label))
    whole = {"type": "eq", "fun": lambda told: told[:-1].sum() - 1, "jac": lambda told: np.append(np.ones(k), 0.0)}
    bounds = [(0.0, 1.0)] * k + [(None, None)]
    found = minimize(loss, start, jac=True, method="SLSQP", bounds=bounds, constraints=[whole], options={"ftol": 1e-12})
    weights = np.clip(found.x[:-1], 0.0, None)
    return weights / weights.sum()


def best_weights(odds: np.ndarray, label: np.ndarray) -> np.ndarray:
    """All weight on the member of least log loss, each with an intercept of its own."""
    losses = [cross_entropy(own + intercept_of(own, label), label) for own in odds.T]
    return np.eye(odds.shape[1])[int(np.argmin(losses))]


def intercept_of(odds: np.ndarray, label: np.ndarray) -> float:
    """What is to be added to log odds so that as many positives are expected as there are."""
    return float(logit_fit(np.zeros((len(odds), 0)), label, odds)[0])
