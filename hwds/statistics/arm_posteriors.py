"""Posteriors of arms: which is best, what a wrong choice costs, how far two are apart; exact for conversions and prices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np

NODES = 400
"""Nodes of the quadrature: fourteen digits where the posteriors have one peak."""

NARROWER = 0.25
"""Arms whose deviation is a smaller share of the integrated one's get nodes of their own, for they are a step to it."""

TAIL = 1e-15


class Posterior(Protocol):
    """The posterior of one arm's mean."""

    @property
    def mean(self) -> float:
        """The posterior mean."""

    @property
    def deviation(self) -> float:
        """The posterior standard deviation."""

    def density(self, x: np.ndarray) -> np.ndarray:
        """Return the density at x."""

    def below(self, x: np.ndarray) -> np.ndarray:
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

    def density(self, x: np.ndarray) -> np.ndarray:
        """Return the density of price x theta."""
        from scipy.special import betaln, xlog1py, xlogy

        share = np.clip(x / self.price, 0.0, 1.0)
        with np.errstate(divide="ignore"):
            log = xlogy(self.a - 1, share) + xlog1py(self.b - 1, -share) - betaln(self.a, self.b)
        return np.where((x < 0) | (x > self.price), 0.0, np.exp(log) / self.price)

    def below(self, x: np.ndarray) -> np.ndarray:
        """Return the distribution function of price x theta."""
        from scipy.special import betainc

        return np.asarray(betainc(self.a, self.b, np.clip(x / self.price, 0.0, 1.0)))

    def quantile(self, share: float) -> float:
        """Return the quantile of price x theta."""
        from scipy.special import betaincinv

        return self.price * float(betaincinv(self.a, self.b, share))


@dataclass(frozen=True, slots=True)
class Normal:
    """A mean of many units with a flat prior: normal around what was seen."""

    mean: float
    deviation: float

    def density(self, x: np.ndarray) -> np.ndarray:
        """Return the normal density."""
        z = (x - self.mean) / self.deviation
        return np.asarray(np.exp(-(z**2) / 2) / (self.deviation * np.sqrt(2 * np.pi)))

    def below(self, x: np.ndarray) -> np.ndarray:
        """Return the normal distribution function."""
        from scipy.special import ndtr

        return np.asarray(ndtr((x - self.mean) / self.deviation))

    def quantile(self, share: float) -> float:
        """Return the normal quantile."""
        from scipy.special import ndtri

        return float(self.mean + self.deviation * ndtri(share))


def probability_best(arms: Sequence[Posterior]) -> list[float]:
    """Return the probability of each arm to have the highest mean: the integral of its density where all others are below."""
    return [float(_best(arms, i)[0]) for i in range(len(arms))]


def expected_loss(arms: Sequence[Posterior]) -> list[float]:
    """Return the expected loss of choosing each arm: the expected highest mean less the arm's own (Stucchio 2015)."""
    highest = sum(float(_best(arms, i)[1]) for i in range(len(arms)))
    return [highest - arm.mean for arm in arms]


def difference_bounds(own: Posterior, other: Posterior, level: float) -> tuple[float, float]:
    """Return the equal-tailed credible interval of the difference of two means."""
    from scipy.optimize import brentq

    if own.deviation < other.deviation:  # the narrower one is a step to the other's nodes
        low, high = difference_bounds(other, own, level)
        return -high, -low
    x, mass = _grid(other)
    reach = 10 * float(np.hypot(own.deviation, other.deviation))
    middle = own.mean - other.mean

    def above(shift: float, share: float) -> float:
        return float(mass @ own.below(x + shift)) - share

    tails = ((1 - level) / 2, (1 + level) / 2)
    low, high = (brentq(above, middle - reach, middle + reach, args=(share,), xtol=1e-12) for share in tails)
    return float(low), float(high)


def ratio_bounds(own: Posterior, other: Posterior, level: float) -> tuple[float, float] | None:
    """Return the equal-tailed credible interval of the ratio of two means; None where the one below may not be above zero."""
    if not other.quantile(TAIL) > 0:
        return None
    tails = ((1 - level) / 2, (1 + level) / 2)
    if own.quantile(TAIL) > 0 and own.deviation * other.mean < other.deviation * own.mean:  # a step to the other's nodes
        low, high = _ratio_quantiles(other, own, tails)
        return 1 / high, 1 / low
    return _ratio_quantiles(own, other, tails)


def _ratio_quantiles(above: Posterior, below: Posterior, shares: tuple[float, float]) -> tuple[float, float]:
    """Return two quantiles of a ratio, whose mean below is positive."""
    from scipy.optimize import brentq

    x, mass = _grid(below)

    def beyond(ratio: float, share: float) -> float:
        return float(mass @ above.below(ratio * x)) - share

    middle, reach = above.mean / below.mean, 10 * (above.deviation + below.deviation) / below.mean
    while beyond(middle - reach, shares[0]) > 0 or beyond(middle + reach, shares[1]) < 0:
        reach *= 2
    low, high = (brentq(beyond, middle - reach, middle + reach, args=(share,), xtol=1e-12) for share in shares)
    return float(low), float(high)


def _best(arms: Sequence[Posterior], i: int) -> np.ndarray:
    """Return the probability that arm i is the highest, and its mean over that event."""
    others = (*arms[:i], *arms[i + 1 :])
    x, mass = _grid(arms[i], [other for other in others if other.deviation < NARROWER * arms[i].deviation])
    for other in others:
        mass = mass * other.below(x)
    return np.array([mass.sum(), mass @ x])


def _grid(arm: Posterior, narrow: Sequence[Posterior] = ()) -> tuple[np.ndarray, np.ndarray]:
    """Return points over all but a part in 10^15 of a posterior, and their masses, which sum to one.

    Each stretch between the ends of the narrow ones has all nodes.
    """
    at, weight = _gauss()
    low, high = arm.quantile(TAIL), arm.quantile(1 - TAIL)
    ends = [each.quantile(share) for each in narrow for share in (TAIL, 1 - TAIL)]
    cuts = np.unique(np.clip([low, *ends, high], low, high))
    x = (cuts[:-1, None] + np.diff(cuts)[:, None] * (at + 1) / 2).ravel()
    mass = (np.diff(cuts)[:, None] * weight).ravel() * arm.density(x)
    return x, mass / mass.sum()


@cache
def _gauss() -> tuple[np.ndarray, np.ndarray]:
    from scipy.special import roots_legendre

    at, weight = roots_legendre(NODES)
    return at, weight
