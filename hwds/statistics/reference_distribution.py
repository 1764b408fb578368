"""The distribution of an estimate over its standard error where there is no effect, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import exp, expm1, inf, isinf, log, sqrt

Z95 = 1.959963984540054
"""The two-sided 95 % point of the normal law."""

LEAST_SURE = 4
"""Independent units (days, origins, series, customers) from which on a comparison may be sure.

Three that agree have a p-value of .25 by the exact test of signs, and Student's t trusts a spread that was seen twice.
"""


def reaching_zero(low: float, high: float, clusters: int) -> tuple[float, float]:
    """Return the interval of a difference: of fewer than `LEAST_SURE` clusters it reaches 0 at least."""
    return (min(low, 0.0), max(high, 0.0)) if clusters < LEAST_SURE else (low, high)


def least_p(clusters: int) -> float:
    """Return the least p-value that so few clusters can have: that of the exact test of signs; 0 of `LEAST_SURE` or more."""
    return 2.0 ** (1 - max(clusters, 1)) if clusters < LEAST_SURE else 0.0


@dataclass(frozen=True, slots=True)
class ReferenceDistribution:
    """Student's t, stretched.

    Attributes:
        df: Degrees of freedom; infinite is the normal.
        stretch: How much wider it is: a bootstrap's 95 % point of |t| over that of Student's t, so that the interval is the
            bootstrap's own and small p-values, which no number of resamples could tell, go on as Student's tail does.
    """

    df: float = inf
    stretch: float = 1.0

    def critical(self, level: float) -> float:
        """Return the two-sided critical value at a level of confidence: 1.96 for .95 of the normal."""
        return self.stretch * student_critical(self.df, level)

    def above(self, t: float) -> float:
        """Return the chance of a value above t."""
        from scipy.special import ndtr, stdtr

        scaled = -t / self.stretch
        return float(ndtr(scaled)) if isinf(self.df) else float(stdtr(self.df, scaled))

    def two_sided(self, t: float) -> float:
        """Return the chance of a value as far from 0 as t."""
        return 2 * self.above(abs(t))


@dataclass(frozen=True, slots=True)
class SumDistribution:
    """An estimate whose variance is a sum of parts, each estimated with degrees of freedom of its own.

    The squared critical value is the mean of those of the parts, weighted by their shares of the variance: an interval of it
    covers at least as often as it says, for any true shares (Banerjee 1961, "On confidence interval for two-means problem
    based on separate estimates of variances and tabulated values of t-table").

    Attributes:
        parts: The share of the variance and the distribution of each part; shares add up to 1.
    """

    parts: tuple[tuple[float, Distribution], ...]

    def critical(self, level: float) -> float:
        """Return the two-sided critical value at a level of confidence."""
        return sqrt(sum(share * each.critical(level) ** 2 for share, each in self.parts))

    def two_sided(self, t: float) -> float:
        """Return one minus the level whose critical value t is, between the p-values of the parts."""
        from scipy.optimize import brentq

        alone = [each.two_sided(t) for share, each in self.parts if share > 0]
        low, high = min(alone), max(alone)
        if low == high or low <= 0 or high >= 1:
            return high

        def excess(log_p: float) -> float:
            return self.critical(-expm1(log_p)) - abs(t)

        if excess(log(low)) <= 0 or excess(log(high)) >= 0:  # the parts agree but for their last bits
            return high
        return exp(brentq(excess, log(low), log(high), xtol=1e-9))

    def above(self, t: float) -> float:
        """Return the chance of a value above t."""
        half = self.two_sided(t) / 2
        return half if t >= 0 else 1 - half


Distribution = ReferenceDistribution | SumDistribution


@cache
def student_critical(df: float, level: float) -> float:
    """Return the two-sided critical value of Student's t."""
    from scipy.special import ndtri, stdtrit

    upper = 0.5 + level / 2
    return float(ndtri(upper)) if isinf(df) else float(stdtrit(df, upper))


@dataclass(frozen=True, slots=True)
class Effect:
    """An estimate that is 0 where two models are alike, above 0 where the first is better.

    Attributes:
        value, stderr: The estimate; without a standard error nothing can be said of how sure it is.
        distribution: Of value over standard error.
        method: How the standard error was made, in words.
        clusters: What was resampled or averaged: how many there are.
        independent: How many independent observations would tell as much; None where nobody counted.
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
        """Return the interval of a difference, which reaches 0 where units are few; None without a standard error."""
        ends = self.interval(level)
        return None if ends is None else reaching_zero(*ends, self.fewest)

    def interval(self, level: float) -> tuple[float, float] | None:
        """Return the interval at a level of confidence; None without a standard error."""
        if self.stderr is None:
            return None
        half_width = self.distribution.critical(level) * self.stderr
        return self.value - half_width, self.value + half_width

    @property
    def p_value(self) -> float | None:
        """The two-sided p-value of no effect; 1 where nothing differs at all, None without a standard error."""
        if self.stderr is None:
            return None
        if self.stderr == 0:
            return 1.0 if self.value == 0 else self.least_p
        return max(self.distribution.two_sided(self.value / self.stderr), self.least_p)

    def equivalence_p(self, low: float, high: float) -> float | None:
        """Return the p-value of an effect outside of `low` to `high`: the larger of two one-sided tests.

        Schuirmann (1987), "A comparison of the two one-sided tests procedure and the power approach for assessing the
        equivalence of average bioavailability".

        Args:
            low: Below 0.
            high: Above 0.
        """
        if self.stderr is None:
            return None
        if self.stderr == 0:
            return self.least_p if low < self.value < high else 1.0
        above, below = (self.value - low) / self.stderr, (high - self.value) / self.stderr
        return max(self.distribution.above(above), self.distribution.above(below), self.least_p)
