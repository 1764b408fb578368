"""Posterior draws of slope and intercept in the log odds, and the probabilities that they give a score."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwds.statistics.log_odds import sigmoid

PAIRS = 32
"""Pairs of antithetic draws."""

LEVEL = 0.95
BLOCK = 16_384
"""Rows that are computed together, which bounds memory."""


def drawn_lines(line: np.ndarray, odds: np.ndarray, weight: np.ndarray | None, sensitivity: float) -> np.ndarray:
    """Return slopes and intercepts around the likeliest line, shape (64, 2), always the same ones for the same labels.

    Normal, with the inverse of Fisher's information as covariance (Laplace's approximation; MacKay 1992, "The evidence
    framework applied to classification networks"); a slope is at least 0. Where rows stand for others, they inform as much as
    the sample of equal weights that is as sure (Kish 1965).

    Args:
        line: Slope and intercept.
        odds: What the line is one in, shape (n,).
        weight: How often each row counts, shape (n,); None is once.
        sensitivity: The share of positive rows whose label is 1.
    """
    from scipy.stats import norm
    from scipy.stats.qmc import Sobol

    full = np.column_stack([odds, np.ones(len(odds))])
    likely = sigmoid(full @ line)
    labelled = sensitivity * likely
    steep = sensitivity * likely * (1 - likely)
    times = np.ones(len(odds)) if weight is None else weight * weight.sum() / np.sum(weight**2)
    information = (full.T * (times * steep**2 / np.maximum(labelled * (1 - labelled), 1e-300))) @ full
    spread = np.linalg.cholesky(np.linalg.inv(information + 1e-9 * np.trace(information) * np.eye(2)))
    normals = norm.ppf(Sobol(2, scramble=True, rng=0).random(PAIRS))
    around = np.concatenate([normals, -normals]) @ spread.T
    return np.maximum(line + around, [0.0, -np.inf])


def mean_probability(lines: np.ndarray, odds: np.ndarray) -> np.ndarray:
    """Return the mean probability over lines, shape (n,)."""
    totals = [
        sum(chances, start=np.zeros(chances.shape[1])) for chances in _probabilities(lines, odds)
    ]  # line by line: the same bits for few rows
    return np.concatenate([np.zeros(0), *totals]) / len(lines)


def interval_of(lines: np.ndarray, odds: np.ndarray) -> np.ndarray:
    """Return the 95 % interval of probability over lines at each score, shape (2, n)."""
    ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    return np.concatenate(
        [np.zeros((2, 0)), *(np.quantile(chances, ends, axis=0) for chances in _probabilities(lines, odds))], axis=1
    )


def _probabilities(lines: np.ndarray, odds: np.ndarray) -> Iterator[np.ndarray]:
    """Yield probabilities by line and row, for a block of rows at a time."""
    for begin in range(0, len(odds), BLOCK):
        yield sigmoid(lines[:, :1] * odds[begin : begin + BLOCK] + lines[:, 1:])
