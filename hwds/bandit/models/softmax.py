"""Boltzmann exploration."""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple

from numpy import ndarray

from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels.base import Arms, Kernel, Visit
from hwds.bandit.models.kernels.indices import (
    chances_in_proportion,
    in_proportion,
    means_kernel,
)
from hwds.core.compiling import helper
from hwds.core.recipe import Positive


class SoftmaxSettings(NamedTuple):
    """The kernel's arguments: the values of conversions, and the temperature in currency."""

    values: ndarray
    temperature: float


class Softmax(Policy):
    """Every arm with a chance in proportion to exp(mean reward / temperature); arms that were never
    tried come first.

    Sutton and Barto (2018, section 2.8 without the gradient). It explores for ever: its regret
    grows in proportion to time.

    Attributes:
        temperature: As a share of the reward's range; the smaller, the greedier.

    Example:
        python -m hwds +experiment=bandit_regret model=bandit/softmax model.temperature=0.02
    """

    search_space: ClassVar = {"temperature": {"loguniform": [0.005, 0.5]}}

    temperature: Positive = 0.05

    def kernel(self, arms: Arms) -> Kernel:
        """Return the weights in compiled code; the range of the reward must be declared."""
        low, high = self.needs_range(arms)
        settings = SoftmaxSettings(arms.values, self.temperature * (high - low))
        return means_kernel(settings, arms, select, propensity)


@helper
def softmax_weights(temperature: float, state: ndarray, active: ndarray) -> int:
    """Fill the scratch with weights, the greatest of them 1, and return where it begins."""
    count = active.size
    best = -math.inf
    for arm in range(count):
        if active[arm]:
            best = max(best, state[2 * count + arm])
    for arm in range(count):
        mean = state[2 * count + arm]
        if mean >= best:
            state[3 * count + arm] = 1.0 if active[arm] else 0.0
        else:
            state[3 * count + arm] = math.exp((mean - best) / temperature)
    return 3 * count


def select(settings: SoftmaxSettings, state: ndarray, visit: Visit, stream: ndarray) -> int:
    """Return a draw in proportion to the weights."""
    return in_proportion(
        state, softmax_weights(settings.temperature, state, visit.active), visit.active, stream
    )


def propensity(settings: SoftmaxSettings, state: ndarray, visit: Visit, chances: ndarray) -> None:
    """Write the weights as shares."""
    chances_in_proportion(
        state, softmax_weights(settings.temperature, state, visit.active), visit.active, chances
    )
