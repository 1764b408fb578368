"""Thompson sampling of the mean reward, taken for Gaussian."""

from __future__ import annotations

import math
from typing import NamedTuple

from numpy import ndarray

from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels.base import Arms, Kernel, Visit
from hwds.bandit.models.kernels.draws import standard_normal
from hwds.bandit.models.kernels.indices import highest, means_kernel
from hwds.core.recipe import Positive


class GaussianThompsonSettings(NamedTuple):
    """The kernel's arguments: the values of conversions, and the standard deviation of one
    reward.
    """

    values: ndarray
    sd: float


class GaussianThompson(Policy):
    """Thompson sampling of the mean reward in currency, taken for Gaussian with a known standard
    deviation.

    The prior is flat, so each arm is tried once; then a draw from N(mean, sd^2 / pulls) of each
    (Agrawal and Goyal 2017).

    Attributes:
        sd: Standard deviation of one reward, in currency; null takes half the range, the most that
            it can be.

    Example:
        python -m hwds +experiment=price_bandit model=bandit/gaussian_thompson model.sd=8
    """

    sd: Positive | None = None

    def kernel(self, arms: Arms) -> Kernel:
        """Return the draws in compiled code.

        Without a standard deviation the range of the reward must be declared.
        """
        sd = self.sd
        if sd is None:
            low, high = self.needs_range(arms)
            sd = (high - low) / 2
        return means_kernel(GaussianThompsonSettings(arms.values, sd), arms, select)


def select(
    settings: GaussianThompsonSettings, state: ndarray, visit: Visit, stream: ndarray
) -> int:
    """Return one draw of each arm's mean; the highest, ties (arms never tried) at random."""
    active, sd = visit.active, settings.sd
    count = active.size
    for arm in range(count):
        drawn = state[2 * count + arm]
        if active[arm] and state[arm] > 0.0:
            drawn += sd / math.sqrt(state[arm]) * standard_normal(stream)
        state[3 * count + arm] = drawn
    return highest(state, 3 * count, active, stream)
