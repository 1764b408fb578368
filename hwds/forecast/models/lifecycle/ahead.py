"""Forecasts of log sales after a history: a pooled regression and a level of each series' own."""

from __future__ import annotations

import numpy as np

from hwds.forecast.models.lifecycle.level import Level, filtered


def ahead(
    past: np.ndarray,
    known: np.ndarray,
    offsets: np.ndarray,
    coming: np.ndarray,
    level: Level,
    coefficients: np.ndarray,
    covariance: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and standard deviation of log sales, each of shape (n, h).

    A filter is linear, so that what it takes from the history's columns says which error of the coefficients the own level
    makes good.

    Args:
        past: The target and the design of the history's rows, shape (rows, 1 + p).
        known: Which of them have a target.
        offsets: Where each series begins, and the end.
        coming: The design of the rows to come, shape (n, h, p).
        level: How levels move.
        coefficients: Shape (p,).
        covariance: In noise units, shape (p, p).
    """
    done = filtered(past, known, offsets, level)
    decay = level.keep ** np.arange(coming.shape[1])
    design = coming - decay[:, None] * done.state[:, None, 1:]
    mean = design @ coefficients + np.outer(done.state[:, 0], decay)
    unsure = np.einsum("nhp,nhp->nh", design @ covariance, design)
    return mean, np.sqrt(level.noise * (level.ahead(done.variance, coming.shape[1]) + np.maximum(unsure, 0.0)))


def unseen(coming: np.ndarray, level: Level, coefficients: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the same for series without a row."""
    unsure = np.einsum("nhp,nhp->nh", coming @ covariance, coming)
    variance = level.ahead(np.full(len(coming), level.launch), coming.shape[1])
    return coming @ coefficients, np.sqrt(level.noise * (variance + np.maximum(unsure, 0.0)))
