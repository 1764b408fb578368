"""Exp3."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np

from hwds.compiled import helper
from hwds.errors import ConfigError
from hwds.models.bandit.base import Arms, Policy
from hwds.models.bandit.indices import chances_in_proportion, in_proportion
from hwds.models.bandit.kernel import Kernel, Visit
from hwds.recipe import Level


class Settings(NamedTuple):
    """What the kernel reads: the values of conversions, the share of chance, and the range of the reward."""

    values: np.ndarray
    gamma: float
    low: float
    high: float


class Exp3(Policy):
    """Exponential weights on what an arm would have earned: Exp3, which trusts in nothing but the reward's range.

    Auer, Cesa-Bianchi, Freund and Schapire (2002): the chance of an arm is (1 - gamma) times its share of the weights plus
    gamma / K; a reward, as a share of the range, is divided by its chance. Outcomes that come late are divided by the chance
    of the weights as they are then.

    Attributes:
        gamma: The share of chance; null takes the one that is best for the horizon.

    Example:
        python -m hwds +experiment=bandit_regret model=bandit/exp3
    """

    search_space: ClassVar[Mapping[str, Any]] = {"gamma": {"loguniform": [0.005, 0.5]}}

    gamma: Level | None = None

    def kernel(self, arms: Arms) -> Kernel:
        """The weights in compiled code; the range must be declared, and the horizon known unless gamma is given."""
        low, high = self.needs_range(arms)
        settings = Settings(arms.values, self.gamma or self._best(arms), low, high)
        return Kernel(settings, 2 * arms.count, init, select, update, propensity)

    def _best(self, arms: Arms) -> float:
        """Corollary 3.2 of the paper."""
        if not arms.horizon:
            raise ConfigError(f"model.gamma: '{self.name}' needs it where nobody knows the horizon.")
        return min(1.0, math.sqrt(arms.count * math.log(arms.count) / ((math.e - 1) * arms.horizon)))


@helper
def weigh(gamma: float, state: np.ndarray, active: np.ndarray) -> int:
    """Fill the scratch with chances; where it begins."""
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


def init(settings: Settings, state: np.ndarray) -> None:
    """The logs of the weights: all zero."""


def select(settings: Settings, state: np.ndarray, visit: Visit, stream: np.ndarray) -> int:
    """A draw by the chances."""
    return in_proportion(state, weigh(settings.gamma, state, visit.active), visit.active, stream)


def update(settings: Settings, state: np.ndarray, visit: Visit, arm: int, outcome: float) -> None:
    """The weight grows by what the reward says of the arm's every customer."""
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


def propensity(settings: Settings, state: np.ndarray, visit: Visit, chances: np.ndarray) -> None:
    """The chances."""
    chances_in_proportion(state, weigh(settings.gamma, state, visit.active), visit.active, chances)
