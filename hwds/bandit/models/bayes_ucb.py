"""Bayes-UCB."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from hwds.bandit.models.base import Exploration, Policy
from hwds.bandit.models.kernels.base import Arms, Kernel, Visit
from hwds.bandit.models.kernels.draws import choose_tied
from hwds.bandit.models.kernels.indices import beta_upper, chances_of_highest, next_offered
from hwds.bandit.models.thompson import Prior
from hwds.core.compiling import helper
from hwds.core.errors import ConfigError

LOG_SLACK = 1e-9
"""The part of a log probability that may be rounding: an arm so near the limit is solved for, so
that equals are found.
"""


class BayesUCBSettings(NamedTuple):
    """The kernel's arguments; for an arm that earns less than nothing, `wins` are refusals.

    Attributes:
        values: What one conversion of each arm earns.
        alpha: Wins of the prior of each arm.
        beta: Losses of the prior.
        divisor: (ln T)^c, by which the probability left above the quantile is divided.
    """

    values: ndarray
    alpha: ndarray
    beta: ndarray
    divisor: float


MOST_POWER = 600.0
"""The logarithm of the largest divisor of a quantile's tail; beyond 709 it is no number."""


class BayesUCB(Policy):
    """An upper quantile of an arm's revenue per customer, by a Beta posterior of its conversion:
    Bayes-UCB.

    Kaufmann, Cappe and Garivier (2012): the quantile at 1 - 1 / (t (ln T)^exploration), times the
    price or margin. Each arm is tried once before.

    Attributes:
        prior: Conversions and refusals of the Beta prior of each arm; (1, 1) is uniform.
        exploration: The c of the paper, 0 in its experiments, 5 in its proof; above 0 the horizon T
            must be known.
    """

    prior: Prior = (1.0, 1.0)
    exploration: Exploration = 0.0

    def kernel(self, arms: Arms) -> Kernel:
        """Return the quantiles in compiled code, by screening."""
        if self.exploration and not arms.horizon:
            raise ConfigError(
                f"model.exploration: must be 0 where nobody knows the horizon, got "
                f"{self.exploration:g}."
            )
        growth = max(1.0, math.log(max(arms.horizon, 1)))
        if self.exploration * math.log(growth) > MOST_POWER:
            raise ConfigError(
                f"model.exploration: is too much for {arms.horizon:,} steps, got "
                f"{self.exploration:g}."
            )
        below = arms.values < 0
        alpha, beta = (np.where(below, self.prior[1 - i], self.prior[i]) for i in (0, 1))
        return Kernel(
            BayesUCBSettings(arms.values, alpha, beta, growth**self.exploration),
            5 * arms.count + 1,
            init,
            select,
            update,
            propensity,
        )


def init(settings: BayesUCBSettings, state: ndarray) -> None:
    """Begin with pulls, wins and losses with the prior's, the logs of their beta functions.

    Scratch; the last arm.
    """
    alpha, beta = settings.alpha, settings.beta
    count = alpha.size
    for arm in range(count):
        state[count + arm], state[2 * count + arm] = alpha[arm], beta[arm]


def update(
    settings: BayesUCBSettings, state: ndarray, visit: Visit, arm: int, outcome: float
) -> None:
    """Count the outcome."""
    values = settings.values
    count = values.size
    state[arm] += 1.0
    state[(1 if (outcome > 0) == (values[arm] >= 0.0) else 2) * count + arm] += 1.0
    a, b = state[count + arm], state[2 * count + arm]
    state[3 * count + arm] = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    state[5 * count] = arm


@helper
def bayes_index(values: ndarray, state: ndarray, arm: int, tail: float) -> float:
    """Return the quantile of what an arm earns, infinite where it was never pulled."""
    count = values.size
    if state[arm] == 0.0:
        return math.inf
    quantile = 0.0
    if tail < 1.0:
        quantile = beta_upper(
            state[count + arm], state[2 * count + arm], state[3 * count + arm], tail
        )
    return values[arm] * quantile if values[arm] >= 0.0 else values[arm] * (1.0 - quantile)


@helper
def stays_below(values: ndarray, state: ndarray, arm: int, best: float, log_tail: float) -> bool:
    """Return whether a bound shows that an arm's quantile is below an index.

    The log density is concave, so the tail is below that of the exponential that touches it.
    """
    count = values.size
    value, a, b = values[arm], state[count + arm], state[2 * count + arm]
    if state[arm] == 0.0 or best <= min(value, 0.0):
        return False
    if best >= max(value, 0.0):
        return best > max(value, 0.0)
    x = best / value if value > 0.0 else 1.0 - best / value
    if a < 1.0 or b < 1.0 or not 0.0 < x < 1.0:
        return False
    slope = (b - 1.0) / (1.0 - x) - (a - 1.0) / x
    if slope <= 0.0:
        return False
    log_density = (a - 1.0) * math.log(x) + (b - 1.0) * math.log1p(-x) - state[3 * count + arm]
    return log_density - math.log(slope) < log_tail - LOG_SLACK


def select(settings: BayesUCBSettings, state: ndarray, visit: Visit, stream: ndarray) -> int:
    """Return the highest quantile; ties at random. The arm of the last pull is solved for first."""
    values, active = settings.values, visit.active
    count = values.size
    tail = 1.0 / (max(visit.step, 1) * settings.divisor)
    log_tail = math.log(tail)
    first = next_offered(active, int(state[5 * count]))
    best, chosen, ties = bayes_index(values, state, first, tail), first, 1
    for arm in range(count):
        if arm == first or not active[arm] or stays_below(values, state, arm, best, log_tail):
            continue
        own = bayes_index(values, state, arm, tail)
        if own > best:
            best, chosen, ties = own, arm, 1
        elif own == best:
            ties += 1
            if choose_tied(stream, ties):
                chosen = arm
    return chosen


def propensity(settings: BayesUCBSettings, state: ndarray, visit: Visit, chances: ndarray) -> None:
    """Share the probability among the arms of the highest index."""
    values = settings.values
    count = values.size
    tail = 1.0 / (max(visit.step, 1) * settings.divisor)
    for arm in range(count):
        state[4 * count + arm] = bayes_index(values, state, arm, tail)
    chances_of_highest(state, 4 * count, visit.active, chances)
