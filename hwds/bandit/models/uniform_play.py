"""Uniform play: every arm with the same probability."""

from __future__ import annotations

from typing import NamedTuple

from numpy import ndarray

from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels.base import Arms, Kernel, Visit
from hwds.bandit.models.kernels.indices import any_arm, begin_with_zeros


class UniformPlaySettings(NamedTuple):
    """The kernel's arguments: the number of arms."""

    arms: int


class UniformPlay(Policy):
    """Every arm with the same chance for ever: what a policy must beat."""

    def kernel(self, arms: Arms) -> Kernel:
        """Return a kernel without state."""
        return Kernel(
            UniformPlaySettings(arms.count), 1, begin_with_zeros, select, update, propensity
        )


def select(settings: UniformPlaySettings, state: ndarray, visit: Visit, stream: ndarray) -> int:
    """Return one of the arms that may be offered."""
    return any_arm(visit.active, stream)


def update(
    settings: UniformPlaySettings, state: ndarray, visit: Visit, arm: int, outcome: float
) -> None:
    """Learn nothing."""


def propensity(
    settings: UniformPlaySettings, state: ndarray, visit: Visit, chances: ndarray
) -> None:
    """Write the same probability for all."""
    active = visit.active
    for arm in range(settings.arms):
        chances[arm] = active[arm] / active.sum()
