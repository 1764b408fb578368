"""Thompson sampling on what a customer brings, where the amount of a purchase is seen."""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple

from numpy import ndarray

from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels.base import Arms, Kernel, Visit
from hwds.bandit.models.kernels.draws import beta, standard_normal
from hwds.bandit.models.kernels.indices import highest
from hwds.bandit.models.thompson import Prior
from hwds.core.recipe import Positive


class BasketArms(NamedTuple):
    """The kernel's arguments: the expected amounts of the arms, the Beta prior, and the prior of an
    amount.
    """

    values: ndarray
    wins: float
    losses: float
    orders: float
    spread: float


class BasketThompson(Policy):
    """Thompson sampling of conversion times the mean amount of a purchase, both learned: for
    baskets, not for one price.

    The conversion has a Beta posterior; the mean amount a normal one, with the spread of the
    amounts seen, around the arm's value before any is. An arm's value is what a purchase is
    expected to bring (`Arms.values`); in production `outcome` takes the amount. Without amounts
    every purchase brings the arm's value. If amounts have a very heavy tail, it is too sure until
    some hundreds of purchases have shown the tail.

    Attributes:
        prior: Conversions and refusals of the Beta prior of each arm; (1, 1) is uniform.
        orders: Purchases at the arm's value that the prior of its mean amount is worth.
        spread: The standard deviation of an amount before any is seen, as a multiple of the arm's
            value.
    """

    search_space: ClassVar = {
        "orders": {"loguniform": [0.1, 10.0]},
        "spread": {"loguniform": [0.2, 5.0]},
    }

    prior: Prior = (1.0, 1.0)
    orders: Positive = 1.0
    spread: Positive = 1.0

    def kernel(self, arms: Arms) -> Kernel:
        """Return the draws in compiled code."""
        settings = BasketArms(arms.values, self.prior[0], self.prior[1], self.orders, self.spread)
        return Kernel(settings, 5 * arms.count, init, select, update, amounts=True)


def init(settings: BasketArms, state: ndarray) -> None:
    """Begin with conversions, refusals, the sums of amounts and of their squares as multiples of
    the arm's value, scratch.
    """
    count, orders = settings.values.size, settings.orders
    for arm in range(count):
        state[arm], state[count + arm] = settings.wins, settings.losses
        state[2 * count + arm] = orders
        state[3 * count + arm] = orders * (1.0 + settings.spread**2)


def update(settings: BasketArms, state: ndarray, visit: Visit, arm: int, outcome: float) -> None:
    """Count the outcome and add its amount."""
    count = settings.values.size
    if outcome > 0.0:
        state[arm] += 1.0
        state[2 * count + arm] += outcome
        state[3 * count + arm] += outcome * outcome
    else:
        state[count + arm] += 1.0


def select(settings: BasketArms, state: ndarray, visit: Visit, stream: ndarray) -> int:
    """Return the arm of the highest draw."""
    values, active = settings.values, visit.active
    count = values.size
    for arm in range(count):
        if active[arm]:
            n = state[arm] - settings.wins + settings.orders
            mean = state[2 * count + arm] / n
            variance = max(state[3 * count + arm] / n - mean * mean, 0.0)
            amount = mean + math.sqrt(variance / n) * standard_normal(stream)
            state[4 * count + arm] = (
                values[arm] * amount * beta(stream, state[arm], state[count + arm])
            )
    return highest(state, 4 * count, active, stream)
