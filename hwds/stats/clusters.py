"""Errors of statistics whose rows share clusters: two ways at once, or a bootstrap over them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import cast

import numpy as np
from numpy import ndarray

from hwds.core.seeds import stream
from hwds.stats.effects import LEVEL, Distribution, Effect, ReferenceDistribution, SumDistribution
from hwds.stats.estimates import Estimate, without_interval

# The variance of a statistic whose rows share two things, a customer and a day: clustered both
# ways, never below either.

LEAST_FOR_BLOCKS = 12
"""Days from which on neighbours are one cluster, for shocks may last; fewer are taken as
independent.
"""

RUN_OF_DAYS, RUNS_OF_DAYS = "run of days", "runs of days"
"""The names of neighbouring days that are one cluster."""

LEAST_EVEN_CLUSTERS = 2.5
"""Clusters of equal weight that those of a kind must be worth: of fewer nothing can be said of how
they vary.
"""


@dataclass(frozen=True, slots=True)
class ClusterCounts:
    """The clusters of one kind, as far as they tell anything.

    Attributes:
        called: What one is: `customer`, `day`, `run of days`.
        number: The number of those with any weight.
        effective: The effective number: clusters of equal weight that these are worth.
        strata: The groups within which they are drawn; 1 where they are drawn from all.
    """

    called: str
    number: int
    effective: float
    strata: int = 1

    @property
    def df(self) -> float:
        """Degrees of freedom of a variance over these clusters."""
        return self.effective - self.strata

    @property
    def refusal(self) -> str:
        """The reason why they cannot tell how they vary; empty where they can."""
        if self.df >= LEAST_EVEN_CLUSTERS - 1:
            return ""
        if self.number <= max(LEAST_EVEN_CLUSTERS, self.strata + 1):
            return (
                f"{self.number or 'no'} {self.called if self.number == 1 else self._plural} "
                f"cannot tell"
            )
        return f"few {self._plural} have most of the weight and cannot tell"

    @property
    def _plural(self) -> str:
        return RUNS_OF_DAYS if self.called == RUN_OF_DAYS else f"{self.called}s"


@dataclass(frozen=True, slots=True)
class ClusteredPart:
    """The variance of a statistic over the clusters of one kind."""

    counts: ClusterCounts
    variance: float

    @property
    def distribution(self) -> ReferenceDistribution:
        """Student's t with the degrees of freedom of the clusters."""
        return ReferenceDistribution(self.counts.df)

    @property
    def half_width(self) -> float:
        """Half the interval of 95 %, were there no other kind."""
        return sqrt(self.variance) * self.distribution.critical(LEVEL)


def effective_number(weight: ndarray) -> float:
    """Return the clusters of equal weight that clusters are worth (Carter, Schnepel and Steigerwald
    2017).

    Args:
        weight: The weight of each cluster in the statistic, shape (clusters,).
    """
    scaled = np.ldexp(
        weight, -int(np.frexp(np.max(weight, initial=0.0))[1])
    )  # by a power of two: exact, and none too large
    fourth = float(np.power(scaled, 4).sum())
    return float(np.square(scaled).sum()) ** 2 / fourth if fourth > 0 else 0.0


def block_length(days: int) -> int:
    """Return how many neighbouring days are one cluster: the cube root of their number, 1 where
    they are few.

    The rate at which the length of a block should grow (Hall, Horowitz and Jing 1995, "On blocking
    rules for the bootstrap with dependent data").
    """
    return int(round(days ** (1 / 3), 9)) if days >= LEAST_FOR_BLOCKS else 1


def day_cluster(days: int) -> str:
    """Return what a cluster of so many days is called."""
    return "day" if block_length(days) == 1 else RUN_OF_DAYS


def day_blocks(days: ndarray) -> ndarray:
    """Return the number of the block of neighbouring days of each row, from 0, by the numbers of
    days, shape (n,).
    """
    length = block_length(len(np.unique(days)))
    blocks: ndarray = np.unique((days - days.min()) // length, return_inverse=True)[1]
    return blocks


def two_way_effect(
    value: float,
    first: ClusteredPart,
    second: ClusteredPart | None,
    both: ClusteredPart | None,
    method: str,
) -> Effect:
    """Return an estimate with its variance over two kinds of clusters.

    Its interval is never narrower than by one kind alone.

    The variance is the sum of both less that of single cells, which both have (Cameron, Gelbach and
    Miller 2011, "Robust inference with multiway clustering"). The kind with fewer degrees of
    freedom keeps its cells, for a difference of two rough numbers is none; each part has its own
    Student's t (Banerjee 1961, see `SumDistribution`).

    Args:
        value: The estimate.
        first: The part over clusters of one kind.
        second: The part over clusters of the other kind; None where rows share nothing else.
        both: The part over the cells that clusters of both kinds have in common.
        method: The method of the variances, in words.

    Returns:
        No interval, and the reason as the method, where clusters of either kind are too few.
    """
    parts = [first] if second is None else [first, second]
    number = min(part.counts.number for part in parts)
    refusal = next((part.counts.refusal for part in reversed(parts) if part.counts.refusal), "")
    if refusal:
        return Effect(value, None, ReferenceDistribution(), refusal, number)
    few, many = (
        min(parts, key=lambda part: part.counts.df),
        max(parts, key=lambda part: part.counts.df),
    )
    widest = max(parts, key=lambda part: part.half_width)
    stderr, distribution = sqrt(widest.variance), cast(Distribution, widest.distribution)
    # each variance has that of single cells: it is taken out of the better known one
    cells = both.variance if both else 0.0
    rest = max(many.variance - cells, 0.0) if second else 0.0
    total = few.variance + rest
    if rest > 0 and total > 0:
        summed = SumDistribution(
            ((few.variance / total, few.distribution), (rest / total, many.distribution))
        )
        # two ways never tell more than one of them
        if sqrt(total) * summed.critical(LEVEL) > widest.half_width:
            stderr, distribution = sqrt(total), summed
    independent = both.counts.number * cells / stderr**2 if both and stderr > 0 else None
    return Effect(value, stderr, distribution, method, number, independent)


def clustered_part(called: str, added: ndarray, weight: ndarray) -> ClusteredPart:
    """Return the variance of a sum of what clusters of one kind add to it.

    Args:
        called: What one is.
        added: What each cluster adds, less what is expected of it, shape (clusters,).
        weight: The weight of each in the statistic, shape (clusters,).
    """
    counts = ClusterCounts(called, int((weight > 0).sum()), effective_number(weight))
    # G / (G - 1), with G equally heavy clusters that would tell as much as these
    stretch = counts.effective / counts.df if counts.df > 0 else 1.0
    return ClusteredPart(counts, stretch * float(np.square(added).sum()))


def influence_effect(
    value: float,
    influence: ndarray,
    first: tuple[str, ndarray],
    second: tuple[str, ndarray] | None,
    method: str,
) -> Effect:
    """Return an estimate that is linear in its rows, or nearly, with its variance over two kinds of
    clusters.

    Args:
        value: The estimate.
        influence: What each row adds to its error, shape (n,); the sum is 0.
        first: What a cluster of one kind is called, and the number of each row's, from 0.
        second: The same of the other kind; None where rows share nothing else.
        method: The method of the variance, in words.
    """

    def part(called: str, codes: ndarray) -> ClusteredPart:
        return clustered_part(
            called, np.bincount(codes, influence), np.bincount(codes).astype(float)
        )

    if second is None:
        return two_way_effect(value, part(*first), None, None, method)
    both = np.unique(
        first[1] * (int(second[1].max(initial=0)) + 1) + second[1], return_inverse=True
    )[1]
    return two_way_effect(
        value, part(*first), part(*second), part(f"{first[0]} {second[0]}", both), method
    )


# Intervals of scores by a bootstrap over clusters: what one machine, or one board, has is drawn
# together.

LEAST_DEFINED = 0.5
"""The share of resamples in which a number must be defined for it to have an interval."""


BLOCK = 64
"""Resamples whose weights of all rows are held at once."""


class ClusterBootstrap:
    """Resamples of clusters, the same for every score of the same rows.

    Args:
        cluster: The number of each row's cluster, from 0, shape (n,).
        resamples: The number of resamples.
        called: What clusters are called: `machines`, `boards`.
    """

    def __init__(self, cluster: ndarray, resamples: int, called: str) -> None:
        self.cluster = cluster
        self.clusters = int(cluster.max(initial=-1)) + 1
        self.method = f"bootstrap over {called}"
        rng = stream(0, called, self.clusters)
        drawn = resamples if self.clusters > 1 else 0
        self.counts = np.array(
            [resample_clusters(self.clusters, rng) for _ in range(drawn)]
        ).reshape(drawn, self.clusters)

    def ratio(
        self, top: ndarray, bottom: ndarray, *, root: bool = False, total: bool = False
    ) -> Estimate:
        """Return the sum of one number a row over that of another, or its root.

        Or the first sum alone.

        Args:
            top: NaN where undefined, shape (n,).
            bottom: The same of the denominator.
            root: Give the square root of the ratio.
            total: The sum of `top`, of as many clusters as there are.
        """
        defined = ~(np.isnan(top) | np.isnan(bottom))
        tops = np.bincount(self.cluster[defined], top[defined], self.clusters)
        bottoms = np.bincount(self.cluster[defined], bottom[defined], self.clusters)
        undefined, n = int((~defined).sum()), round(float(bottom[defined].sum()))

        def of(weighted_top: ndarray, weighted_bottom: ndarray) -> ndarray:
            value = (
                weighted_top
                if total
                else weighted_top / np.where(weighted_bottom > 0, weighted_bottom, np.nan)
            )
            return np.sqrt(value) if root else value

        if not n:
            return without_interval(None, self.method, 0, undefined)
        value = float(of(tops.sum(), bottoms.sum()))
        return self.estimate(value, of(self.counts @ tops, self.counts @ bottoms), n, undefined)

    def pairs(self, top: ndarray, bottom: ndarray, undefined: int) -> Estimate:
        """Return the sum over pairs of clusters of one number over that of another, shapes
        (clusters, clusters).
        """
        total = float(bottom.sum())
        if total <= 0:
            return without_interval(None, self.method, 0, undefined)
        tops, bottoms = (
            np.einsum("bi,ij,bj->b", self.counts, each, self.counts) for each in (top, bottom)
        )
        values = tops / np.where(bottoms > 0, bottoms, np.nan)
        return self.estimate(float(top.sum()) / total, values, int(total), undefined)

    def statistic(self, of: Callable[[ndarray], ndarray], n: int, undefined: int = 0) -> Estimate:
        """Return a statistic of weighted rows that is no ratio of sums.

        Args:
            of: The function from weights of rows, shape (weightings, n), to the statistic under
                each, NaN where undefined; shape (weightings,).
            n: The units that it is made of.
            undefined: The rows without a value.
        """
        value = float(of(np.ones((1, len(self.cluster))))[0])
        if np.isnan(value):
            return without_interval(None, self.method, 0, undefined)
        blocks = [self.counts[begin : begin + BLOCK] for begin in range(0, len(self.counts), BLOCK)]
        values = np.concatenate([np.zeros(0), *(of(counts[:, self.cluster]) for counts in blocks)])
        return self.estimate(value, values, n, undefined)

    def estimate(self, value: float, values: ndarray, n: int, undefined: int) -> Estimate:
        """Return an estimate with the percentile interval of its resamples.

        Without one where they are not all defined.
        """
        if len(values) < 2 or np.isnan(values).any():
            return without_interval(value, self.method, n, undefined)
        low, high = np.quantile(values, [0.025, 0.975])
        return Estimate(
            value, float(values.std(ddof=1)), float(low), float(high), self.method, n, undefined
        )


def resample_clusters(n: int, rng: np.random.Generator) -> ndarray:
    """Return the number of times each of n clusters is drawn in n draws with replacement, shape
    (n,).
    """
    return np.bincount(rng.integers(0, n, n), minlength=n).astype(float)
