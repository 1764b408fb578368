"""Thompson sampling that forgets."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, NamedTuple

from annotated_types import Gt, Le
from numpy import ndarray

from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels.base import Arms, Kernel, Visit
from hwds.bandit.models.kernels.draws import beta
from hwds.bandit.models.kernels.indices import begin_with_zeros, highest
from hwds.bandit.models.thompson import Prior


class DiscountedThompsonSettings(NamedTuple):
    """The kernel's arguments: the values of conversions, the prior, and the share of a count that
    stays after each update.
    """

    values: ndarray
    alpha: float
    beta: float
    discount: float


class DiscountedThompson(Policy):
    """Thompson sampling of revenue per customer, whose counts fade, so that it follows a market
    that drifts.

    Raj and Kalyani (2017): with every outcome all counts are multiplied by the discount, so that an
    arm that is not offered falls back to its prior and is tried again. It remembers 1 / (1 -
    discount) outcomes; where nothing changes, that costs.

    Attributes:
        discount: The share of a count that is left after each outcome; 1 forgets nothing and is
            `price_thompson`.
        prior: Conversions and refusals of the Beta prior of each arm; (1, 1) is uniform. It does
            not fade.
    """

    search_space: ClassVar = {
        "discount": {"choice": [0.99, 0.995, 0.998, 0.999, 0.9995, 0.9998, 1.0]},
    }

    discount: Annotated[float, Gt(0), Le(1)] = 0.9995
    prior: Prior = (1.0, 1.0)

    def kernel(self, arms: Arms) -> Kernel:
        """Return one draw of each arm; the state has conversions, refusals and scratch."""
        settings = DiscountedThompsonSettings(
            arms.values, float(self.prior[0]), float(self.prior[1]), float(self.discount)
        )
        return Kernel(settings, 3 * arms.count, begin_with_zeros, select, update)


def select(
    settings: DiscountedThompsonSettings, state: ndarray, visit: Visit, stream: ndarray
) -> int:
    """Return the highest draw of conversion x value.

    An arm is not drawn where it could not win at any conversion.
    """
    values, a, b, active = settings.values, settings.alpha, settings.beta, visit.active
    count = values.size
    best = -math.inf
    for arm in range(count):
        drawn = values[arm]
        if active[arm] and drawn >= best:
            drawn *= beta(stream, state[arm] + a, state[count + arm] + b)
            best = max(best, drawn)
        state[2 * count + arm] = drawn
    return highest(state, 2 * count, active, stream)


def update(
    settings: DiscountedThompsonSettings, state: ndarray, visit: Visit, arm: int, outcome: float
) -> None:
    """Discount all counts, and count one outcome."""
    count = settings.values.size
    if settings.discount < 1.0:
        for i in range(2 * count):
            state[i] *= settings.discount
    state[arm if outcome > 0.0 else count + arm] += 1.0
