"""Effects, the laws of their errors, standard errors over units, and p-values of several tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from math import exp, expm1, inf, isinf, log, log1p, sqrt

import numpy as np
from numpy import ndarray

# The distribution of an estimate over its standard error where there is no effect, and what
# follows from it.

Z95 = 1.959963984540054
"""The two-sided 95 % point of the normal law."""

LEAST_SURE = 4
"""Independent units (days, origins, series, customers) from which on a comparison may be sure.

Three that agree have a p-value of .25 by the exact test of signs, and Student's t trusts a spread
that was seen twice.
"""


def reaching_zero(low: float, high: float, clusters: int) -> tuple[float, float]:
    """Return the interval of a difference: of fewer than `LEAST_SURE` clusters it reaches 0 at
    least.
    """
    return (min(low, 0.0), max(high, 0.0)) if clusters < LEAST_SURE else (low, high)


def least_p(clusters: int) -> float:
    """Return the least p-value that so few clusters can have: that of the exact test of signs.

    0 of `LEAST_SURE` or more.
    """
    return 2.0 ** (1 - max(clusters, 1)) if clusters < LEAST_SURE else 0.0


@dataclass(frozen=True, slots=True)
class ReferenceDistribution:
    """Student's t, stretched.

    Attributes:
        df: Degrees of freedom; infinite is the normal.
        stretch: The factor by which it is wider: a bootstrap's 95 % point of |t| over that of
            Student's t, so that the interval is the bootstrap's own and small p-values, which no
            number of resamples could tell, go on as Student's do.
        observed: The number of observations, where the distribution holds at all looks together
            (see `any_look_p`); 0 for one look.
        choices: The number of estimates of which this one was chosen.
    """

    df: float = inf
    stretch: float = 1.0
    observed: float = 0.0
    choices: int = 1

    def critical(self, level: float) -> float:
        """Return the two-sided critical value at a level of confidence: 1.96 for .95 of the
        normal.
        """
        level = level if self.choices == 1 else 1 - (1 - level) / self.choices
        if self.observed:
            return self.stretch * any_look_critical(self.df, self.observed, 1 - level)
        return self.stretch * student_critical(self.df, level)

    def survival(self, t: float) -> float:
        """Return the chance of a value above t."""
        from scipy.special import ndtr, stdtr

        if self.observed or self.choices > 1:
            half = self.two_sided(t) / 2
            return half if t >= 0 else 1 - half
        scaled = -t / self.stretch
        return float(ndtr(scaled)) if isinf(self.df) else float(stdtr(self.df, scaled))

    def two_sided(self, t: float) -> float:
        """Return the chance of a value as far from 0 as t."""
        if self.observed:
            chance = any_look_p(self.df, self.observed, abs(t) / self.stretch)
        elif self.choices > 1:
            chance = replace(self, choices=1).two_sided(t)
        else:
            return 2 * self.survival(abs(t))
        return min(self.choices * chance, 1.0)

    def at_all_looks(self, observed: float, choices: int) -> ReferenceDistribution:
        """Return the distribution that holds at all looks together, and for the best of choices."""
        count = self.df + 1 if observed and not isinf(self.df) else observed
        return replace(self, observed=count, choices=choices)


@dataclass(frozen=True, slots=True)
class SumDistribution:
    """An estimate whose variance is a sum of parts, each estimated with degrees of freedom of its
    own.

    The squared critical value is the mean of those of the parts, weighted by their shares of the
    variance: an interval of it covers at least as often as it says, for any true shares (Banerjee
    1961, "On confidence interval for two-means problem based on separate estimates of variances and
    tabulated values of t-table").

    Attributes:
        parts: The share of the variance and the distribution of each part; shares add up to 1.
    """

    parts: tuple[tuple[float, Distribution], ...]

    def critical(self, level: float) -> float:
        """Return the two-sided critical value at a level of confidence."""
        return sqrt(sum(share * each.critical(level) ** 2 for share, each in self.parts if share))

    def two_sided(self, t: float) -> float:
        """Return one minus the level whose critical value t is, between the p-values of the
        parts.
        """
        from scipy.optimize import brentq

        of_parts = [each.two_sided(t) for share, each in self.parts if share > 0]
        low, high = min(of_parts), max(of_parts)
        if low == high or low <= 0 or high >= 1:
            return high

        def excess(log_p: float) -> float:
            return min(self.critical(-expm1(log_p)), MOST_ERRORS) - abs(t)

        if (
            excess(log(low)) <= 0 or excess(log(high)) >= 0
        ):  # the parts agree but for their last bits
            return high
        return exp(brentq(excess, log(low), log(high), xtol=1e-9))

    def survival(self, t: float) -> float:
        """Return the chance of a value above t."""
        half = self.two_sided(t) / 2
        return half if t >= 0 else 1 - half

    def at_all_looks(self, observed: float, choices: int) -> SumDistribution:
        """Return the same of `ReferenceDistribution`, of all parts."""
        parts = ((share, each.at_all_looks(observed, choices)) for share, each in self.parts)
        return SumDistribution(tuple(parts))


Distribution = ReferenceDistribution | SumDistribution


@cache
def student_critical(df: float, level: float) -> float:
    """Return the two-sided critical value of Student's t."""
    from scipy.special import ndtri, stdtrit

    upper = 0.5 + level / 2
    return float(ndtri(upper)) if isinf(df) else float(stdtrit(df, upper))


MOST_ERRORS = 1e9
"""Standard errors beyond which nothing is bounded."""

EFFECT_VARIANCE = 3.0
"""The variance of the effects that a test at all looks averages over, in that of one observation.

With 4 to 24 observations 2 does about as well, and .3 finds less.
"""


def any_look_p(df: float, observed: float, t: float) -> float:
    """Return the p-value of Student's t that holds at all looks together, so that one may look
    again and stop at any time.

    It is one over a Bayes factor, an e-process under invariance: of effects that are normal around
    0, and of all scales (Rouder et al. 2009; Wang and Ramdas 2024, "Anytime-valid t-tests and
    confidence sequences for Gaussian means with unknown variance").

    Args:
        df: Degrees of freedom; infinite is the normal.
        observed: The number of observations.
        t: The estimate over its standard error.
    """
    shrink = 1 / (1 + observed * EFFECT_VARIANCE)
    if isinf(df):
        factor = t**2 * (1 - shrink) / 2
    else:
        factor = (df + 1) / 2 * (log1p(t**2 / df) - log1p(shrink * t**2 / df))
    return exp(min(-log(shrink) / 2 - factor, 0.0))


def any_look_critical(df: float, observed: float, alpha: float) -> float:
    """Return the t whose `any_look_p` is alpha; infinite where there is none."""
    shrink = 1 / (1 + observed * EFFECT_VARIANCE)
    odds = 2 * (-log(shrink) / 2 - log(alpha))
    if isinf(df):
        return sqrt(odds / (1 - shrink))
    grown = exp(odds / (df + 1))
    return sqrt(df * (grown - 1) / (1 - shrink * grown)) if shrink * grown < 1 else inf


@dataclass(frozen=True, slots=True)
class Effect:
    """An estimate that is 0 where two models are alike, above 0 where the first is better.

    Attributes:
        value, stderr: The estimate; without a standard error nothing can be said of how sure it is.
        distribution: The distribution of the value over its standard error.
        method: The method of the standard error, in words.
        clusters: What was resampled or averaged: how many there are.
        independent: The number of independent observations that would tell as much; None where
            nobody counted.
        periods: The periods that clusters share; None where they share none.
    """

    value: float
    stderr: float | None
    distribution: Distribution
    method: str
    clusters: int
    independent: float | None = None
    periods: int | None = None

    @property
    def fewest(self) -> int:
        """The independent units of the kind that has fewest."""
        return self.clusters if self.periods is None else min(self.clusters, self.periods)

    @property
    def least_p(self) -> float:
        """The least p-value that so few units can have; see the function."""
        return least_p(self.fewest)

    def difference(self, level: float) -> tuple[float, float] | None:
        """Return the interval of a difference, which reaches 0 where units are few.

        None without a standard error.
        """
        ends = self.interval(level)
        return None if ends is None else reaching_zero(*ends, self.fewest)

    def interval(self, level: float) -> tuple[float, float] | None:
        """Return the interval at a level of confidence; None without a standard error, or without
        bounds.
        """
        critical = self.distribution.critical(level)
        if self.stderr is None or isinf(critical):
            return None
        half_width = critical * self.stderr
        return self.value - half_width, self.value + half_width

    def at_all_looks(self, *, again: bool, choices: int = 1) -> Effect:
        """Return the effect of one of several looks, or of the best of several choices.

        Where units share periods a look adds periods, and the units stay: what was seen of them
        before favours the choice, and new periods do not.

        Args:
            again: Whether it was looked at before; the first look is that of a fixed test.
            choices: The number of estimates on the same units of which this one was chosen.
        """
        if not again and choices < 2:
            return self
        law, new = self.distribution, self.clusters if again else 0
        if self.periods is None or not isinstance(law, SumDistribution):
            return replace(self, distribution=law.at_all_looks(new, choices))
        (units, of_units), (periods, of_periods) = law.parts
        parts = (
            (units, of_units.at_all_looks(0, choices)),
            (periods, of_periods.at_all_looks(new, 1)),
        )
        return replace(self, distribution=SumDistribution(parts))

    @property
    def p_value(self) -> float | None:
        """The two-sided p-value of no effect.

        1 where nothing differs at all, None without a standard error.
        """
        if self.stderr is None:
            return None
        if self.stderr == 0:
            return 1.0 if self.value == 0 else self.least_p
        return max(self.distribution.two_sided(self.value / self.stderr), self.least_p)

    def equivalence_p(self, low: float, high: float) -> float | None:
        """Return the p-value of an effect outside of `low` to `high`: the larger of two one-sided
        tests.

        Schuirmann (1987), "A comparison of the two one-sided tests procedure and the power approach
        for assessing the equivalence of average bioavailability".

        Args:
            low: The lower bound, below 0.
            high: The upper bound, above 0.
        """
        if self.stderr is None:
            return None
        if self.stderr == 0:
            return self.least_p if low < self.value < high else 1.0
        above, below = (self.value - low) / self.stderr, (high - self.value) / self.stderr
        return max(
            self.distribution.survival(above), self.distribution.survival(below), self.least_p
        )


# The standard errors of means over units and seeds, and the laws they follow: bootstrap,
# Student's t, both levels at once.

LEAST_CLUSTERS = 20
"""Units from which on a bootstrap over them is trusted."""

LEAST_SEEDS = 5
"""Seeds from which on a bootstrap over them is trusted."""

MOST_CLUSTERS = 10_000
"""Units from which on a bootstrap tells nothing that Student's t does not."""

RESAMPLES = 2000
"""The resamples of a bootstrap by which models are compared."""

LEVEL = 0.95
"""The level at which a bootstrap is compared with Student's t."""


@dataclass(frozen=True, eq=False)
class StratifiedMean:
    """Sums from which the mean of means over strata and its standard error are made; the last axis
    is that of pairs.

    Attributes:
        mean: The mean over strata of the means within.
        units: Its variance from the units, those of a stratum taken as drawn.
        df: The degrees of freedom of that variance, by Satterthwaite.
    """

    mean: ndarray
    units: ndarray
    df: ndarray


def over_units(
    values: ndarray, strata: Sequence[ndarray], counts: ndarray | None = None
) -> StratifiedMean:
    """Return the stratified mean of values, and what its units make it vary.

    Args:
        values: The values, shape (units, pairs).
        strata: The units of each.
        counts: The count of each unit in each resample, shape (resamples, units); once where None.

    Returns:
        Each part of shape (resamples, pairs); of one resample where `counts` is None.
    """
    shape = (1 if counts is None else len(counts), values.shape[1])
    mean, variance, inner = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    share = 1 / len(strata)
    for rows in strata:
        block, n = values[rows], len(rows)
        middle = block.mean(axis=0)
        centred = block - middle
        if counts is None:
            shift, squares = np.zeros(shape), np.square(centred).sum(axis=0)[None]
        else:
            drawn_counts = counts[:, rows]
            # sums of a resample from the counts of its units: no resample is laid out
            shift, squares = drawn_counts @ centred / n, drawn_counts @ np.square(centred)
        mean += share * (middle + shift)
        # squares around the resample's own mean
        part = share**2 * np.maximum(squares - n * shift**2, 0.0) / (n * (n - 1))
        variance += part
        inner += part**2 / (n - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        df = np.where(inner > 0, variance**2 / inner, inf)
    return StratifiedMean(mean, variance, df)


def cluster_values(
    values: ndarray, strata: Sequence[ndarray], cluster: ndarray
) -> tuple[ndarray, list[ndarray]]:
    """Return values of clusters whose mean within a stratum is that of its units, and the clusters
    of each stratum: units of one cluster are then drawn together.

    Args:
        values: The values of units, shape (units, ...).
        strata: The units of each.
        cluster: The cluster of each unit, shape (units,).
    """
    parts = []
    for rows in strata:
        codes = np.unique(cluster[rows], return_inverse=True)[1]
        mean = values[rows].mean(axis=0)
        sums = np.zeros((int(codes.max()) + 1, *values.shape[1:]))
        np.add.at(sums, codes, values[rows] - mean)
        parts.append(mean + len(sums) / len(rows) * sums)
    ends = np.cumsum([0, *map(len, parts)])
    return np.concatenate(parts), [np.arange(a, b) for a, b in pairwise(ends.tolist())]


def resample_units(
    strata: Sequence[ndarray], n: int, resamples: int, rng: np.random.Generator
) -> ndarray:
    """Return how often each unit is drawn, stratum by stratum with replacement, shape (resamples,
    n).
    """
    counts = np.zeros((resamples, n))
    for rows in strata:
        counts[:, rows] = rng.multinomial(
            len(rows), np.full(len(rows), 1 / len(rows)), size=resamples
        )
    return counts


def shared_resamples(
    strata: Sequence[ndarray], resamples: int, rng: np.random.Generator
) -> ndarray | None:
    """Return the resamples of a bootstrap over units, which all pairs meet.

    None where there are too few or too many.
    """
    n = sum(map(len, strata))
    enough = min(map(len, strata)) >= LEAST_CLUSTERS and n <= MOST_CLUSTERS
    return resample_units(strata, n, resamples, rng) if enough else None


def unit_effects(
    values: ndarray, strata: Sequence[ndarray], counts: ndarray | None
) -> list[Effect]:
    """Return effects over units of one seed: by a studentised bootstrap, or Student's t where units
    are few or very many.

    Efron and Tibshirani (1993), An Introduction to the Bootstrap, 12.5, in its symmetric form (Hall
    1992, 3.6).

    Args:
        values: Values whose mean is the effect, shape (units, pairs).
        strata: The units of each dataset, two at least.
        counts: The resamples, see `shared_resamples`; None for Student's t.
    """
    parts, n = over_units(values, strata), len(values)
    stretch, method = np.ones(values.shape[1]), "t over units"
    if counts is not None:
        again = over_units(values, strata, counts)
        stretch, method = (
            _bootstrap_stretch(again.mean - parts.mean, np.sqrt(again.units), parts.df[0]),
            "bootstrap over units",
        )
    errors = np.sqrt(parts.units[0])
    lines = zip(
        parts.mean[0].tolist(), errors.tolist(), parts.df[0].tolist(), stretch.tolist(), strict=True
    )
    return [
        Effect(value, error, ReferenceDistribution(df, wide), method, n)
        for value, error, df, wide in lines
    ]


def _bootstrap_stretch(distances: ndarray, errors: ndarray, df: ndarray) -> ndarray:
    """Return the 95 % point of a bootstrap's |t| over that of Student's t, shape (pairs,).

    1 where nothing varies.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.abs(distances) / errors
    t[~np.isfinite(t)] = 0.0  # a resample of one unit alone has no spread
    points = np.quantile(t, LEVEL, axis=0)
    usual = np.array([student_critical(each, LEVEL) for each in df.tolist()])
    return np.where(points > 0, points / usual, 1.0)


# P-values corrected for several tests at once.


def holm(p_values: Sequence[float | None], family: int = 0) -> list[float | None]:
    """Return p-values by Holm's step-down adjustment: an error anywhere in the family is no
    likelier than the level.

    Holm (1979), "A simple sequentially rejective multiple test procedure".

    Args:
        p_values: None where there is none: it is no test, and does not count.
        family: The number of tests in all, where not every one of them is here: the others are
            taken to be larger, which is the cautious side.

    Returns:
        Adjusted p-values in the same order, at most 1.
    """
    present = np.array([p for p in p_values if p is not None], float)
    order = np.argsort(present)
    # the least of k is tested at 1 / k of the level, the next at 1 / (k - 1)
    multiples = present[order] * np.arange(max(family, len(present)), 0, -1)[: len(present)]
    adjusted = np.empty_like(present)
    adjusted[order] = np.minimum(np.maximum.accumulate(multiples), 1.0)
    values = iter(adjusted.tolist())
    return [None if p is None else next(values) for p in p_values]
