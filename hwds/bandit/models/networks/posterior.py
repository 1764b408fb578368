"""Draws of conversions from what a network learned: by one of several heads, or from the posterior of its last layer."""

from __future__ import annotations

import numpy as np

NEWTON_STEPS = 8
"""Steps from the last posterior's mode to the next; the log-posterior is concave, and each step squares the error."""


def last_layer(
    features: np.ndarray, wins: np.ndarray, pulls: np.ndarray, start: np.ndarray, prior: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the Laplace approximation of a Bayesian logistic regression on the hidden layer (Bishop 2006, section 4.5.1).

    Args:
        features: Shape (n, q).
        wins: Conversions of each row, shape (n,).
        pulls: Outcomes of each row, shape (n,).
        start: Weights to begin from, shape (q,).
        prior: Standard deviation of the weights, whose prior mean is 0.

    Returns:
        The mode, shape (q,), and the lower Cholesky factor of the precision, shape (q, q).
    """
    mode = start.astype(float)
    value = _log_posterior(features, wins, pulls, mode, prior)
    for _ in range(NEWTON_STEPS):
        slope = features.T @ (wins - pulls * chance(features @ mode)) - mode / prior**2
        step = np.linalg.solve(_precision(features, pulls, mode, prior), slope)
        trial = _log_posterior(features, wins, pulls, mode + step, prior)
        while trial < value and np.abs(step).max() > 1e-9:  # too far: the log-posterior is concave, so a shorter step gains
            step = step / 2
            trial = _log_posterior(features, wins, pulls, mode + step, prior)
        mode, value = mode + step, trial
    return mode, np.linalg.cholesky(_precision(features, pulls, mode, prior))


def draw_last_layer(
    features: np.ndarray, mode: np.ndarray, root: np.ndarray, rows: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return conversions of all arms for n customers, each by weights of its own draw, shape (n, K).

    Args:
        features: By segment and arm, shape (S, K, q).
        mode: Of the weights.
        root: The lower Cholesky factor of their precision.
        rows: The segment of each customer, shape (n,).
        rng: The generator of the draws.
    """
    normals = rng.standard_normal((len(mode), len(rows)))
    weights = mode + np.linalg.solve(root.T, normals).T
    return chance(np.einsum("nkq,nq->nk", features[rows], weights))


def draw_head(logits: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return conversions of all arms for n customers, each by a head at random, shape (n, K).

    Args:
        logits: By segment, arm and head, shape (S, K, heads).
        rows: The segment of each customer, shape (n,).
        rng: The generator of the draws.
    """
    heads = rng.integers(logits.shape[2], size=len(rows))
    return chance(logits[rows, :, heads])


def chance(logits: np.ndarray) -> np.ndarray:
    """Return the probability of log-odds."""
    return 0.5 * (1.0 + np.tanh(0.5 * logits))


def _log_posterior(features: np.ndarray, wins: np.ndarray, pulls: np.ndarray, weights: np.ndarray, prior: float) -> float:
    logits = features @ weights
    return float(wins @ logits - pulls @ np.logaddexp(0.0, logits) - weights @ weights / (2 * prior**2))


def _precision(features: np.ndarray, pulls: np.ndarray, weights: np.ndarray, prior: float) -> np.ndarray:
    p = chance(features @ weights)
    return features.T @ (features * (pulls * p * (1 - p))[:, None]) + np.eye(features.shape[1]) / prior**2
