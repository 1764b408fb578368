"""The best so far, but for a share of the customers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np

from hwds.compiled import helper
from hwds.models.bandit import means
from hwds.models.bandit.base import Arms, Policy
from hwds.models.bandit.draws import uniform
from hwds.models.bandit.indices import any_arm, chances_of_highest, highest
from hwds.models.bandit.kernel import Kernel, Visit
from hwds.recipe import Level, Positive, Share


class Settings(NamedTuple):
    """What the kernel reads: the values of conversions, the share of chance, and the steps after which it falls as 1 / t."""

    values: np.ndarray
    epsilon: float
    pace: float


class EpsilonGreedy(Policy):
    """Any arm for a share of the customers, the one of the highest mean reward for the others.

    The share is fixed, or falls with time: min(1, pace K / (gap^2 t)) of Auer, Cesa-Bianchi and Fischer (2002).

    Attributes:
        epsilon: The share, where no gap is given.
        gap: How far the best arm is ahead at least, as a share of the reward's range; null for a share that stays.
        pace: The c of the paper; above 5 its bound on the regret is the best.

    Example:
        python -m hwds +experiment=bandit_regret model=bandit/epsilon_greedy model.epsilon=0.05
    """

    search_space: ClassVar[Mapping[str, Any]] = {"epsilon": {"loguniform": [0.005, 0.3]}}

    epsilon: Share = 0.1
    gap: Level | None = None
    pace: Positive = 5.0

    def kernel(self, arms: Arms) -> Kernel:
        """The mean in compiled code."""
        epsilon, pace = (self.epsilon, 0.0) if self.gap is None else (1.0, self.pace * arms.count / self.gap**2)
        settings = Settings(arms.values, epsilon, pace)
        return Kernel(settings, means.size(arms.count), means.init, select, means.update, propensity)


@helper
def share_of_chance(epsilon: float, pace: float, step: int) -> float:
    """The chance of a choice at random."""
    return min(1.0, pace / max(step, 1)) if pace > 0.0 else epsilon


def select(settings: Settings, state: np.ndarray, visit: Visit, stream: np.ndarray) -> int:
    """Any arm, or the highest mean; ties at random."""
    active = visit.active
    if uniform(stream) < share_of_chance(settings.epsilon, settings.pace, visit.step):
        return any_arm(active, stream)
    return highest(state, 2 * active.size, active, stream)


def propensity(settings: Settings, state: np.ndarray, visit: Visit, chances: np.ndarray) -> None:
    """A part for all alike, the rest for the highest mean."""
    active = visit.active
    epsilon = share_of_chance(settings.epsilon, settings.pace, visit.step)
    chances_of_highest(state, 2 * active.size, active, chances)
    for arm in range(active.size):
        chances[arm] = (1.0 - epsilon) * chances[arm] + epsilon * active[arm] / active.sum()
