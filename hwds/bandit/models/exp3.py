"""Exp3."""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple

from numpy import ndarray

from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels.base import Arms, Kernel, Visit
from hwds.bandit.models.kernels.indices import (
    begin_with_zeros,
    chances_in_proportion,
    in_proportion,
)
from hwds.core.compiling import helper
from hwds.core.errors import ConfigError
from hwds.core.recipe import Level


class Exp3Settings(NamedTuple):
    """The kernel's arguments: the values of conversions, the share of exploration, and the range of
    the reward.
    """

    values: ndarray
    gamma: float
    low: float
    high: float


class Exp3(Policy):
    """Exponential weights on estimated rewards: Exp3, which assumes only the reward's range.

    Auer, Cesa-Bianchi, Freund and Schapire (2002): an arm's chance is (1 - gamma) times its share
    of the weights, plus gamma / K. A reward, as a share of the range, is divided by that chance.
    Outcomes that come late are divided by the chance of the weights as they are then.

    Attributes:
        gamma: The share of chance; null takes the one that is best for the horizon.
    """

    search_space: ClassVar = {"gamma": {"loguniform": [0.005, 0.5]}}

    gamma: Level | None = None

    def kernel(self, arms: Arms) -> Kernel:
        """Return the weights in compiled code; the state has their logs, and scratch.

        The range must be declared, and the horizon known unless gamma is given.
        """
        low, high = self.needs_range(arms)
        settings = Exp3Settings(arms.values, self.gamma or self._best(arms), low, high)
        return Kernel(settings, 2 * arms.count, begin_with_zeros, select, update, propensity)

    def _best(self, arms: Arms) -> float:
        """Return the share of exploration by corollary 3.2 of the paper."""
        if not arms.horizon:
            raise ConfigError(f"model.gamma: '{self.name}' needs it if the horizon is unknown.")
        return min(
            1.0, math.sqrt(arms.count * math.log(arms.count) / ((math.e - 1) * arms.horizon))
        )


@helper
def exp3_weights(gamma: float, state: ndarray, active: ndarray) -> int:
    """Write the probabilities to the scratch, and return where it begins."""
    count = active.size
    best, total, offered = -math.inf, 0.0, 0
    for arm in range(count):
        if active[arm]:
            best = max(best, state[arm])
            offered += 1
    for arm in range(count):
        state[count + arm] = math.exp(state[arm] - best) if active[arm] else 0.0
        total += state[count + arm]
    for arm in range(count):
        if active[arm]:
            state[count + arm] = (1.0 - gamma) * state[count + arm] / total + gamma / offered
    return count


def select(settings: Exp3Settings, state: ndarray, visit: Visit, stream: ndarray) -> int:
    """Return an arm drawn by the probabilities."""
    return in_proportion(
        state, exp3_weights(settings.gamma, state, visit.active), visit.active, stream
    )


def update(settings: Exp3Settings, state: ndarray, visit: Visit, arm: int, outcome: float) -> None:
    """Raise the weight by the inverse-propensity estimate of the arm's reward."""
    values, gamma = settings.values, settings.gamma
    count = values.size
    best, total = -math.inf, 0.0
    for other in range(count):
        best = max(best, state[other])
    for other in range(count):
        total += math.exp(state[other] - best)
    chance = (1.0 - gamma) * math.exp(state[arm] - best) / total + gamma / count
    reward = (outcome * values[arm] - settings.low) / (settings.high - settings.low)
    state[arm] += gamma * reward / (chance * count)


def propensity(settings: Exp3Settings, state: ndarray, visit: Visit, chances: ndarray) -> None:
    """Write the probabilities."""
    chances_in_proportion(
        state, exp3_weights(settings.gamma, state, visit.active), visit.active, chances
    )
