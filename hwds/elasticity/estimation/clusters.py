"""Cluster-robust variances: one- and two-way, and the score bootstrap for few clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwds.core.errors import DataError

FEW = 40
"""The number of clusters under which intervals come from the wild cluster bootstrap."""

LEAST = 4
"""Clusters at least: fewer cannot tell how they vary."""

LEAST_EVEN = 2.5
"""Clusters of equal weight that a coefficient must move in: in fewer, its scores are near 0 whatever its error is."""

DENSE = 8
"""Whole numbers up to so many times the rows are numbered by a table, which is faster than sorting."""

LARGEST_REACH = 64.0
"""Standard errors beyond which a bootstrap interval is not followed."""

WEBB = np.array([-np.sqrt(1.5), -1.0, -np.sqrt(0.5), np.sqrt(0.5), 1.0, np.sqrt(1.5)])
"""Webb's six weights, of which few clusters draw enough different samples (Webb 2014, Reworking wild bootstrap)."""


@dataclass(frozen=True, eq=False)
class RobustVariance:
    """The variance of estimates under dependence within clusters, and tests of them.

    Attributes:
        beta: The estimates, shape (k,).
        covariance: Shape (k, k).
        clusters: The number of clusters, of two ways the smaller.
        critical: What a standard error is multiplied by below and above an estimate, shape (k, 2).
        p_values: Of no effect, shape (k,).
        method: How intervals and p-values are made.
        even: Clusters of equal weight that each coefficient moves in, shape (k,); all of them where rows are not known.
    """

    beta: np.ndarray
    covariance: np.ndarray
    clusters: int
    critical: np.ndarray
    p_values: np.ndarray
    method: str
    even: np.ndarray

    @property
    def sure(self) -> np.ndarray:
        """True for each coefficient that moves in enough clusters for a standard error, shape (k,)."""
        return self.even >= LEAST_EVEN

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
    """Return the values numbered from 0 in their order."""
    if values.dtype.kind in "iu" and len(values) and values.min() >= 0 and values.max() < DENSE * len(values):
        there = np.zeros(int(values.max()) + 1, bool)
        there[values] = True
        return (np.cumsum(there) - 1)[values]
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
        if int(numbered(codes * (int(known.max()) + 1) + known).max()) + 1 == count:
            return 0
    return count - 1


def robust_variance(
    beta: np.ndarray,
    bread: np.ndarray,
    scores: np.ndarray,
    ways: Sequence[np.ndarray],
    *,
    lost: int = 0,
    level: float = 0.95,
    rows: np.ndarray | None = None,
    rng: np.random.Generator | None = None,
    draws: int = 999,
) -> RobustVariance:
    """Return the sandwich variance of an estimator with these scores, and the critical values of its intervals.

    The critical value is that of Student's t with G - 1 degrees of freedom; of fewer than `FEW` clusters, where `rows` and a
    generator are given, the interval holds what the wild cluster bootstrap with the null imposed does not reject.

    Args:
        beta: The estimates, shape (k,).
        bread: The inverse of the information, shape (k, k).
        scores: Of each row, shape (n, k).
        ways: One or two clusterings, each of shape (n,).
        lost: Parameters that were fitted, effects nested in clusters apart: the variance is times (n - 1) / (n - lost).
        level: Of the intervals.
        rows: The columns times the roots of the weights, so that rows'rows is the information; shape (n, k).
        rng: Draws the weights of clusters.
        draws: Of the bootstrap.

    Raises:
        DataError: There are fewer than `LEAST` clusters.
    """
    from scipy.special import stdtr, stdtrit

    few = min((numbered(way) for way in ways), key=lambda way: int(way.max()))
    count = int(few.max()) + 1
    if count < LEAST:
        raise DataError(f"model.cluster: must make at least {LEAST} clusters of rows, got {count}: fewer tell no error.")
    covariance = bread @ meat(scores, ways) @ bread * (len(scores) - 1) / max(len(scores) - lost, 1)
    free = count - 1
    even = np.full(len(beta), float(count)) if rows is None else _even(bread, rows, few)
    with np.errstate(invalid="ignore", divide="ignore"):
        p_values = 2 * stdtr(free, -np.abs(beta) / np.sqrt(np.maximum(np.diag(covariance), 0.0)))
    critical = np.full((len(beta), 2), float(stdtrit(free, (1 + level) / 2)))
    if rng is None or rows is None or count >= FEW:
        return RobustVariance(beta, covariance, count, critical, p_values, f"t, {count} clusters", even)
    weights = rng.choice(WEBB, (draws, count))
    for place in range(len(beta)):
        null = _Null.of(place, bread, scores, rows, few)
        stderr = float(np.sqrt(covariance[place, place]))
        critical[place] = [null.reach(weights, level, stderr, side) for side in (-1, 1)]
        p_values[place] = null.p_value(weights, float(beta[place]))
    return RobustVariance(beta, covariance, count, critical, p_values, f"wild cluster bootstrap, {count} clusters", even)


def _even(bread: np.ndarray, rows: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    """Return the clusters of equal weight that each coefficient's information comes from (Kish's number), shape (k,)."""
    parts = (rows @ (bread / np.maximum(np.diag(bread), 1e-300))) ** 2
    information = cluster_sums(parts, cluster) if len(bread) else np.zeros((1, 0))
    return np.asarray(information.sum(axis=0) ** 2 / np.maximum((information**2).sum(axis=0), 1e-300))


@dataclass(frozen=True, eq=False)
class _Null:
    """One coefficient by cluster, other columns partialled out: what its scores are under another value.

    Attributes:
        scores: At the estimate, shape (clusters,).
        curvature: Its information by cluster, shape (clusters,).
    """

    scores: np.ndarray
    curvature: np.ndarray

    @classmethod
    def of(cls, place: int, bread: np.ndarray, scores: np.ndarray, rows: np.ndarray, cluster: np.ndarray) -> _Null:
        """Partial the other columns out."""
        part = bread[:, place] / bread[place, place]
        return cls(np.bincount(cluster, scores @ part), np.bincount(cluster, (rows @ part) ** 2))

    def p_value(self, weights: np.ndarray, distance: float) -> float:
        """Return the p-value of the value that lies so far below the estimate (Cameron, Gelbach and Miller 2008).

        Scores under the null are multiplied by a weight a cluster; the statistic of each draw is studentised by the scores at
        its own estimate.
        """
        whole = float(self.curvature.sum())
        under = self.scores + self.curvature * distance
        moved = weights @ under
        own = weights * under - self.curvature * (moved / whole)[:, None]
        drawn = np.abs(moved) / np.maximum(np.sqrt(np.sum(own**2, axis=1)), 1e-300)
        seen = abs(whole * distance) / max(float(np.sqrt(np.sum(self.scores**2))), 1e-300)
        return float((1 + np.sum(drawn >= seen)) / (1 + len(drawn)))

    def reach(self, weights: np.ndarray, level: float, stderr: float, side: int) -> float:
        """Return how many standard errors from the estimate, on one side, values are not rejected."""
        low, high = 0.0, 4.0
        while self.p_value(weights, -side * high * stderr) > 1 - level and high < LARGEST_REACH:
            low, high = high, 2 * high
        for _ in range(20):
            middle = (low + high) / 2
            rejected = self.p_value(weights, -side * middle * stderr) <= 1 - level
            low, high = (low, middle) if rejected else (middle, high)
        return high
