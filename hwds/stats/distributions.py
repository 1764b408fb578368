"""Distributions: log odds, survival curves, sums of dependent parts, posteriors of arms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import Protocol

import numpy as np
from numpy import ndarray

# Log odds, and the probabilities that they say.

EDGE = 1e-7
"""Probabilities are held this far from 0 and 1, where their logarithms are infinite."""


def sigmoid(odds: ndarray) -> ndarray:
    """Return the probability of log odds."""
    return 0.5 * (1 + np.tanh(0.5 * odds))


def log_odds(probability: ndarray, edge: float = EDGE) -> ndarray:
    """Return the log odds of probabilities, which are held `edge` from 0 and 1."""
    clipped = np.clip(probability, edge, 1 - edge)
    return np.log(clipped) - np.log1p(-clipped)


# Weighted Kaplan-Meier curves, for lives and for errors of predicted lives.


def kaplan_meier(
    values: ndarray, events: ndarray, weights: ndarray, *, events_first: bool = True
) -> tuple[ndarray, ndarray]:
    """Return the values at which the share that is above falls, rising, and that share after each
    (Kaplan and Meier 1958).

    Args:
        values: Seen lives, or errors; shape (n,).
        events: Whether a value is the end, or the end lies beyond it.
        weights: The weight of each value, shape (n,).
        events_first: Whether of one value events come before what is censored there, as failures
            do; false for a curve of censoring, where machines that fail at a time are no longer at
            risk of being censored at it.

    Returns:
        Values and shares, shapes (d,). Where the largest value is no event the share does not fall
        to 0.
    """
    order = np.lexsort((events != events_first, values))
    sorted_values, happened, weight = values[order], events[order], weights[order]
    at_risk = np.cumsum(weight[::-1])[::-1]
    falls = np.where(happened, 1 - weight / np.maximum(at_risk, 1e-300), 1.0)
    share = np.cumprod(np.maximum(falls, 0.0))
    return sorted_values[happened], share[happened]


def quantiles_of(values: ndarray, share: ndarray, levels: ndarray, beyond: float) -> ndarray:
    """Return the least value at or below which a share `level` of all lies, shape (levels,).

    Args:
        values: The values of `kaplan_meier`, rising.
        share: The share above each value.
        levels: Levels between 0 and 1.
        beyond: The value for levels that the curve does not reach.
    """
    if not len(values):
        return np.full(len(levels), beyond)
    place = np.searchsorted(-share, -(1 - levels) - 1e-12)
    return np.where(place < len(values), values[np.minimum(place, len(values) - 1)], beyond)


# The law of a sum from the laws of its parts: quantile functions, and ranks that say how the
# parts move together.
# Schaake shuffle: Clark, Gangopadhyay, Hay, Rajagopalan and Wilby (2004), "The Schaake shuffle:
# a method for reconstructing space-time variability in forecasted precipitation and temperature
# fields", Journal of Hydrometeorology 5. Each part keeps its own law; of n draws the k-th
# smallest of a part goes where the k-th smallest error stood among n past vectors of errors.

NORMAL = NormalDist()


def scores_of_levels(levels: ndarray) -> ndarray:
    """Return levels as normal scores."""
    return np.array([NORMAL.inv_cdf(float(level)) for level in levels])


def middle_scores(n: int) -> ndarray:
    """Return the normal scores of n equally likely draws: the middles of n equal parts of the unit
    interval, rising.
    """
    return scores_of_levels((np.arange(n) + 0.5) / n)


def interpolate_quantiles(levels: ndarray, values: ndarray, scores: ndarray) -> ndarray:
    """Return a quantile function at other levels, linear in the normal score, and extrapolated
    beyond the outermost.

    So it is exact for a normal law, and its tails are normal with the slope of the two outermost
    levels. (Lines over the level itself would end the law at its outermost quantile.)

    Args:
        levels: The known levels, rising, shape (levels,).
        values: Their quantiles, not falling, shape (levels,).
        scores: Normal scores of the levels to tell, shape (n,).
    """
    normal_scores = scores_of_levels(levels)
    if len(normal_scores) == 1:
        return np.full(len(scores), values[0])
    inside = np.interp(scores, normal_scores, values)
    low = (values[1] - values[0]) / (normal_scores[1] - normal_scores[0])
    high = (values[-1] - values[-2]) / (normal_scores[-1] - normal_scores[-2])
    quantiles: ndarray = (
        inside
        + low * np.minimum(scores - normal_scores[0], 0)
        + high * np.maximum(scores - normal_scores[-1], 0)
    )
    return quantiles


def ranks_of(vectors: ndarray, rng: np.random.Generator) -> ndarray:
    """Return the rank of each of n vectors in each coordinate, 0 to n - 1, ties at random.

    Shape (n, coordinates...).
    """
    order = np.lexsort((rng.random(vectors.shape), vectors), axis=0)
    ranks = np.empty(order.shape, np.int64)
    places = np.arange(len(vectors)).reshape(-1, *[1] * (vectors.ndim - 1))
    np.put_along_axis(ranks, order, np.broadcast_to(places, order.shape), 0)
    return ranks


def coupled_sum(draws: ndarray, ranks: ndarray) -> ndarray:
    """Return the sums of parts, each part's n draws in the order of its ranks.

    Args:
        draws: The draws of each part, rising, shape (parts, n).
        ranks: The ranks, shape (n, parts).

    Returns:
        Shape (n,).
    """
    total: ndarray = np.take_along_axis(draws, ranks.T, 1).sum(0)
    return total


# Posteriors of arms: which is best, what a wrong choice costs, how far two are apart; exact for
# conversions and prices.

NODES = 400
"""Nodes of the quadrature: fourteen digits where the posteriors have one peak."""

NARROW_SHARE = 0.25
"""Arms whose deviation is a smaller share of the integrated one's get nodes of their own, for they
are a step to it.
"""

TAIL_MASS = 1e-15


class Posterior(Protocol):
    """The posterior of one arm's mean."""

    @property
    def mean(self) -> float:
        """The posterior mean."""

    @property
    def deviation(self) -> float:
        """The posterior standard deviation."""

    def density(self, x: ndarray) -> ndarray:
        """Return the density at x."""

    def cdf(self, x: ndarray) -> ndarray:
        """Return the distribution function at x."""

    def quantile(self, share: float) -> float:
        """Return the quantile of a share."""


@dataclass(frozen=True, slots=True)
class ScaledBeta:
    """A conversion with a Beta posterior, times a price: conjugate to successes and failures."""

    a: float
    b: float
    price: float = 1.0

    @property
    def mean(self) -> float:
        """Price times a / (a + b)."""
        return self.price * self.a / (self.a + self.b)

    @property
    def deviation(self) -> float:
        """The root of price^2 ab / ((a + b)^2 (a + b + 1))."""
        whole = self.a + self.b
        return self.price * float(np.sqrt(self.a * self.b / (whole + 1))) / whole

    def density(self, x: ndarray) -> ndarray:
        """Return the density of price x theta."""
        from scipy.special import betaln, xlog1py, xlogy

        share = np.clip(x / self.price, 0.0, 1.0)
        with np.errstate(divide="ignore"):
            log = xlogy(self.a - 1, share) + xlog1py(self.b - 1, -share) - betaln(self.a, self.b)
        return np.where((x < 0) | (x > self.price), 0.0, np.exp(log) / self.price)

    def cdf(self, x: ndarray) -> ndarray:
        """Return the distribution function of price x theta."""
        from scipy.special import betainc

        return np.asarray(betainc(self.a, self.b, np.clip(x / self.price, 0.0, 1.0)))

    def quantile(self, share: float) -> float:
        """Return the quantile of price x theta."""
        from scipy.special import betaincinv

        return self.price * float(betaincinv(self.a, self.b, share))


@dataclass(frozen=True, slots=True)
class NormalPosterior:
    """A mean of many units with a flat prior: normal around what was seen."""

    mean: float
    deviation: float

    def density(self, x: ndarray) -> ndarray:
        """Return the normal density."""
        z = (x - self.mean) / self.deviation
        return np.asarray(np.exp(-(z**2) / 2) / (self.deviation * np.sqrt(2 * np.pi)))

    def cdf(self, x: ndarray) -> ndarray:
        """Return the normal distribution function."""
        from scipy.special import ndtr

        return np.asarray(ndtr((x - self.mean) / self.deviation))

    def quantile(self, share: float) -> float:
        """Return the normal quantile."""
        from scipy.special import ndtri

        return float(self.mean + self.deviation * ndtri(share))


def probability_best(arms: Sequence[Posterior]) -> list[float]:
    """Return the probability of each arm to have the highest mean: the integral of its density
    where all others are below.
    """
    return [float(_best(arms, i)[0]) for i in range(len(arms))]


def expected_loss(arms: Sequence[Posterior]) -> list[float]:
    """Return the expected loss of choosing each arm: the expected highest mean less the arm's own
    (Stucchio 2015).
    """
    highest = sum(float(_best(arms, i)[1]) for i in range(len(arms)))
    return [highest - arm.mean for arm in arms]


def difference_bounds(one: Posterior, other: Posterior, level: float) -> tuple[float, float]:
    """Return the equal-tailed credible interval of the difference of two means."""
    from scipy.optimize import brentq

    if one.deviation < other.deviation:  # the narrower one is a step to the other's nodes
        low, high = difference_bounds(other, one, level)
        return -high, -low
    x, mass = _mass_points(other)
    reach = 10 * float(np.hypot(one.deviation, other.deviation))
    middle = one.mean - other.mean

    def above(shift: float, share: float) -> float:
        return float(mass @ one.cdf(x + shift)) - share

    tails = ((1 - level) / 2, (1 + level) / 2)
    low, high = (
        brentq(above, middle - reach, middle + reach, args=(share,), xtol=1e-12) for share in tails
    )
    return float(low), float(high)


def ratio_bounds(one: Posterior, other: Posterior, level: float) -> tuple[float, float] | None:
    """Return the equal-tailed credible interval of the ratio of two means.

    None where the one below may not be above zero.
    """
    if not other.quantile(TAIL_MASS) > 0:
        return None
    tails = ((1 - level) / 2, (1 + level) / 2)
    if (
        one.quantile(TAIL_MASS) > 0 and one.deviation * other.mean < other.deviation * one.mean
    ):  # a step to the other's nodes
        low, high = _ratio_quantiles(other, one, tails)
        return 1 / high, 1 / low
    return _ratio_quantiles(one, other, tails)


def _ratio_quantiles(
    above: Posterior, below: Posterior, shares: tuple[float, float]
) -> tuple[float, float]:
    """Return two quantiles of a ratio, whose mean below is positive."""
    from scipy.optimize import brentq

    x, mass = _mass_points(below)

    def beyond(ratio: float, share: float) -> float:
        return float(mass @ above.cdf(ratio * x)) - share

    middle, reach = above.mean / below.mean, 10 * (above.deviation + below.deviation) / below.mean
    # a root finder needs ends on both sides of the quantile
    while beyond(middle - reach, shares[0]) > 0 or beyond(middle + reach, shares[1]) < 0:
        reach *= 2
    low, high = (
        brentq(beyond, middle - reach, middle + reach, args=(share,), xtol=1e-12)
        for share in shares
    )
    return float(low), float(high)


def _best(arms: Sequence[Posterior], i: int) -> ndarray:
    """Return the probability that arm i is the highest, and its mean over that event."""
    others = (*arms[:i], *arms[i + 1 :])
    x, mass = _mass_points(
        arms[i], [other for other in others if other.deviation < NARROW_SHARE * arms[i].deviation]
    )
    for other in others:
        mass = mass * other.cdf(x)
    return np.array([mass.sum(), mass @ x])


def _mass_points(arm: Posterior, narrow: Sequence[Posterior] = ()) -> tuple[ndarray, ndarray]:
    """Return points over all but a part in 10^15 of a posterior, and their masses, which sum to
    one.

    Each stretch between the ends of the narrow ones has all nodes.
    """
    at, weight = _gauss()
    low, high = arm.quantile(TAIL_MASS), arm.quantile(1 - TAIL_MASS)
    ends = [each.quantile(share) for each in narrow for share in (TAIL_MASS, 1 - TAIL_MASS)]
    # a narrow posterior is a step inside the range: nodes on both of its sides and on it
    cuts = np.unique(np.clip([low, *ends, high], low, high))
    x = (cuts[:-1, None] + np.diff(cuts)[:, None] * (at + 1) / 2).ravel()
    mass = (np.diff(cuts)[:, None] * weight).ravel() * arm.density(x)
    return x, mass / mass.sum()


@cache
def _gauss() -> tuple[ndarray, ndarray]:
    from scipy.special import roots_legendre

    at, weight = roots_legendre(NODES)
    return at, weight
