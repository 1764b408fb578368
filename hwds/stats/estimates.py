"""Estimates from values of units with their uncertainty: means, medians, tails, ratios, shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy import ndarray

from hwds.stats.effects import Z95, Effect, reaching_zero, student_critical

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
