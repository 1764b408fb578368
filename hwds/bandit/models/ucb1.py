"""UCB1."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import ClassVar, NamedTuple

import numpy as np
from numpy import ndarray

from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels.base import Arms, Kernel, Visit
from hwds.bandit.models.kernels.indices import (
    chances_of_highest,
    count_pull,
    highest,
    means_init,
    means_size,
)
from hwds.core.compiling import helper
from hwds.core.recipe import Positive

TABLE_STEPS = 100_000
"""The most steps and pulls whose roots are looked up: a logarithm and two roots cost as much as all
the indices of ten arms.
"""


class UCB1Settings(NamedTuple):
    """The kernel's arguments.

    Attributes:
        values: Of conversions, in currency.
        bonus: Of one pull at ln t = 1, in currency.
        growth: sqrt(ln t) of each step t, as far as it is looked up.
        shrinkage: 1 / sqrt(n) of each number of pulls n, as far as it is looked up.
    """

    values: ndarray
    bonus: float
    growth: ndarray
    shrinkage: ndarray


class UCB1(Policy):
    """The mean reward plus a bonus for what was seldom tried: UCB1, in the reward's own range.

    Auer, Cesa-Bianchi and Fischer (2002): each arm once, then the highest of mean + range
    sqrt(exploration ln t / pulls).

    Attributes:
        exploration: 2 in the paper; 0.5 is the least for which the regret stays logarithmic.
        scaled: Whether the bonus is multiplied by the range of the reward; without it a reward in
            currency is a lottery.
    """

    search_space: ClassVar = {"exploration": {"loguniform": [0.01, 4.0]}}

    exploration: Positive = 2.0
    scaled: bool = True

    def kernel(self, arms: Arms) -> Kernel:
        """Return the index in compiled code; the range of the reward must be declared."""
        low, high = self.needs_range(arms)
        bonus = math.sqrt(self.exploration) * (high - low if self.scaled else 1.0)
        size = means_size(arms.count) + arms.count
        return Kernel(
            UCB1Settings(arms.values, bonus, *ucb1_tables(min(arms.horizon, TABLE_STEPS))),
            size,
            means_init,
            select,
            update,
            propensity,
        )


@lru_cache(maxsize=8)
def ucb1_tables(steps: int) -> tuple[ndarray, ndarray]:
    """Return `growth` and `shrinkage`, to the last bit of the compiled code."""
    whole = range(1, max(steps, 1))
    growth = np.array([0.0, *(math.sqrt(math.log(step)) for step in whole)])
    return growth, np.array([1.0, *(1.0 / math.sqrt(pulls) for pulls in whole)])


@helper
def ucb1_indices(settings: UCB1Settings, state: ndarray, step: int, count: int) -> int:
    """Fill the scratch, and return where it begins."""
    growth = settings.growth
    width = settings.bonus * (growth[step] if step < growth.size else math.sqrt(math.log(step)))
    for arm in range(count):
        state[3 * count + arm] = state[2 * count + arm] + width * state[4 * count + arm]
    return 3 * count


def select(settings: UCB1Settings, state: ndarray, visit: Visit, stream: ndarray) -> int:
    """Return the highest index; ties at random."""
    active = visit.active
    return highest(state, ucb1_indices(settings, state, visit.step, active.size), active, stream)


def update(settings: UCB1Settings, state: ndarray, visit: Visit, arm: int, outcome: float) -> None:
    """Count the pull; 1 / sqrt(pulls) is kept, for a root costs more than the rest of an index."""
    values, shrinkage = settings.values, settings.shrinkage
    count_pull(values, state, arm, outcome)
    pulls = int(state[arm])
    state[4 * values.size + arm] = (
        shrinkage[pulls] if pulls < shrinkage.size else 1.0 / math.sqrt(state[arm])
    )


def propensity(settings: UCB1Settings, state: ndarray, visit: Visit, chances: ndarray) -> None:
    """Share the probability among the arms of the highest index."""
    active = visit.active
    chances_of_highest(
        state, ucb1_indices(settings, state, visit.step, active.size), active, chances
    )
