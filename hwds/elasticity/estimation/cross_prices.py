"""Cross elasticities of pairs of substitutes, shrunk to the mean of their family, beside slopes that were fitted before."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product as every

import numpy as np

from hwds.elasticity.estimation.pair_moments import PairMoments
from hwds.elasticity.estimation.pair_system import PairSystem

FAMILY_GRID = np.array([0.02, 0.1, 0.3, 0.8])
PRODUCT_GRID = np.array([0.02, 0.1, 0.2, 0.35, 0.6, 0.9, 1.4])
CELL_GRID = np.array([0.02, 0.1, 0.2, 0.35, 0.6, 0.9])
"""The standard deviations of what families, products and cells add that are weighed."""

PRIOR_SCALES = np.array([0.5, 1.0, 0.5])
"""The scales of the half-normal prior on each."""

AWAY_FROM_ZERO = np.array([0.0, 1.0, 0.0])
"""The power of each standard deviation that its prior is multiplied by (Chung et al. 2013).

A product's few substitutes differ in how near they are, and data that say little must not make them equal.
"""

UNLIKELY = 1e-3
"""The posterior weight under which standard deviations are not counted."""


@dataclass(frozen=True, eq=False)
class PairSlopes:
    """The slopes of the prices of each cell's substitutes.

    A slope is the elasticity to one substitute's price times the number of substitutes, so that it compares with the one slope
    of their mean price; 0 where there is no such substitute.

    Attributes:
        deviation: Of each slope from that of the mean price, which all cells share, shape (K, n).
        stderr: Of the whole slope, shape (K, n).
        deviations: Standard deviations of what families, pairs of products and pairs of cells add, posterior means, shape (3,).
    """

    deviation: np.ndarray
    stderr: np.ndarray
    deviations: np.ndarray


def pair_slopes(moments: PairMoments, prices: np.ndarray, common: int) -> PairSlopes:
    """Return the slopes of the prices of substitutes: that of their mean, plus what a family, a pair and a cell add.

    All are normal around 0: a pair of which prices say little has the mean of its family, not 0 (Smith and Griffin 2023,
    Shrinkage priors for high-dimensional demand estimation). A product answers to another alike in all channels, but for what
    each cell adds. Shocks that a product's cells share give what they say of a pair an error in common, which is no part of
    the answer. What is unknown of the standard deviations, which single pairs hardly tell, is averaged over a grid. The
    likelihood is the quadratic approximation at the fit without pairs; all other slopes move along.

    Args:
        moments: What the rows say.
        prices: Log price of each cell's substitutes over the number on sale, 0 where there is none, shape (n, K, T).
        common: The place of the slope of the mean price among the shared ones.
    """
    system = PairSystem.of(moments, CELL_GRID)
    families = FAMILY_GRID if moments.families > 1 else FAMILY_GRID[:1]
    others = list(every(PRODUCT_GRID.tolist(), CELL_GRID.tolist()))
    tried = np.array([(added, *each) for each in others for added in families])
    logs = np.concatenate([system.log_likelihoods(families, *each) for each in others])
    logs = logs + np.log(tried) @ AWAY_FROM_ZERO - 0.5 * np.sum((tried / PRIOR_SCALES) ** 2, axis=1)
    weights = np.exp(logs - logs.max()) * _widths(tried)
    weights = np.where(weights >= UNLIKELY * weights.sum(), weights, 0.0)
    weights = weights / weights.sum()
    likely = weights > 0
    kept = zip(others, likely.reshape(-1, len(families)), strict=True)
    parts = [system.slopes(families[which], *each, common) for each, which in kept if which.any()]
    means, variances = (np.concatenate(each) for each in zip(*parts, strict=True))
    mean = np.tensordot(weights[likely], means, 1)
    square = np.tensordot(weights[likely], variances + (means - mean) ** 2, 1)
    there = (np.abs(prices) > 0).any(axis=2).T
    return PairSlopes(np.where(there, mean, 0.0), np.where(there, np.sqrt(square), 0.0), weights @ tried)


def _widths(tried: np.ndarray) -> np.ndarray:
    """Return how much of the space each set of standard deviations stands for, shape (tried,)."""
    grids = (FAMILY_GRID, PRODUCT_GRID, CELL_GRID)
    places = [np.searchsorted(grid, column) for grid, column in zip(grids, tried.T, strict=True)]
    return np.asarray(np.prod([np.gradient(grid)[place] for grid, place in zip(grids, places, strict=True)], axis=0))
