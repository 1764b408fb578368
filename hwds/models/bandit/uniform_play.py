"""Every arm alike."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwds.models.bandit.base import Arms, Policy
from hwds.models.bandit.indices import any_arm
from hwds.models.bandit.kernel import Kernel, Visit


class Settings(NamedTuple):
    """What the kernel reads: the number of arms."""

    arms: int


class UniformPlay(Policy):
    """Every arm with the same chance for ever: what a policy must beat.

    Example:
        python -m hwds +experiment=bandit_regret model=bandit/uniform_play
    """

    def kernel(self, arms: Arms) -> Kernel:
        """It keeps nothing."""
        return Kernel(Settings(arms.count), 1, init, select, update, propensity)


def init(settings: Settings, state: np.ndarray) -> None:
    """Nothing."""


def select(settings: Settings, state: np.ndarray, visit: Visit, stream: np.ndarray) -> int:
    """One of the arms that may be offered."""
    return any_arm(visit.active, stream)


def update(settings: Settings, state: np.ndarray, visit: Visit, arm: int, outcome: float) -> None:
    """Nothing."""


def propensity(settings: Settings, state: np.ndarray, visit: Visit, chances: np.ndarray) -> None:
    """The same for all."""
    active = visit.active
    for arm in range(settings.arms):
        chances[arm] = active[arm] / active.sum()
