"""Intervals of scores by a bootstrap over clusters: what one machine, or one board, has is drawn together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hwds.core.seeds import stream
from hwds.statistics.aggregate import Estimate

LEAST = 0.5
"""The share of resamples in which a number must be defined for it to have an interval."""


BLOCK = 64
"""Resamples whose weights of all rows are held at once."""


class ClusterBootstrap:
    """Resamples of clusters, the same for every score of the same rows.

    Args:
        cluster: The number of each row's cluster, from 0, shape (n,).
        resamples: How many.
        called: What clusters are called: `machines`, `boards`.
    """

    def __init__(self, cluster: np.ndarray, resamples: int, called: str) -> None:
        self.cluster = cluster
        self.clusters = int(cluster.max(initial=-1)) + 1
        self.method = f"bootstrap over {called}"
        rng = stream(0, called, self.clusters)
        self.counts = np.array([drawn(self.clusters, rng) for _ in range(resamples if self.clusters > 1 else 0)])

    def ratio(self, top: np.ndarray, bottom: np.ndarray, *, root: bool = False, total: bool = False) -> Estimate:
        """Return the sum of one number a row over that of another, or its root; or the first sum alone.

        Args:
            top: NaN where undefined, shape (n,).
            bottom: The same.
            root: Of the ratio.
            total: The sum of `top`, of as many clusters as there are.
        """
        known = ~(np.isnan(top) | np.isnan(bottom))
        tops = np.bincount(self.cluster[known], top[known], self.clusters)
        bottoms = np.bincount(self.cluster[known], bottom[known], self.clusters)
        undefined, n = int((~known).sum()), round(float(bottom[known].sum()))

        def of(weighted_top: np.ndarray, weighted_bottom: np.ndarray) -> np.ndarray:
            value = weighted_top if total else weighted_top / np.where(weighted_bottom > 0, weighted_bottom, np.nan)
            return np.sqrt(value) if root else value

        if not n:
            return Estimate(None, None, None, None, self.method, 0, undefined)
        value = float(of(tops.sum(), bottoms.sum()))
        values = of(self.counts @ tops, self.counts @ bottoms) if len(self.counts) else np.zeros(0)
        return self.estimate(value, values, n, undefined)

    def pairs(self, top: np.ndarray, bottom: np.ndarray, undefined: int) -> Estimate:
        """Return the sum over pairs of clusters of one number over that of another, shapes (clusters, clusters)."""
        total = float(bottom.sum())
        if total <= 0:
            return Estimate(None, None, None, None, self.method, 0, undefined)
        tops = np.einsum("bi,ij,bj->b", self.counts, top, self.counts) if len(self.counts) else np.zeros(0)
        bottoms = np.einsum("bi,ij,bj->b", self.counts, bottom, self.counts) if len(self.counts) else np.zeros(0)
        values = tops / np.where(bottoms > 0, bottoms, np.nan)
        return self.estimate(float(top.sum()) / total, values, int(total), undefined)

    def statistic(self, of: Callable[[np.ndarray], np.ndarray], n: int, undefined: int = 0) -> Estimate:
        """Return a statistic of weighted rows that is no ratio of sums.

        Args:
            of: From weights of rows, shape (weightings, n), the statistic under each, NaN where undefined; shape (weightings,).
            n: The units that it is made of.
            undefined: Those without a value.
        """
        value = float(of(np.ones((1, len(self.cluster))))[0])
        if np.isnan(value):
            return Estimate(None, None, None, None, self.method, 0, undefined)
        blocks = [self.counts[begin : begin + BLOCK] for begin in range(0, len(self.counts), BLOCK)]
        values = np.concatenate([np.zeros(0), *(of(counts[:, self.cluster]) for counts in blocks)])
        return self.estimate(value, values, n, undefined)

    def estimate(self, value: float, values: np.ndarray, n: int, undefined: int) -> Estimate:
        """Return an estimate with the percentile interval of its resamples; without one where they are not all defined."""
        if len(values) < 2 or np.isnan(values).any():
            return Estimate(value, None, None, None, self.method, n, undefined)
        low, high = np.quantile(values, [0.025, 0.975])
        return Estimate(value, float(values.std(ddof=1)), float(low), float(high), self.method, n, undefined)


def drawn(n: int, rng: np.random.Generator) -> np.ndarray:
    """Return the number of times each of n clusters is drawn in n draws with replacement, shape (n,)."""
    return np.bincount(rng.integers(0, n, n), minlength=n).astype(float)
