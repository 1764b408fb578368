"""Off-policy estimates: the evidence, an estimator's parts, intervals, and the choice by SLOPE."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from statistics import NormalDist

import numpy as np
import polars as pl
from numpy import ndarray

from hwds.stats.effects import Z95, student_critical

# Evidence: a log and what the target policy would have done, as plain arrays.


@dataclass(frozen=True, eq=False)
class LogEvidence:
    """The input of an off-policy estimator.

    Attributes:
        reward: The reward of each row, shape (n,).
        action: The number of the arm that was logged, shape (n,).
        target: The target policy's probability of each arm in each row, shape (n, arms).
        propensity: The probability (of a continuous price: the density) with which the log chose,
            shape (n,); None where unknown.
        predicted: A reward model's expectation of each arm, fitted without the row, shape (n,
            arms).
        largest_weight: What no weight exceeds, since the log promises a least propensity; None
            where it promises none.
        price: The logged price, shape (n,).
        target_price: The price of each of the target's choices, shape (n, arms) or (1, arms).
        arms: The arms' names.
        table: The log's columns.
    """

    reward: ndarray
    action: ndarray
    target: ndarray
    propensity: ndarray | None = None
    predicted: ndarray | None = None
    largest_weight: float | None = None
    price: ndarray | None = None
    target_price: ndarray | None = None
    arms: tuple[str, ...] = ()
    table: pl.DataFrame = field(default_factory=pl.DataFrame)

    @property
    def target_logged(self) -> ndarray:
        """The target policy's probability of the arm that was logged, shape (n,)."""
        return self.target[np.arange(len(self.action)), self.action]

    @property
    def weights(self) -> ndarray:
        """Importance weights: the target's probability of the logged arm over the log's own, shape
        (n,).
        """
        assert self.propensity is not None
        return self.target_logged / self.propensity

    @property
    def expected(self) -> ndarray:
        """The reward model's expectation of the target policy in each row, shape (n,)."""
        assert self.predicted is not None
        return np.sum(self.target * self.predicted, axis=1)

    @property
    def errors(self) -> ndarray:
        """Reward minus what the reward model expected of the logged arm, shape (n,)."""
        assert self.predicted is not None
        return self.reward - self.predicted[np.arange(len(self.action)), self.action]


# Off-policy estimates: from an estimator's parts to a value, its standard error and its
# intervals.

MOST_ACCELERATED = 0.1
"""The least denominator of the acceleration, beyond which it would turn the interval round."""

HALVINGS = 60
"""Steps of the bisection that inverts a test: enough for the last bits of a bound."""

DOUBTFUL_Z = 3.89
"""Standard errors that one mean in 10,000 is away from what is expected."""


@dataclass(frozen=True, eq=False)
class EstimatorTerms:
    """An estimator's terms for each row of a log: its value is mean(base) + sum(top) / sum(bottom).

    Attributes:
        base: What a reward model expects of the target policy, shape (n,); None for estimators
            without one.
        top: Weighted rewards, or weighted errors of the reward model where there is a base, shape
            (n,).
        bottom: 1 for a mean; the weights for a self-normalised estimator, shape (n,).
        limit: What no weight exceeds.
        limit_known: The limit holds whatever is drawn; if not, it is the largest weight that was
            seen.
        parameter: The clip, shrinkage or bandwidth that was used; None where there is none.
        biased: It aims beside the truth, by how much is not known, so that no interval holds it as
            often as it says.
        learned: A reward model or a chosen parameter has an error of its own that the rows do not
            show; see `jackknife_stderr`.
    """

    base: ndarray | None
    top: ndarray
    bottom: ndarray
    limit: float = 0.0
    limit_known: bool = True
    parameter: float | None = None
    biased: bool = False
    learned: bool = False

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.top)

    @property
    def ratio(self) -> float:
        """sum(top) / sum(bottom), 0 where no weight is left."""
        whole = float(np.sum(self.bottom))
        return float(np.sum(self.top)) / whole if whole else 0.0

    @property
    def value(self) -> float:
        """The estimate of the target policy's mean reward."""
        return self.ratio if self.base is None else float(np.mean(self.base)) + self.ratio

    def less(self, reward: ndarray) -> EstimatorTerms:
        """Return the parts of the estimate minus the mean of the log's own rewards, paired row by
        row.
        """
        return replace(self, base=-reward if self.base is None else self.base - reward)


def influence(parts: EstimatorTerms, groups: ndarray | None = None) -> ndarray:
    """Return what each row, or each group of rows, adds to n times the value's error.

    Shape (n,) or (groups,).

    By linearisation of the ratio (Cochran, Sampling Techniques, 6.4).

    Args:
        parts: The terms of the rows.
        groups: The number of the group of each row, from 0; None where each row is one draw.
    """
    share = float(np.mean(parts.bottom))
    errors = (parts.top - parts.ratio * parts.bottom) / share if share else np.zeros(parts.n)
    if parts.base is not None:
        errors = errors + parts.base - np.mean(parts.base)
    return errors if groups is None else np.bincount(groups, errors)


def stderr(parts: EstimatorTerms, groups: ndarray | None = None) -> float | None:
    """Return the standard error of the value.

    Rows of one group (numbered from 0) count as one draw. None for a single draw.
    """
    return mean_error(influence(parts, groups), parts.n)


def mean_error(errors: ndarray, n: int) -> float | None:
    """Return the standard error of a mean of n rows, from what each draw adds to n times its error.

    None for a single draw.
    """
    count = len(errors)
    return float(np.sqrt(count / (count - 1) * np.sum(errors**2))) / n if count > 1 else None


def effective_size(weights: ndarray) -> float:
    """Return Kish's effective sample size (sum w)^2 / sum w^2: the rows of an unweighted mean as
    precise (Kish 1965).
    """
    squares = float(np.sum(weights**2))
    return float(np.sum(weights)) ** 2 / squares if squares else 0.0


@dataclass(frozen=True, eq=False)
class LogResamples:
    """Bootstrap resamples of a log, each of shape (resamples,).

    Attributes:
        value: The estimates of the estimator.
        logged: The mean of the log's own rewards.
    """

    value: ndarray
    logged: ndarray


def resample_log(
    parts: EstimatorTerms,
    reward: ndarray,
    groups: ndarray | None,
    resamples: int,
    rng: np.random.Generator,
) -> LogResamples:
    """Draw rows, or whole groups, with replacement and estimate again (Efron and Tibshirani 1993,
    chapter 13).

    The same generator gives the same resamples of any estimator, so that rivals are compared on the
    same draws.
    """
    base = np.zeros(parts.n) if parts.base is None else parts.base
    columns = np.stack([base, parts.top, parts.bottom, reward, np.ones(parts.n)], axis=1)
    if groups is not None:
        columns = np.stack([np.bincount(groups, column) for column in columns.T], axis=1)
    count = len(columns)
    sums = np.empty((resamples, columns.shape[1]))
    for draw in sums:
        draw[:] = np.bincount(rng.integers(count, size=count), minlength=count) @ columns
    bottom = np.where(sums[:, 2] == 0, 1.0, sums[:, 2])
    return LogResamples(sums[:, 0] / sums[:, 4] + sums[:, 1] / bottom, sums[:, 3] / sums[:, 4])


def bca_interval(
    draws: ndarray, value: float, errors: ndarray, confidence: float
) -> tuple[float, float]:
    """Return the bias-corrected and accelerated bootstrap interval (Efron 1987; Efron and
    Tibshirani 1993, section 14.3).

    Where weights are large, rewards are skewed, and plain percentiles miss the truth above far more
    often than below.

    Args:
        draws: The estimates of the resamples.
        value: The estimate.
        errors: What each draw adds to the error, of which the acceleration is made.
        confidence: The level of the interval, such as 0.95.
    """
    squares = float(np.sum(errors**2))
    if not squares:
        return value, value
    normal = NormalDist()
    below = (np.sum(draws < value) + 0.5 * np.sum(draws == value)) / len(draws)
    bias = normal.inv_cdf(float(np.clip(below, 0.5 / len(draws), 1 - 0.5 / len(draws))))
    acceleration = float(np.sum(errors**3)) / (6 * squares**1.5)
    levels = []
    for tail in ((1 - confidence) / 2, (1 + confidence) / 2):
        moved = bias + normal.inv_cdf(tail)
        levels.append(normal.cdf(bias + moved / max(1 - acceleration * moved, MOST_ACCELERATED)))
    low, high = np.quantile(draws, levels)
    return float(low), float(high)


def jackknife_stderr(
    value: float, without: ndarray, confidence: float
) -> tuple[float, float, float]:
    """Return the standard error and the interval by leaving out one part of the rows after the
    other, with all that is learned.

    The delete-a-group jackknife, with Student's t for so few parts (Efron and Tibshirani 1993,
    section 11.5; Kott 2001).

    Args:
        value: The estimate.
        without: The estimate without each part, shape (parts,).
        confidence: The level of the interval, such as 0.95.

    Returns:
        The standard error, and the interval's ends.
    """
    parts = len(without)
    error = float(np.sqrt((parts - 1) / parts * np.sum((without - np.mean(without)) ** 2)))
    half_width = student_critical(parts - 1, confidence) * error
    return error, value - half_width, value + half_width


def bernstein_width(variance: float, span: float, n: int, risk: float) -> float:
    """Return how far a mean of n independent draws in a range of width `span` may lie from its
    expectation, on one side.

    Maurer and Pontil 2009 (Empirical Bernstein Bounds and Sample Variance Penalization), theorem 4:
    with probability 1 - risk the expectation is below mean + sqrt(2 V ln(2/risk) / n) + 7 span
    ln(2/risk) / (3 (n - 1)), V being the sample variance with n - 1.
    """
    log = np.log(2 / risk)
    return float(np.sqrt(2 * variance * log / n) + 7 * span * log / (3 * (n - 1)))


def bernstein_interval(
    parts: EstimatorTerms, rewards: tuple[float, float], confidence: float
) -> tuple[float, float]:
    """Return an interval that holds for every n: empirical Bernstein on both sides, cut to the
    range of the rewards.

    A mean takes the bound itself. A ratio takes every v for which the mean of top - v bottom, whose
    expectation is 0 at the truth, is within the bound; with a base beside it, each of the two takes
    half of the risk. It holds so for independent rows: rows of a cross-fitted reward model, or of a
    parameter that was chosen on them, are not, and there it is approximate.

    Args:
        parts: The terms of independent rows.
        rewards: The least and the largest reward there can be.
        confidence: The level of the interval, such as 0.95.
    """
    if parts.n < 2:
        return rewards
    risk, span = (1 - confidence) / 2, rewards[1] - rewards[0]
    if np.all(parts.bottom == 1):
        low, high = _mean_interval(parts, rewards, risk)
    elif parts.base is None:
        low, high = _ratio_interval(parts, rewards, parts.limit * span, risk)
    else:
        inner = _ratio_interval(parts, (-span, span), 2 * parts.limit * span, risk / 2)
        half_width = bernstein_width(float(np.var(parts.base, ddof=1)), span, parts.n, risk / 2)
        middle = float(np.mean(parts.base))
        low, high = middle - half_width + inner[0], middle + half_width + inner[1]
    return max(low, rewards[0]), min(high, rewards[1])


def _mean_interval(
    parts: EstimatorTerms, rewards: tuple[float, float], risk: float
) -> tuple[float, float]:
    draws = parts.top if parts.base is None else parts.base + parts.top
    least, most = rewards
    weighted = parts.limit * (max(most, 0.0) - min(least, 0.0))
    span = weighted if parts.base is None else (1 + 2 * parts.limit) * (most - least)
    half_width = bernstein_width(float(np.var(draws, ddof=1)), span, parts.n, risk)
    return float(np.mean(draws)) - half_width, float(np.mean(draws)) + half_width


def _ratio_interval(
    parts: EstimatorTerms, within: tuple[float, float], span: float, risk: float
) -> tuple[float, float]:
    """Return the v between two bounds that the test does not reject, by bisection from the estimate
    outwards.
    """
    (top, both), (_, bottom) = np.cov(parts.top, parts.bottom)
    mean_top, mean_bottom = float(np.mean(parts.top)), float(np.mean(parts.bottom))

    def accepted(v: float) -> bool:
        variance = max(float(top - 2 * v * both + v * v * bottom), 0.0)
        return abs(mean_top - v * mean_bottom) <= bernstein_width(variance, span, parts.n, risk)

    bounds = []
    for bound in within:
        inside, outside = min(max(parts.ratio, within[0]), within[1]), bound
        for _ in range(0 if accepted(bound) else HALVINGS):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if accepted(middle) else (inside, middle)
        bounds.append(outside)
    return bounds[0], bounds[1]


def refutes_propensities(
    mean_weight: float, error: float | None, overlap: float | None, chance: float | None = None
) -> bool:
    """Return whether right propensities would give such a mean weight in fewer than one log of
    10,000.

    A weight is the target policy's probability over the log's, so that its expectation is 1, less
    the choices that the log never shows.

    Args:
        mean_weight: The mean weight over the rows of the log.
        error: Its standard error; None where the weights are no such ratios.
        overlap: The share of the target's choices that are of arms which the log shows; None where
            it is unknown.
        chance: The chance of so low a mean, see `chance_of_low_mean`; None takes it for normal.
    """
    if not error:
        return False
    low = overlap is not None and overlap - mean_weight > DOUBTFUL_Z * error
    return mean_weight - 1.0 > DOUBTFUL_Z * error or (
        low and (chance is None or chance < NormalDist().cdf(-DOUBTFUL_Z))
    )


def chance_of_low_mean(draws: ndarray, expected: float) -> float:
    """Return the chance that a mean of draws of a skewed law is as far below what is expected.

    1 where it is not.

    A log of few heavy weights usually has a mean and a standard error that are both too low, for
    the heaviest are not in it: the t-statistic is turned into a normal number by Hall's cubic
    (1992, "On the removal of skewness by transformation").

    Args:
        draws: Independent numbers whose mean is tested, shape (n,).
        expected: The expectation of the mean.
    """
    n, centred = len(draws), draws - draws.mean()
    spread = float(np.sqrt(np.mean(centred**2)))
    below = float(draws.mean()) - expected
    if n < 2 or spread == 0 or below >= 0:
        return 1.0
    skew, t = float(np.mean(centred**3)) / spread**3, below / spread
    turned = np.sqrt(n) * (t + skew * t**2 / 3 + skew**2 * t**3 / 27) + skew / (6 * np.sqrt(n))
    return NormalDist().cdf(float(max(turned, np.sqrt(n) * t)))


# SLOPE: the choice of an off-policy estimator's parameter without knowing the truth.


def slope_choice(values: Sequence[float], half_widths: Sequence[float]) -> int:
    """Return the last candidate whose value agrees with all before it.

    Su, Srinath and Krishnamurthy 2020 (Adaptive Estimator Selection for Off-Policy Evaluation) in
    the form of Tucker and Lee 2021: candidate i is kept while |v_i - v_j| <= r_i + (sqrt(6) - 1)
    r_j for all j < i.

    Args:
        values: The estimates of the candidates, the least biased and most variable first.
        half_widths: Half the width of each one's interval.
    """
    for i in range(1, len(values)):
        near = (
            abs(values[i] - values[j]) <= half_widths[i] + (np.sqrt(6) - 1) * half_widths[j]
            for j in range(i)
        )
        if not all(near):
            return i - 1
    return len(values) - 1


def tune_by_slope(
    candidates: Sequence[float], at: Callable[[float], EstimatorTerms]
) -> EstimatorTerms:
    """Return the parts at the candidate that SLOPE chooses, with normal intervals of 95 %.

    Args:
        candidates: Parameters, the least biased first.
        at: The function that gives the terms under one parameter.
    """
    parts = [at(candidate) for candidate in candidates]
    half_widths = [Z95 * (stderr(part) or 0.0) for part in parts]
    chosen = slope_choice([part.value for part in parts], half_widths)
    return replace(parts[chosen], learned=True)
