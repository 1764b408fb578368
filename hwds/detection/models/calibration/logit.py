"""The few lines of a logistic regression that calibrators and stacks share."""

from __future__ import annotations

import numpy as np

from hwds.statistics.log_odds import log_odds, sigmoid

RIDGE = 1e-6
"""A pull on slopes that no figure shows, and that keeps them finite where scores part the labels without a miss."""

STEPS = 200
SETTLED = 1e-10


def cross_entropy(odds: np.ndarray, target: np.ndarray, weight: np.ndarray | float = 1.0) -> float:
    """Return the sum over rows of -target log p - (1 - target) log(1 - p), each as often as its weight says."""
    return float(np.sum(weight * (np.logaddexp(0.0, odds) - target * odds)))


def logit_fit(
    inputs: np.ndarray, target: np.ndarray, given: np.ndarray | float = 0.0, weight: np.ndarray | None = None
) -> np.ndarray:
    """Return slopes and intercept of least cross-entropy, by Newton's steps, halved where they go too far.

    Args:
        inputs: Shape (n, k).
        target: Between 0 and 1, shape (n,).
        given: Log odds that are there already, shape (n,).
        weight: How often each row counts, shape (n,); None is once.
    """
    times = np.ones(len(inputs)) if weight is None else weight
    full = np.column_stack([inputs, np.ones(len(inputs))])
    pull = np.append(np.full(inputs.shape[1], RIDGE), 0.0)

    def loss(weights: np.ndarray) -> float:
        return cross_entropy(given + full @ weights, target, times) + 0.5 * float(pull @ weights**2)

    weights = np.append(np.zeros(inputs.shape[1]), log_odds(np.array([np.average(target, weights=times)]), 1e-12))
    for _ in range(STEPS):
        chance = sigmoid(given + full @ weights)
        slope = full.T @ (times * (chance - target)) + pull * weights
        curve = (full.T * (times * chance * (1 - chance))) @ full + np.diag(pull + 1e-12)
        step, least = np.linalg.solve(curve, slope), loss(weights)
        while loss(weights - step) > least and np.abs(step).max() > SETTLED:
            step = step / 2
        weights = weights - step
        if np.abs(step).max() <= SETTLED * (1 + np.abs(weights).max()):
            break
    return weights


def rising_fit(inputs: np.ndarray, target: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """Return the same as `logit_fit` with slopes of at least 0: the most negative is left out and the rest fitted anew."""
    columns = list(range(inputs.shape[1]))
    while True:
        fit = logit_fit(inputs[:, columns], target, weight=weight)
        slopes = fit[:-1]
        if not len(slopes) or slopes.min() >= 0:
            break
        columns.pop(int(slopes.argmin()))
    weights = np.zeros(inputs.shape[1] + 1)
    weights[[*columns, -1]] = fit
    return weights
