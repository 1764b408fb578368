"""Intervals and p-values of comparisons: fixed samples, sequences, looks, many comparisons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series

from hwds.stats.effects import holm

# Intervals and p-values of one comparison, on arrays: fixed samples, and sequences that may be
# watched.


Bounds = tuple[ndarray, ndarray]


def critical(alpha: float) -> float:
    """Return the two-sided normal critical value: 1.96 for .05."""
    from scipy.special import ndtri

    return float(ndtri(1 - alpha / 2))


def t_bounds(value: ndarray, stderr: ndarray, df: ndarray, alpha: float) -> Bounds:
    """Return the two-sided interval of Student's t; an infinite `df` is the normal."""
    from scipy.special import stdtrit

    half_width = (
        np.where(
            np.isinf(df), critical(alpha), stdtrit(np.where(np.isinf(df), 1.0, df), 1 - alpha / 2)
        )
        * stderr
    )
    return value - half_width, value + half_width


def t_p(value: ndarray, stderr: ndarray, df: ndarray) -> ndarray:
    """Return the two-sided p-value of Student's t; an infinite `df` is the normal.

    NaN where nothing varies.
    """
    from scipy.special import ndtr, stdtr

    with np.errstate(divide="ignore", invalid="ignore"):
        t = -np.abs(value / stderr)
    return 2 * np.where(np.isinf(df), ndtr(t), stdtr(np.where(np.isinf(df), 1.0, df), t))


def satterthwaite(
    own: ndarray, own_n: ndarray, other: ndarray, other_n: ndarray, axis: int | None = None
) -> ndarray:
    """Return degrees of freedom of a difference of means (Welch 1947).

    Args:
        own: The squared standard errors of the means.
        own_n: The numbers of units.
        other: The squared standard errors of the other arm.
        other_n: The numbers of units of the other arm.
        axis: The axis of parts (strata) that are added up (Satterthwaite 1946); None where there
            is one.
    """
    both, parts = own + other, own**2 / (own_n - 1) + other**2 / (other_n - 1)
    if axis is not None:
        both, parts = both.sum(axis=axis), parts.sum(axis=axis)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(both > 0, both**2 / parts, np.inf)


def pooled_p(own: ndarray, own_n: ndarray, other: ndarray, other_n: ndarray) -> ndarray:
    """Return the two-sided p-value of equal proportions by the score test: Pearson's chi-square,
    not continuity-corrected.
    """
    from scipy.special import ndtr

    share = (own * own_n + other * other_n) / (own_n + other_n)
    stderr = np.sqrt(share * (1 - share) * (1 / own_n + 1 / other_n))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(stderr > 0, 2 * ndtr(-np.abs((own - other) / stderr)), 1.0)


def score_bounds(
    own: ndarray, own_n: ndarray, other: ndarray, other_n: ndarray, alpha: float
) -> Bounds:
    """Return the interval of a difference of proportions that agrees with `pooled_p`: the score
    test inverted (Mee 1984).
    """
    z, difference = critical(alpha), own - other

    def beyond(shift: ndarray) -> ndarray:
        share = _restricted_proportion(own, own_n, other, other_n, shift)
        variance = share * (1 - share) / other_n + (share + shift) * (1 - share - shift) / own_n
        return (difference - shift) ** 2 > z**2 * np.maximum(variance, 0)

    low = _bisect_edge(beyond, difference, np.full_like(difference, -1.0))
    return low, _bisect_edge(beyond, difference, np.full_like(difference, 1.0))


def _restricted_proportion(
    own: ndarray, own_n: ndarray, other: ndarray, other_n: ndarray, shift: ndarray
) -> ndarray:
    """Return the most likely proportion of the other arm where the difference is `shift`, by
    bisection of the score.
    """
    low, high = np.maximum(0.0, -shift), np.minimum(1.0, 1 - shift)
    for _ in range(50):
        share = (low + high) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            p = share + shift
            slope = other_n * (other - share) / (share * (1 - share)) + own_n * (own - p) / (
                p * (1 - p)
            )
        low, high = np.where(slope > 0, share, low), np.where(slope > 0, high, share)
    return (low + high) / 2


def _bisect_edge(
    beyond: Callable[[ndarray], ndarray], inside: ndarray, outside: ndarray
) -> ndarray:
    """Return the point between one inside and one outside at which `beyond` turns true, by
    bisection.
    """
    for _ in range(50):
        middle = (inside + outside) / 2
        out = beyond(middle)
        inside, outside = np.where(out, inside, middle), np.where(out, middle, outside)
    return (inside + outside) / 2


def mover_bounds(own: ndarray, own_bounds: Bounds, other: ndarray, other_bounds: Bounds) -> Bounds:
    """Return the interval of a difference from the intervals of its two parts (MOVER, Zou and
    Donner 2008; Newcombe 1998).
    """
    value = own - other
    low = value - np.sqrt((own - own_bounds[0]) ** 2 + (other_bounds[1] - other) ** 2)
    return low, value + np.sqrt((own_bounds[1] - own) ** 2 + (other - other_bounds[0]) ** 2)


def fieller_bounds(
    own: ndarray,
    own_error: ndarray,
    other: ndarray,
    other_error: ndarray,
    z: ndarray | float,
    shared: ndarray | float = 0.0,
) -> Bounds:
    """Return the interval of a ratio of two means: those ratios r at which own - r other is within
    z of its errors.

    Fieller, Some problems in interval estimation (JRSS B 1954). It excludes 1 exactly where the
    interval of the difference at the same z excludes 0, so that it holds at whatever looks z does.

    Args:
        own: The mean above.
        own_error: Its squared standard error.
        other: The mean below.
        other_error: Its squared standard error.
        z: The critical value, in standard errors.
        shared: The squared standard error of a part that both means have in common, beside their
            own.

    Returns:
        The ends; NaN where the mean below may be 0, for then the ratio has no bounds.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        under, across = other**2 - z**2 * (other_error + shared), own * other - z**2 * shared
        spread = np.sqrt(across**2 - under * (own**2 - z**2 * (own_error + shared)))
        low, high = (across - spread) / under, (across + spread) / under
    known = under > 0
    return np.where(known, low, np.nan), np.where(known, high, np.nan)


def inverted_p(bounds: Callable[[ndarray], Bounds], like: ndarray) -> ndarray:
    """Return the p-value of an interval: 2 (1 - Phi(z)) at the critical value z for which it just
    touches 0.

    Args:
        bounds: The interval for critical values, which are shaped as `like`; it widens with them.
        like: The effects.
    """
    from scipy.special import ndtr

    def free(z: ndarray) -> ndarray:
        low, high = bounds(z)
        return (low <= 0) & (high >= 0)

    z = _bisect_edge(free, np.zeros_like(like), np.full_like(like, 38.0))
    return np.asarray(2 * ndtr(-z))


def sequence_rate(tuned_for: float, alpha: float) -> float:
    """Return the squared rho that makes a confidence sequence narrowest after `tuned_for` units.

    Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, Time-uniform central limit theory and
    asymptotic confidence sequences (2021), their closed form for the best rho. It must be chosen
    before the data, never from the units so far.
    """
    return float((-2 * np.log(alpha) + np.log(1 - 2 * np.log(alpha))) / tuned_for)


def sequence_bounds(
    value: ndarray, stderr: ndarray, n: ndarray, rate: float, alpha: float
) -> Bounds:
    """Return the asymptotic confidence sequence: it holds at all looks together, so that one may
    look at any time and stop.

    The two-sided normal mixture of the paper of `sequence_rate` (eq. 9), as GrowthBook's gbstats
    has it.

    Args:
        value: The effects.
        stderr: Their standard errors.
        n: The number of units of both arms together.
        rate: The squared rho of `sequence_rate`.
        alpha: One minus the level.
    """
    growth = n * rate
    half_width = stderr * np.sqrt(
        2 * (growth + 1) / growth * (np.log(growth + 1) / 2 - np.log(alpha))
    )
    return value - half_width, value + half_width


def sequence_p(value: ndarray, stderr: ndarray, n: ndarray, rate: float) -> ndarray:
    """Return the always-valid p-value: the alpha at which `sequence_bounds` (at this rate) touches
    zero.
    """
    growth = n * rate
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        log_p = np.log(growth + 1) / 2 - (value / stderr) ** 2 * growth / (2 * (growth + 1))
        return np.exp(np.minimum(log_p, 0.0))


# Looking at a test several times: how often a bound is crossed by chance, and the bounds of
# Pocock and O'Brien-Fleming.

BoundShape = Literal["pocock", "obrien_fleming"]


def crossing_chance(bounds: Sequence[float], fractions: Sequence[float]) -> float:
    """Return the chance that |z| of a test without effect exceeds its bound at one look at least.

    The recursive integration of Armitage, McPherson and Rowe (1969), by Gauss-Legendre quadrature
    over the region where the test goes on (Jennison and Turnbull, Group Sequential Methods, chapter
    19).

    Args:
        bounds: The bound of |z| at each look.
        fractions: The information at each look as a share of the last, rising.
    """
    from scipy.special import ndtr

    at, weight = _gauss_nodes()
    edges = np.asarray(bounds, float) * np.sqrt(fractions)
    steps = np.sqrt(np.diff(np.asarray(fractions, float), prepend=0.0))
    points, density, crossed = np.zeros(1), np.ones(1), 0.0
    for edge, step in zip(edges, steps, strict=True):
        crossed += float(density @ (ndtr((-edge - points) / step) + ndtr((points - edge) / step)))
        ahead = edge * at
        moved = np.exp(-(((ahead[:, None] - points) / step) ** 2) / 2) / (step * np.sqrt(2 * np.pi))
        points, density = ahead, (moved @ density) * edge * weight
    return crossed


@cache
def _gauss_nodes() -> tuple[ndarray, ndarray]:
    """Return nodes and weights of a quadrature that gives ten digits up to 500 looks."""
    from scipy.special import roots_legendre

    at, weight = roots_legendre(201)
    return at, weight


def bound_shape(shape: BoundShape, fractions: Sequence[float]) -> ndarray:
    """Return bounds up to a constant: flat (Pocock 1977), or falling with the root of information
    (O'Brien, Fleming 1979).
    """
    share = np.asarray(fractions, float)
    return np.ones_like(share) if shape == "pocock" else np.sqrt(share[-1] / share)


@cache
def group_bounds(
    shape: BoundShape, fractions: tuple[float, ...], alpha: float
) -> tuple[float, ...]:
    """Return the bounds of |z| that a test without effect crosses with probability alpha over all
    its looks.
    """
    from scipy.optimize import brentq

    form = bound_shape(shape, fractions)
    constant = brentq(lambda c: crossing_chance(c * form, fractions) - alpha, 0.5, 8.0, xtol=1e-8)
    return tuple(float(bound) for bound in constant * form)


def group_p(z: float, look: int, shape: BoundShape, fractions: Sequence[float]) -> float:
    """Return the repeated p-value of a look: the least alpha at which its bound is crossed
    (Jennison and Turnbull, chapter 9).

    Args:
        z: The statistic at that look.
        look: The number of the look, 0 for the first.
        shape: The shape of the bounds.
        fractions: The information at all planned looks, as shares of the last.
    """
    form = bound_shape(shape, fractions)
    return min(crossing_chance(abs(z) / form[look] * form, fractions), 1.0) if z else 1.0


def equal_looks(looks: int) -> tuple[float, ...]:
    """Return the fractions of looks at equal distances."""
    return tuple((np.arange(1, looks + 1) / looks).tolist())


# Checks of a test's rows before its effects, and corrections of p-values for many comparisons.

Correction = Literal["holm", "bh", "none"]

LEAST_EXPECTED = 5
"""Units that each arm must be expected to have, so that chi-square holds."""


@dataclass(frozen=True, slots=True)
class RatioCheck:
    """The check of the arms' shares of units against the planned ones.

    Attributes:
        statistic: The chi-square statistic.
        p_value: Its p-value; None where an arm is expected to have fewer than five units, and the
            check says nothing.
        expected: The units that each arm was expected to have.
    """

    statistic: float | None
    p_value: float | None
    expected: tuple[float, ...]


def ratio_check(counts: Sequence[int], shares: Sequence[float]) -> RatioCheck:
    """Return Pearson's chi-square of the counts against planned shares (Fabijan et al., KDD 2019,
    on sample ratio mismatch).
    """
    from scipy.special import chdtrc

    observed = np.asarray(counts, float)
    expected = observed.sum() * np.asarray(shares, float) / np.sum(shares)
    expected_units = tuple(float(units) for units in expected)
    if expected.min() < LEAST_EXPECTED:
        return RatioCheck(None, None, expected_units)
    statistic = float(np.sum((observed - expected) ** 2 / expected))
    return RatioCheck(statistic, float(chdtrc(len(observed) - 1, statistic)), expected_units)


ONE_ARM_SHARE = 0.9
"""The share of the arms' variation between groups from which arms were given to groups."""

LEAST_MIXED = 15.0
"""Rows that chance must be expected to mix within groups; of fewer, one arm may be chance."""


def share_between(arm: ndarray, group: ndarray) -> float:
    """Return the share of the arms' variation that lies between groups of rows.

    It is 0 on average if each row draws its own arm, and 1 if a group has one arm. It compares the
    mean squares of a one-way analysis of variance. It is 0 if too few rows share a group.

    Args:
        arm: The number of each row's arm, shape (n,).
        group: The number of each row's group, from 0 without gaps, shape (n,).
    """
    counts = np.zeros((int(group.max()) + 1, int(arm.max()) + 1))
    np.add.at(counts, (group, arm), 1)
    n, sizes = len(arm), counts.sum(axis=1)
    chance = (n - len(sizes)) * (n - np.sum(counts.sum(axis=0) ** 2) / n) / (n - 1)
    within = n - np.sum(counts**2 / sizes[:, None])
    return float(1 - within / chance) if chance >= LEAST_MIXED else 0.0


@dataclass(frozen=True, slots=True)
class BalanceCheck:
    """The check that arms have one mean of a covariate.

    Attributes:
        difference: The difference from the control that is least likely by chance, in standard
            deviations within arms.
        p_value: Its p-value, corrected for the number of arms.
    """

    difference: float
    p_value: float


def balance_check(values: ndarray, arm: ndarray) -> BalanceCheck:
    """Return Welch's test of each arm against the first, the least p-value times their number.

    Args:
        values: The covariate of each unit, shape (n,).
        arm: The number of each unit's arm, shape (n,).
    """
    parts = [values[arm == number] for number in range(int(arm.max()) + 1)]
    n = np.array([len(part) for part in parts])
    mean = np.array([part.mean() for part in parts])
    variance = np.array([part.var(ddof=1) for part in parts])
    error, gap = variance / n, mean[1:] - mean[0]
    df = satterthwaite(error[1:], n[1:], error[0], n[0])
    p_values = t_p(gap, np.sqrt(error[1:] + error[0]), df)
    p_values = np.where(np.isnan(p_values), gap == 0, p_values)
    least = int(np.argmin(p_values))
    spread = float(np.sqrt((n - 1) @ variance / (n - 1).sum()))
    difference = float(gap[least]) / spread if spread else 0.0
    return BalanceCheck(difference, min(1.0, float(p_values[least]) * len(gap)))


MOVED_LEVEL = 0.001
"""The p-value below which a column differs between arms: that of the sample ratio's alarm."""

MOST_LEVELS = 20
"""The values of a column that are compared between arms, the most frequent ones; numbers of more
values are compared by their mean.
"""


def moved_columns(data: DataFrame, names: Sequence[str], arm: ndarray) -> dict[str, BalanceCheck]:
    """Return the columns that differ between arms by more than chance, by name.

    P-values are corrected for the number of columns, of values of a column, and of arms.

    Args:
        data: A row for each unit.
        names: The columns to compare.
        arm: The number of each unit's arm, shape (n,).
    """
    found = {}
    for name in names:
        checks = [_balance(each, arm) for each in _compared(data[name])]
        least = min(checks, key=lambda check: check.p_value)
        p_value = least.p_value * len(checks) * len(names)
        if p_value < MOVED_LEVEL:
            found[name] = replace(least, p_value=p_value)
    return found


def _compared(column: Series) -> list[Series]:
    """Return the numbers of a column, or whether it has each of its values."""
    if column.dtype.is_numeric() and column.n_unique() > MOST_LEVELS:
        return [column]
    texts = column.cast(pl.String)
    levels = texts.drop_nulls().value_counts(sort=True)[column.name][:MOST_LEVELS]
    return [texts == level for level in levels] or [column.is_null()]


def _balance(column: Series, arm: ndarray) -> BalanceCheck:
    """Return the check of the units that have a value."""
    values = column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    known = np.isfinite(values)
    few = np.bincount(arm[known], minlength=int(arm.max()) + 1).min() < 2
    return BalanceCheck(0.0, 1.0) if few else balance_check(values[known], arm[known])


def leading_unit(values: ndarray, arm: ndarray) -> tuple[int, float]:
    """Return the unit with the largest share of the variance of an arm's effect, and this share.

    Without a unit of the share s the effect moves by sqrt(s / (1 - s)) of the standard error that
    is left.

    Args:
        values: The outcome of each unit, shape (n,).
        arm: The number of each unit's arm, shape (n,).
    """
    counts = np.bincount(arm)
    error = ((values - (np.bincount(arm, values) / counts)[arm]) / counts[arm]) ** 2
    variance = np.bincount(arm, error)
    other = np.where(arm == 0, variance[1:].min(), variance[0])
    share = error / np.maximum(variance[arm] + other, 1e-300)
    first = int(np.argmax(share))
    return first, float(share[first])


def adjust_p_values(p_values: Sequence[float], correction: Correction) -> list[float]:
    """Return adjusted p-values: by Holm (1979) for any error, by Benjamini and Hochberg (1995) for
    the share of errors.
    """
    if correction == "none" or not len(p_values):
        return list(p_values)
    if correction == "bh":
        from scipy.stats import false_discovery_control

        return false_discovery_control(p_values).tolist()
    return [p for p in holm(p_values) if p is not None]
