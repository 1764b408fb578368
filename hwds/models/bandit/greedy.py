"""The best so far, for ever."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwds.models.bandit import means
from hwds.models.bandit.base import Arms, Policy
from hwds.models.bandit.indices import chances_of_highest, highest
from hwds.models.bandit.kernel import Kernel, Visit


class Settings(NamedTuple):
    """What the kernel reads: the values of conversions."""

    values: np.ndarray


class Greedy(Policy):
    """Each arm once, then always the one of the highest mean reward: no exploration, so it often stays with a wrong arm.

    Example:
        python -m hwds +experiment=bandit_regret model=bandit/greedy
    """

    def kernel(self, arms: Arms) -> Kernel:
        """The mean in compiled code."""
        return Kernel(Settings(arms.values), means.size(arms.count), means.init, select, means.update, propensity)


def select(settings: Settings, state: np.ndarray, visit: Visit, stream: np.ndarray) -> int:
    """The highest mean; ties at random."""
    return highest(state, 2 * visit.active.size, visit.active, stream)


def propensity(settings: Settings, state: np.ndarray, visit: Visit, chances: np.ndarray) -> None:
    """The ties share it."""
    chances_of_highest(state, 2 * visit.active.size, visit.active, chances)
