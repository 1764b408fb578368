"""Thompson sampling of a demand that falls with the price."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy import ndarray

from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels.base import Arms, Kernel, Visit
from hwds.bandit.models.kernels.draws import beta
from hwds.bandit.models.kernels.indices import highest
from hwds.bandit.models.thompson import Prior
from hwds.core.compiling import helper
from hwds.core.errors import ConfigError


class MonotoneThompsonSettings(NamedTuple):
    """The kernel's arguments: the values of conversions, the arms from the cheapest to the dearest,
    and the prior.
    """

    values: ndarray
    order: ndarray
    alpha: float
    beta: float


class MonotoneThompson(Policy):
    """Thompson sampling of revenue per customer, with a conversion that falls with the price.

    The arms' conversions are drawn from their Beta posteriors and projected on the curves that
    fall, by isotonic regression with the posteriors' counts as weights (a projected posterior, Lin
    and Dunson 2014). One price thus teaches about the others (Misra, Schwartz and Abernethy 2019).
    No two arms may earn the same by a conversion.

    Attributes:
        prior: Conversions and refusals of the Beta prior of each arm; (1, 1) is uniform.
    """

    prior: Prior = (1.0, 1.0)

    def kernel(self, arms: Arms) -> Kernel:
        """Return the kernel that draws all arms and projects the draws."""
        order = np.argsort(arms.values, kind="stable")
        alike = np.flatnonzero(np.diff(arms.values[order]) == 0)
        if alike.size:
            one, other = (arms.names[order[alike[0] + i]] for i in (0, 1))
            raise ConfigError(
                f"model: '{self.name}' needs arms of different prices; '{one}' and '{other}' earn "
                f"the same."
            )
        settings = MonotoneThompsonSettings(
            arms.values, order, *(float(count) for count in self.prior)
        )
        return Kernel(settings, 6 * arms.count, init, select, update)


def init(settings: MonotoneThompsonSettings, state: ndarray) -> None:
    """Begin with every arm at its prior."""
    count = settings.values.size
    for arm in range(count):
        state[arm], state[count + arm] = settings.alpha, settings.beta


@helper
def project_falling(order: ndarray, state: ndarray) -> None:
    """Replace the drawn conversions, from place 2K on, by the nearest that fall with the price.

    By pooling adjacent violators (Ayer et al. 1955); the pools' means, weights and sizes stand on a
    stack in the scratch.
    """
    count = order.size
    means, weights, sizes = 3 * count, 4 * count, 5 * count
    pools = 0
    for place in range(count):
        arm = order[place]
        mean, weight, size = state[2 * count + arm], state[arm] + state[count + arm], 1.0
        while pools > 0 and state[means + pools - 1] < mean:
            pools -= 1
            both = weight + state[weights + pools]
            mean = (mean * weight + state[means + pools] * state[weights + pools]) / both
            weight = both
            size += state[sizes + pools]
        state[means + pools], state[weights + pools], state[sizes + pools] = mean, weight, size
        pools += 1
    place = 0
    for pool in range(pools):
        for _ in range(int(state[sizes + pool])):
            state[2 * count + order[place]] = state[means + pool]
            place += 1


def select(
    settings: MonotoneThompsonSettings, state: ndarray, visit: Visit, stream: ndarray
) -> int:
    """Return the arm that earns most on a demand curve that is drawn."""
    values, order = settings.values, settings.order
    count = values.size
    for arm in range(count):
        state[2 * count + arm] = beta(stream, state[arm], state[count + arm])
    project_falling(order, state)
    for arm in range(count):
        state[2 * count + arm] *= values[arm]
    return highest(state, 2 * count, visit.active, stream)


def update(
    settings: MonotoneThompsonSettings, state: ndarray, visit: Visit, arm: int, outcome: float
) -> None:
    """Count the outcome."""
    state[arm if outcome > 0 else settings.values.size + arm] += 1.0
