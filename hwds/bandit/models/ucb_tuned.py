"""UCB1-Tuned."""

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


class UCBTunedSettings(NamedTuple):
    """The kernel's arguments: the values of conversions, and the range of the reward."""

    values: ndarray
    width: float


class UCBTuned(Policy):
    """The mean reward plus a bonus that is small where rewards vary little: UCB1-Tuned, in the
    reward's own range.

    Auer, Cesa-Bianchi and Fischer (2002, section 4): mean + range sqrt(ln t / pulls min(1/4,
    variance + sqrt(2 ln t / pulls))), with the variance of reward / range. No bound on its regret
    is proven.
    """

    def kernel(self, arms: Arms) -> Kernel:
        """Return the index in compiled code; the range of the reward must be declared."""
        low, high = self.needs_range(arms)
        settings = UCBTunedSettings(arms.values, high - low)
        return means_kernel(settings, arms, select, propensity)


@helper
def ucb_tuned_indices(values: ndarray, width: float, state: ndarray, step: int) -> int:
    """Fill the scratch, and return where it begins."""
    count = values.size
    log_step = math.log(max(step, 1))
    for arm in range(count):
        bonus = 0.0
        if state[arm] > 0.0:
            mean, part = state[2 * count + arm], log_step / state[arm]
            variance = (
                max(0.0, mean * (values[arm] - mean)) / width**2
            )  # a reward is 0 or the value
            bonus = math.sqrt(part * min(0.25, variance + math.sqrt(2.0 * part)))
        state[3 * count + arm] = state[2 * count + arm] + width * bonus
    return 3 * count


def select(settings: UCBTunedSettings, state: ndarray, visit: Visit, stream: ndarray) -> int:
    """Return the highest index; ties at random."""
    return highest(
        state,
        ucb_tuned_indices(settings.values, settings.width, state, visit.step),
        visit.active,
        stream,
    )


def propensity(settings: UCBTunedSettings, state: ndarray, visit: Visit, chances: ndarray) -> None:
    """Share the probability among the arms of the highest index."""
    chances_of_highest(
        state,
        ucb_tuned_indices(settings.values, settings.width, state, visit.step),
        visit.active,
        chances,
    )
