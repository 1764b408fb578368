"""MOSS."""

from __future__ import annotations

import math
from typing import NamedTuple

from numpy import ndarray

from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels.base import Arms, Kernel, Visit
from hwds.bandit.models.kernels.indices import (
    chances_of_highest,
    highest,
    means_kernel,
)
from hwds.core.compiling import helper
from hwds.core.errors import ConfigError


class MOSSSettings(NamedTuple):
    """The kernel's arguments: the values of conversions, the range of the reward, and the steps
    that fall to one arm.
    """

    values: ndarray
    width: float
    steps: float


class MOSS(Policy):
    """The mean reward plus a bonus that ends when an arm has had its part of the horizon: MOSS.

    Audibert and Bubeck (2009): each arm once, then the highest of mean + range sqrt(max(ln(T / (K
    pulls)), 0) / pulls). Least regret in the worst case; the horizon T must be known.
    """

    def kernel(self, arms: Arms) -> Kernel:
        """Return the index in compiled code.

        The range of the reward must be declared, and the horizon known.
        """
        low, high = self.needs_range(arms)
        if not arms.horizon:
            raise ConfigError(f"model: '{self.name}' needs the horizon, which is unknown here.")
        settings = MOSSSettings(arms.values, high - low, arms.horizon / arms.count)
        return means_kernel(settings, arms, select, propensity)


@helper
def moss_indices(width: float, steps: float, state: ndarray, count: int) -> int:
    """Fill the scratch, and return where it begins."""
    for arm in range(count):
        pulls = max(state[arm], 1.0)
        bonus = math.sqrt(math.log(steps / pulls) / pulls) if pulls < steps else 0.0
        state[3 * count + arm] = state[2 * count + arm] + width * bonus
    return 3 * count


def select(settings: MOSSSettings, state: ndarray, visit: Visit, stream: ndarray) -> int:
    """Return the highest index; ties at random."""
    active = visit.active
    return highest(
        state, moss_indices(settings.width, settings.steps, state, active.size), active, stream
    )


def propensity(settings: MOSSSettings, state: ndarray, visit: Visit, chances: ndarray) -> None:
    """Share the probability among the arms of the highest index."""
    active = visit.active
    chances_of_highest(
        state, moss_indices(settings.width, settings.steps, state, active.size), active, chances
    )
