"""Cluster-robust variances: one- and two-way, and the score bootstrap for few clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FEW = 40
"""The number of clusters under which intervals come from the wild cluster bootstrap."""

WEBB = np.array([-np.sqrt(1.5), -1.0, -np.sqrt(0.5), np.sqrt(0.5), 1.0, np.sqrt(1.5)])
"""Webb's six weights, of which few clusters draw enough different samples (Webb 2014, Reworking wild bootstrap)."""


@dataclass(frozen=True, eq=False)
class RobustVariance:
    """The variance of estimates under dependence within clusters.

    Attributes:
        covariance: Shape (k, k).
        clusters: The number of clusters, of two ways the smaller.
        critical: What a standard error is multiplied by for half of an interval, by estimate, shape (k,).
        method: How the interval is made.
    """

    covariance: np.ndarray
    clusters: int
    critical: np.ndarray
    method: str

    @property
    def stderr(self) -> np.ndarray:
        """The standard errors, shape (k,)."""
        return np.sqrt(np.maximum(np.diag(self.covariance), 0.0))


def cluster_sums(scores: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    """Return the sums of scores by cluster, shape (clusters, k).

    Args:
        scores: Shape (n, k).
        cluster: Numbers from 0, shape (n,).
    """
    return np.stack([np.bincount(cluster, column) for column in scores.T], axis=1)


def meat(scores: np.ndarray, ways: Sequence[np.ndarray]) -> np.ndarray:
    """Return the sum of outer products of cluster sums, with G / (G - 1); of two ways one plus the other less both together.

    A two-way matrix with negative eigenvalues has them set to 0 (Cameron, Gelbach and Miller 2011).
    """
    total = np.zeros((scores.shape[1],) * 2)
    for sign, way in _ways(ways):
        sums = cluster_sums(scores, way)
        count = len(sums)
        total += sign * count / max(count - 1, 1) * sums.T @ sums
    if len(ways) < 2:
        return total
    values, vectors = np.linalg.eigh((total + total.T) / 2)
    return (vectors * np.maximum(values, 0.0)) @ vectors.T


def _ways(ways: Sequence[np.ndarray]) -> list[tuple[int, np.ndarray]]:
    if len(ways) < 2:
        return [(1, numbered(ways[0]))]
    first, second = (numbered(way) for way in ways[:2])
    return [(1, first), (1, second), (-1, numbered(first * (int(second.max()) + 1) + second))]


def numbered(values: np.ndarray) -> np.ndarray:
    """Return the values numbered from 0."""
    return np.unique(values, return_inverse=True)[1]


def free_effects(effect: np.ndarray, ways: Sequence[np.ndarray]) -> int:
    """Return the number of effects that take degrees of freedom: one less than there are, none where nested in a cluster.

    Args:
        effect: The effect of each row, shape (n,).
        ways: Clusterings, each of shape (n,).
    """
    codes = numbered(effect)
    count = int(codes.max()) + 1
    for way in ways:
        known = numbered(way)
        if len(np.unique(codes * (int(known.max()) + 1) + known)) == count:
            return 0
    return count - 1


def robust_variance(
    bread: np.ndarray,
    scores: np.ndarray,
    ways: Sequence[np.ndarray],
    *,
    lost: int = 0,
    level: float = 0.95,
    rng: np.random.Generator | None = None,
    draws: int = 999,
) -> RobustVariance:
    """Return the sandwich variance of an estimator with these scores, and the critical values of its intervals.

    The critical value is that of Student's t with G - 1 degrees of freedom; of fewer than `FEW` clusters, where a generator
    is given, that of the score bootstrap (Kline and Santos 2012): scores of a cluster are multiplied by one of Webb's weights
    and the statistic is studentised anew.

    Args:
        bread: The inverse of the information, shape (k, k).
        scores: Of each row, shape (n, k).
        ways: One or two clusterings, each of shape (n,).
        lost: Parameters that were fitted, effects nested in clusters apart: the variance is times (n - 1) / (n - lost).
        level: Of the intervals.
        rng: Draws the weights.
        draws: Of the bootstrap.
    """
    from scipy.stats import t

    covariance = bread @ meat(scores, ways) @ bread * (len(scores) - 1) / max(len(scores) - lost, 1)
    sums = [cluster_sums(scores, numbered(way)) for way in ways]
    count = min(len(each) for each in sums)
    usual = np.full(len(bread), float(t.ppf((1 + level) / 2, max(count - 1, 1))))
    if rng is None or count >= FEW or count < 3:
        return RobustVariance(covariance, count, usual, f"t, {count} clusters")
    few = min(sums, key=len)
    return RobustVariance(covariance, count, _bootstrapped(bread, few, level, rng, draws), f"wild bootstrap, {count} clusters")


def _bootstrapped(bread: np.ndarray, sums: np.ndarray, level: float, rng: np.random.Generator, draws: int) -> np.ndarray:
    """Return the quantile of the absolute studentised statistic, by estimate, shape (k,)."""
    influence = sums @ bread
    weights = rng.choice(WEBB, (draws, len(influence)))
    moved = weights @ influence
    centred = [(weight[:, None] * influence - move / len(influence)) for weight, move in zip(weights, moved, strict=True)]
    spread = np.sqrt(len(influence) / (len(influence) - 1) * np.array([np.sum(part**2, axis=0) for part in centred]))
    statistic = np.abs(moved) / np.where(spread > 0, spread, np.inf)
    return np.asarray(np.quantile(statistic, level, axis=0, method="higher"))
