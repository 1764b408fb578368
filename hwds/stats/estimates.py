"""Estimates from values of units with their uncertainty: means, medians, tails, ratios, shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any, TypeVar, cast

import numpy as np
import polars as pl
from numpy import ndarray
from polars import Series

from hwds.core.seeds import stream
from hwds.stats.effects import (
    LEVEL,
    Z95,
    Distribution,
    Effect,
    ReferenceDistribution,
    SumDistribution,
    reaching_zero,
    student_critical,
)

# Wilson's interval of a share, of independent units and of units that come in clusters.

Numbers = TypeVar("Numbers", float, ndarray)


def wilson(share: Numbers, n: Numbers, z: float | ndarray = Z95) -> tuple[Numbers, Numbers]:
    """Return the score interval of a share of n independent units (Wilson 1927), which is never of
    no width.

    Args:
        share: The share of units.
        n: Units.
        z: The critical value of the normal law.
    """
    centre: Any = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half_width = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    low = np.maximum(centre - half_width, 0.0) * (
        share > 0
    )  # 0 of n has 0 itself, without the last bit of two roots
    return low, np.minimum(centre + half_width, 1.0)


def clustered_wilson(
    share: float, n: int, clusters: int, stderr: float | None
) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share, of as many independent deals as the clustered
    standard error implies.

    The deals are divided by the design effect, the clustered variance over that of independent
    deals (Kish, Survey Sampling, 8.2), at least 1; where all or none are below it is not known, and
    each cluster counts as one. A shock that all deals of one cutoff share does not show in it: with
    few cutoffs the interval is too narrow.

    Args:
        share: The share of deals.
        n: Deals.
        clusters: Names of deals.
        stderr: The standard error, clustered by name; None for a single one.
    """
    variance = share * (1 - share) / n
    effective = (
        float(clusters) if stderr is None or variance == 0 else n / max(stderr**2 / variance, 1.0)
    )
    low, high = wilson(share, effective)
    return float(low), float(high)


# Estimates from values of units (series, replications), with their uncertainty: mean, median,
# tails and pooled ratios.


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and what it is worth.

    Attributes:
        value: The estimate, None where nothing is defined.
        stderr: Its standard error, None where one unit or none is defined.
        low, high: The 95 % interval.
        method: The method of the interval.
        n: Units with a value.
        n_undefined: Units without one.
    """

    value: float | None
    stderr: float | None
    low: float | None
    high: float | None
    method: str
    n: int
    n_undefined: int


def without_interval(value: float | None, method: str, n: int, undefined: int) -> Estimate:
    """Return a number, or none, of which nothing says how sure it is."""
    return Estimate(value, None, None, None, method, n, undefined)


def unit_mean(values: ndarray) -> Estimate:
    """Return the mean over independent units, with its standard error and Student's t.

    NaN counts as undefined.
    """
    missing = np.isnan(values)
    defined = values[~missing] if missing.any() else values
    n = len(defined)
    if not n:
        return without_interval(None, "t", 0, len(values))
    value = float(np.mean(defined))
    stderr = float(np.std(defined, ddof=1) / np.sqrt(n)) if n > 1 else None
    return _student(value, stderr, n, len(values) - n, "t")


def unit_median(values: ndarray) -> Estimate:
    """Return the median over units, with the distribution-free interval of order statistics.

    The ranks are n/2 -+ 1.96 sqrt(n)/2 (Hollander and Wolfe, Nonparametric Statistical Methods,
    3.6); the standard error is the width of that interval over 2 x 1.96.
    """
    return unit_percentile(values, 0.5)


def unit_percentile(values: ndarray, level: float) -> Estimate:
    """Return a percentile over units, with the distribution-free interval of order statistics (see
    `unit_median`).
    """
    return _percentile(_sorted_values(values), level, len(values))


def unit_spread(values: ndarray, level: float) -> dict[str, Estimate]:
    """Return `unit_mean`, `unit_median`, `unit_percentile` and `tail_mean` over units, which are
    sorted once.
    """
    ordered, total = _sorted_values(values), len(values)
    return {
        "mean": unit_mean(values),
        "median": _percentile(ordered, 0.5, total),
        "percentile": _percentile(ordered, level, total),
        "tail_mean": _tail_mean(ordered, level, total),
    }


def unit_share(count: int, n: int) -> Estimate:
    """Return the share of n units, with the standard error of a mean of ones and zeros and Wilson's
    interval.
    """
    if not n:
        return without_interval(None, "Wilson", 0, 0)
    value = count / n
    if n < 2:
        return without_interval(value, "Wilson", n, 0)
    low, high = wilson(value, n)
    stderr = float(np.sqrt(value * (1 - value) / (n - 1)))
    return Estimate(value, stderr, float(low), float(high), "Wilson", n, 0)


def _sorted_values(values: ndarray) -> ndarray:
    """Return the defined values in ascending order."""
    ordered = np.sort(values)  # what is undefined comes last
    return ordered[: len(ordered) - int(np.isnan(ordered).sum())]


def _percentile(ordered: ndarray, level: float, total: int) -> Estimate:
    n = len(ordered)
    if not n:
        return without_interval(None, "order statistics", 0, total)
    value, half_width = _quantile(ordered, level), Z95 * np.sqrt(n * level * (1 - level))
    low, high = int(np.floor(n * level - half_width)), int(np.ceil(n * level + half_width))
    if low < 0 or high >= n:
        return without_interval(value, "order statistics", n, total - n)
    bounds = float(ordered[low]), float(ordered[high])
    return Estimate(
        value, (bounds[1] - bounds[0]) / (2 * Z95), *bounds, "order statistics", n, total - n
    )


def group_quantiles(values: ndarray, group: ndarray, groups: int, level: float) -> ndarray:
    """Return a quantile of the values of each group, linear between them, shape (groups,).

    NaN where it has none.

    Args:
        values: Shape (rows,); NaN is left out.
        group: The group of each, from 0.
        groups: The number of groups.
        level: The level of the quantile.
    """
    known = ~np.isnan(values)
    values, group = values[known], group[known]
    ordered = values[np.lexsort((values, group))]
    counts = np.bincount(group, minlength=groups)
    starts, place = np.cumsum(counts) - counts, level * np.maximum(counts - 1, 0)
    below = np.floor(place).astype(np.int64)
    quantiles = np.full(groups, np.nan)
    some = counts > 0
    first = ordered[(starts + below)[some]]
    second = ordered[(starts + np.minimum(below + 1, counts - 1))[some]]
    quantiles[some] = first + (place - below)[some] * (second - first)
    return quantiles


def _tail_mean(ordered: ndarray, level: float, n_units: int) -> Estimate:
    """Return the mean of the worst `1 - level` of the units, the highest (conditional value at
    risk).

    Its standard error is that of the mean of level-exceeding parts, (1 - level)^-1 sd((x - q)+) /
    sqrt(n) (Rockafellar and Uryasev 2000).
    """
    n = len(ordered)
    if not n:
        return without_interval(None, "t", 0, n_units)
    cut = _quantile(ordered, level)
    over = (ordered[np.searchsorted(ordered, cut) :] - cut) / (1 - level)  # all others are 0
    total = float(np.sum(over))
    stderr = (
        float(np.sqrt(max(np.sum(over**2) - total**2 / n, 0.0) / (n - 1) / n)) if n > 1 else None
    )
    return _student(cut + total / n, stderr, n, n_units - n, "t")


def _quantile(ordered: ndarray, level: float) -> float:
    """Return `np.quantile` of numbers in order."""
    place = level * (len(ordered) - 1)
    low = int(place)
    return float(np.quantile(ordered[low : low + 2], min(place - low, 1.0)))


def pooled_ratio(numerator: ndarray, denominator: ndarray, root: bool = False) -> Estimate:
    """Return the ratio of two sums over units, or its root.

    Linearised, clustered by unit (Cochran, Sampling Techniques, 6.4).

    Args:
        numerator: The sum of each unit, shape (n,); NaN counts as undefined.
        denominator: The same of the denominator.
        root: Give the square root of the ratio, by the delta method.
    """
    usable = ~(np.isnan(numerator) | np.isnan(denominator))
    top, bottom = numerator[usable], denominator[usable]
    n, undefined, total = len(top), int(np.sum(~usable)), float(np.sum(bottom))
    if not n or total == 0:
        return without_interval(None, "linearised", 0, len(numerator))
    ratio = float(np.sum(top)) / total
    stderr = (
        float(np.sqrt(n / (n - 1) * np.sum((top - ratio * bottom) ** 2))) / abs(total)
        if n > 1
        else None
    )
    if root:
        value = float(np.sqrt(ratio))
        stderr = None if stderr is None or value == 0 else stderr / (2 * value)
        return _student(value, stderr, n, undefined, "linearised")
    return _student(ratio, stderr, n, undefined, "linearised")


def one_minus_ratio(ours: ndarray, theirs: ndarray) -> Estimate:
    """Return the skill 1 - mean(ours) / mean(theirs), paired by unit, by linearisation.

    See `difference_estimate`.
    """
    both = ~(np.isnan(ours) | np.isnan(theirs))
    ratio = pooled_ratio(np.where(both, ours, np.nan), np.where(both, theirs, np.nan))
    if ratio.value is None:
        return ratio
    return difference_estimate(
        _student(1 - ratio.value, ratio.stderr, ratio.n, ratio.n_undefined, "linearised, paired")
    )


def effect_estimate(effect: Effect, undefined: int = 0) -> Estimate:
    """Return the estimate of an effect over units, with its interval.

    Units without a value are counted beside it.
    """
    low, high = effect.interval(0.95) or (None, None)
    return Estimate(
        effect.value, effect.stderr, low, high, effect.method, effect.clusters, undefined
    )


def difference_estimate(estimate: Estimate) -> Estimate:
    """Return the estimate of a difference, whose interval reaches 0 where units are too few to be
    sure of one.
    """
    if estimate.low is None or estimate.high is None:
        return estimate
    low, high = reaching_zero(estimate.low, estimate.high, estimate.n)
    return replace(estimate, low=low, high=high)


def _student(value: float, stderr: float | None, n: int, undefined: int, method: str) -> Estimate:
    if stderr is None:
        return without_interval(value, method, n, undefined)
    half_width = student_critical(n - 1, 0.95) * stderr
    return Estimate(value, stderr, value - half_width, value + half_width, method, n, undefined)


def explained_p(values: ndarray, codes: ndarray) -> float:
    """Return the p-value of no difference between groups of values: the F-test of one-way analysis
    of variance; 1 where groups are too many or one.
    """
    from scipy.special import fdtrc

    n, groups = len(values), int(codes.max(initial=-1)) + 1
    if not 1 < groups <= n / 2:
        return 1.0
    counts = np.bincount(codes)
    means = np.bincount(codes, values) / counts
    within = float(np.square(values - means[codes]).sum()) / (n - groups)
    between = float(counts @ np.square(means - values.mean())) / (groups - 1)
    return float(fdtrc(groups - 1, n - groups, between / within)) if within > 0 else 0.0


def least_on_simplex(
    loss: Callable[[ndarray], tuple[float, ndarray]], weights: int, free: Sequence[float] = ()
) -> tuple[ndarray, ndarray]:
    """Return the weights, at least 0 and with the sum 1, of the least loss, and other parameters.

    By sequential quadratic programming from equal weights. New models that learn weights take it.

    Args:
        loss: The function from the weights and the other parameters behind them to its value and
            its gradient.
        weights: The number of weights.
        free: The values from which parameters without bounds begin.
    """
    from scipy.optimize import minimize

    ones = np.append(np.ones(weights), np.zeros(len(free)))
    found = minimize(
        loss,
        np.append(np.full(weights, 1 / weights), free),
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * weights + [(None, None)] * len(free),
        constraints=[{"type": "eq", "fun": lambda x: x[:weights].sum() - 1, "jac": lambda _: ones}],
        options={"ftol": 1e-12},
    ).x
    shares = np.maximum(found[:weights], 0.0)
    return shares / shares.sum(), found[weights:]


# Estimates of rows that come in clusters: bootstrap over clusters, and two-way clustered variance.

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


def codes_of(names: Series) -> ndarray:
    """Return the number of each name from 0, by the order of names; none is a name."""
    codes: ndarray = names.cast(pl.String).fill_null("").rank("dense").to_numpy().astype(np.int64)
    return codes - 1


# What few units decide.

MOST_TELLING = (1, 2, 5)
"""Numbers of units, or of periods, that are left out together."""

FEW_SHARE = 0.25
"""The largest share of units or periods that is left out."""


def fewest(added: ndarray, sure: Callable[[ndarray], bool]) -> tuple[int, ...]:
    """Return the fewest units without which a difference is not sure; empty if it stays so without
    as many as are tried.

    Args:
        added: What each unit adds to the difference, above 0 if it makes it larger, shape (units,).
        sure: Whether a difference is sure without some of them, by their numbers.
    """
    order = np.argsort(-added, kind="stable")
    for most in MOST_TELLING:
        if most > FEW_SHARE * len(added):
            break
        if not sure(order[:most]):
            return tuple(order[:most].tolist())
    return ()
