"""Metrics of scores for a rare binary label: ranks, probabilities, money."""

from __future__ import annotations

import numpy as np


def average_precision(label: np.ndarray, score: np.ndarray) -> float:
    """The mean over positives of the precision at the score of each (ties count together).

    Args:
        label: 1.0 or 0.0, shape (n,).
        score: The higher the more suspicious, shape (n,).
    """
    order = np.argsort(-score, kind="stable")
    hits, ranked = np.cumsum(label[order]), score[order]
    last = np.append(ranked[1:] != ranked[:-1], True)
    precision = hits[last] / np.flatnonzero(np.append(False, last))
    gained = np.diff(np.append(0.0, hits[last]))
    return float(np.sum(precision * gained) / hits[-1])
