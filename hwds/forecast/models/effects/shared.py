"""Effects of columns in each series, as far as series say that they differ."""

from __future__ import annotations

import numpy as np

from hwds.forecast.models.effects.moments import Moments

ROUNDS = 30
"""Rounds of the expectation-maximisation, in each of which the usual effects are solved for (Liu and Rubin 1994, ECME)."""

LEAST_VARIANCE = 1e-8
"""The least variance of effects between series."""


def pooled(sums: Moments) -> np.ndarray:
    """Return the one effect of each column for all series, each weighed by how sure it is, shape (k,)."""
    noise = np.maximum(sums.total / np.maximum(sums.rows, 1), 1e-12)
    square, cross = (sums.square / noise[:, None, None]).sum(0), (sums.cross / noise[:, None]).sum(0)
    weights: np.ndarray = np.linalg.lstsq(square + _ridge(square), cross, rcond=None)[0]
    return weights


def shared(sums: Moments, negative: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the effects of each series, shape (n, k), and the usual ones, shape (k,), by empirical Bayes.

    Effects of series are normal round the usual ones; mean, variances and noise are those of the highest likelihood (Dempster,
    Laird and Rubin 1977; Efron and Morris 1975, "Data analysis using Stein's estimator"). A series of few rows, or one whose
    price hardly moved, has nearly the usual ones.

    Args:
        sums: Of each series.
        negative: The columns whose effect is never above 0, as that of a price, shape (k,).
    """
    usual = pooled(sums)
    noise = sums.left(usual) / np.maximum(sums.rows, 1)
    noise = np.maximum(noise, 1e-3 * max(float(np.mean(noise)), 1e-12))
    between = np.maximum(usual**2, LEAST_VARIANCE)
    own = np.broadcast_to(usual, sums.cross.shape)
    square, cross = sums.square / noise[:, None, None], sums.cross / noise[:, None]
    for _ in range(ROUNDS):
        usual = _usual(square, cross, between)
        cover = np.linalg.inv(square + np.diag(1 / between))
        own = np.einsum("nkj,nj->nk", cover, cross + usual / between)
        between = np.maximum(((own - usual) ** 2 + np.diagonal(cover, axis1=1, axis2=2)).mean(0), LEAST_VARIANCE)
    own = np.where(negative, np.minimum(own, 0.0), own)
    return own, np.where(negative, np.minimum(usual, 0.0), usual)


def _usual(square: np.ndarray, cross: np.ndarray, between: np.ndarray) -> np.ndarray:
    """Return the mean of effects of the highest likelihood, shape (k,): each series counts by how sure its own effects are."""
    share = np.linalg.inv(np.eye(len(between)) + square * between)
    whole = (share @ square).sum(0)
    weights: np.ndarray = np.linalg.lstsq(whole + _ridge(whole), np.einsum("nkj,nj->k", share, cross), rcond=None)[0]
    return weights


def _ridge(square: np.ndarray) -> np.ndarray:
    return 1e-9 * np.diag(np.maximum(np.diagonal(square), 1e-12))
