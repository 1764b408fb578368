"""DeLong's covariance of areas under ROC curves on the same independent rows."""

from __future__ import annotations

import numpy as np


def delong(label: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the area under the ROC of each score, and their covariance.

    DeLong, DeLong and Clarke-Pearson (1988), "Comparing the areas under two or more correlated receiver operating
    characteristic curves"; by ranks, as Sun and Xu (2014), "Fast implementation of DeLong's algorithm".

    Args:
        label: 1.0 or 0.0, two of each at least, shape (n,).
        scores: The higher the more suspicious, shape (n, models).

    Returns:
        Shapes (models,) and (models, models).
    """
    from scipy.stats import rankdata

    positive = label > 0
    m, n = int(positive.sum()), int((~positive).sum())
    together = rankdata(scores, axis=0)
    hits = (together[positive] - rankdata(scores[positive], axis=0)) / n
    misses = 1 - (together[~positive] - rankdata(scores[~positive], axis=0)) / m
    covariance = np.cov(hits, rowvar=False) / m + np.cov(misses, rowvar=False) / n
    return hits.mean(axis=0), np.atleast_2d(covariance)
