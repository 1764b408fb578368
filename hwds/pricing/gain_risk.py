"""The risk that one arm earns no more than another: by posteriors, or by a bound that survives peeking and adaptive play."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwds.statistics.arm_posteriors import Posterior, probability_best


class Counts(NamedTuple):
    """The counts of an arm: customers who bought and who did not, and what a purchase earns."""

    successes: int
    failures: int
    earns: float

    @property
    def mean(self) -> float:
        """The earnings per customer."""
        return self.earns * self.successes / max(self.successes + self.failures, 1)


def posterior_risk(own: Posterior, other: Posterior) -> float:
    """Return the probability that the other arm's mean is the higher one."""
    return probability_best([other, own])[0]


def always_valid_risk(own: Counts, other: Counts) -> float:
    """Return a p-value of "the arm earns no more than the other", valid at any time and for any allocation of customers.

    For each arm the likelihood averaged over a uniform prior, over the likelihood of its true conversion, is a martingale of
    mean 1 under any rule of choice and stopping; so is the product of the two. By Ville's inequality the chance that it ever
    reaches 1/a is a; the p-value is the inverse of its least value where the arm does not earn more (Robbins 1970, Statistical
    methods related to the law of the iterated logarithm; Kaufmann and Koolen 2021, Mixture martingales revisited).
    """
    if own.mean <= other.mean:
        return 1.0
    if other.earns <= 0:  # a sale of the other never earns, and what was seen excludes that none of the two ever sells
        return 0.0 if own.earns >= 0 else 1.0
    conversion = _conversion_without_gain(own, other)
    if conversion <= 0:
        return 1.0
    evidence = _mixture(own, conversion) + _mixture(other, min(own.earns * conversion / other.earns, 1.0))
    return float(np.exp(-max(evidence, 0.0)))


def _conversion_without_gain(own: Counts, other: Counts) -> float:
    """Return the likeliest conversion of the arm where both earn the same: the smaller root of the score, a quadratic."""
    ratio = own.earns / other.earns
    bought = own.successes + other.successes
    square = ratio * (bought + own.failures + other.failures)
    linear = bought * (1 + ratio) + other.failures * ratio + own.failures
    root = np.sqrt(max(linear**2 - 4 * square * bought, 0.0))
    return float(2 * bought / (linear + root)) if linear > 0 else 0.0


def _mixture(arm: Counts, conversion: float) -> float:
    """Return the log of the likelihood averaged over a uniform prior, over that of one conversion."""
    from scipy.special import betaln, xlog1py, xlogy

    at_conversion = xlogy(arm.successes, conversion) + xlog1py(arm.failures, -conversion)
    return float(betaln(1 + arm.successes, 1 + arm.failures) - at_conversion)
