"""Every arm alike."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwds.models.bandit.base import Arms, Policy
from hwds.models.bandit.indices import any_arm
from hwds.models.bandit.kernel import Kernel


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


def select(
    settings: Settings,
    state: np.ndarray,
    step: int,
    segment: int,
    context: np.ndarray,
    active: np.ndarray,
    stream: np.ndarray,
) -> int:
    """One of the arms that may be offered."""
    return any_arm(active, stream)


def update(
    settings: Settings, state: np.ndarray, step: int, segment: int, context: np.ndarray, arm: int, outcome: float
) -> None:
    """Nothing."""


def propensity(
    settings: Settings,
    state: np.ndarray,
    step: int,
    segment: int,
    context: np.ndarray,
    active: np.ndarray,
    chances: np.ndarray,
) -> None:
    """The same for all."""
    for arm in range(settings.arms):
        chances[arm] = active[arm] / active.sum()
