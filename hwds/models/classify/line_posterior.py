"""Lines in the log odds that the labels leave open: draws of slope and intercept, and what they say of a score."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwds.metrics.log_odds import sigmoid

PAIRS = 32
"""Of draws that lie opposite each other."""

LEVEL = 0.95
BLOCK = 16_384
"""Rows that are looked at together, which bounds memory."""


def drawn_lines(line: np.ndarray, odds: np.ndarray, weight: np.ndarray | None, sensitivity: float) -> np.ndarray:
    """Slopes and intercepts around the likeliest line, shape (64, 2), always the same ones for the same labels.

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
    told = (full.T * (times * steep**2 / np.maximum(labelled * (1 - labelled), 1e-300))) @ full
    spread = np.linalg.cholesky(np.linalg.inv(told + 1e-9 * np.trace(told) * np.eye(2)))
    luck = norm.ppf(Sobol(2, scramble=True, rng=0).random(PAIRS))
    around = np.concatenate([luck, -luck]) @ spread.T
    return np.maximum(line + around, [0.0, -np.inf])


def chance_of(lines: np.ndarray, odds: np.ndarray) -> np.ndarray:
    """The mean over lines of what they say, shape (n,)."""
    told = [sum(said, start=np.zeros(said.shape[1])) for said in _said(lines, odds)]  # line by line: the same bits for few rows
    return np.concatenate([np.zeros(0), *told]) / len(lines)


def reach_of(lines: np.ndarray, odds: np.ndarray) -> np.ndarray:
    """Between which chances 95 % of the lines lie at each score, shape (2, n)."""
    ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    return np.concatenate([np.zeros((2, 0)), *(np.quantile(said, ends, axis=0) for said in _said(lines, odds))], axis=1)


def _said(lines: np.ndarray, odds: np.ndarray) -> Iterator[np.ndarray]:
    """The chances by line and row, of so many rows at once as fit into memory."""
    for begin in range(0, len(odds), BLOCK):
        yield sigmoid(lines[:, :1] * odds[begin : begin + BLOCK] + lines[:, 1:])
