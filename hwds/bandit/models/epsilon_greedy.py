"""The best so far, but for a share of the customers."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from numpy import ndarray

from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels.base import Arms, Kernel, Visit
from hwds.bandit.models.kernels.draws import uniform
from hwds.bandit.models.kernels.indices import (
    any_arm,
    chances_of_highest,
    highest,
    means_kernel,
)
from hwds.core.compiling import helper
from hwds.core.recipe import Level, Positive, UnitInterval


class EpsilonGreedySettings(NamedTuple):
    """The kernel's arguments: the values of conversions, the share of exploration, and the steps
    until it falls as 1 / t.
    """

    values: ndarray
    epsilon: float
    pace: float


class EpsilonGreedy(Policy):
    """Any arm for a share of the customers, the one of the highest mean reward for the others.

    The share is fixed, or falls with time: min(1, pace K / (gap^2 t)) of Auer, Cesa-Bianchi and
    Fischer (2002).

    Attributes:
        epsilon: The share, where no gap is given; 0 never explores (`greedy`), so it often stays
            with a wrong arm.
        gap: How far the best arm is ahead at least, as a share of the reward's range; null for a
            share that stays.
        pace: The c of the paper; above 5 its bound on the regret is the best.

    Example:
        python -m hwds +experiment=bandit_regret model=bandit/epsilon_greedy model.epsilon=0.05
    """

    search_space: ClassVar = {"epsilon": {"loguniform": [0.005, 0.3]}}

    epsilon: UnitInterval = 0.1
    gap: Level | None = None
    pace: Positive = 5.0

    def kernel(self, arms: Arms) -> Kernel:
        """Return the mean in compiled code."""
        epsilon, pace = (
            (self.epsilon, 0.0) if self.gap is None else (1.0, self.pace * arms.count / self.gap**2)
        )
        settings = EpsilonGreedySettings(arms.values, epsilon, pace)
        return means_kernel(settings, arms, select, propensity)


@helper
def share_of_chance(epsilon: float, pace: float, step: int) -> float:
    """Return the chance of a choice at random."""
    return min(1.0, pace / max(step, 1)) if pace > 0.0 else epsilon


def select(settings: EpsilonGreedySettings, state: ndarray, visit: Visit, stream: ndarray) -> int:
    """Return any arm, or the highest mean; ties at random."""
    active = visit.active
    share = share_of_chance(settings.epsilon, settings.pace, visit.step)
    if share > 0.0 and uniform(stream) < share:
        return any_arm(active, stream)
    return highest(state, 2 * active.size, active, stream)


def propensity(
    settings: EpsilonGreedySettings, state: ndarray, visit: Visit, chances: ndarray
) -> None:
    """Write one part for all arms alike, the rest for the highest mean."""
    active = visit.active
    epsilon = share_of_chance(settings.epsilon, settings.pace, visit.step)
    chances_of_highest(state, 2 * active.size, active, chances)
    for arm in range(active.size):
        chances[arm] = (1.0 - epsilon) * chances[arm] + epsilon * active[arm] / active.sum()
