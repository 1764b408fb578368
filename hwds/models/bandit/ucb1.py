"""UCB1."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from hwds.models.bandit.base import Arms, Policy
from hwds.models.bandit.draws import choose_tied
from hwds.models.bandit.kernel import Kernel
from hwds.recipe import Positive


class Settings(NamedTuple):
    """What the kernel reads: the values of conversions, and the bonus of one pull at ln t = 1, in currency."""

    values: np.ndarray
    bonus: float


class UCB1(Policy):
    """The mean reward plus a bonus for what was seldom tried: UCB1, in the reward's own range.

    Auer, Cesa-Bianchi and Fischer (2002): each arm once, then the highest of mean + range sqrt(exploration ln t / pulls).

    Attributes:
        exploration: 2 in the paper; 0.5 is the least for which the regret stays logarithmic.
        scaled: Whether the bonus is multiplied by the range of the reward; without it a reward in currency is a lottery.

    Example:
        python -m hwds +experiment=bandit_regret model=bandit/ucb1
    """

    exploration: Positive = 2.0
    scaled: bool = True

    def kernel(self, arms: Arms) -> Kernel:
        """The index in compiled code; the range of the reward must be declared."""
        low, high = self.needs_range(arms)
        bonus = math.sqrt(self.exploration) * (high - low if self.scaled else 1.0)
        return Kernel(Settings(arms.values, bonus), 4 * arms.count, init, select, update)


def init(settings: Settings, state: np.ndarray) -> None:
    """No pulls, sums of rewards, means and 1 / sqrt(pulls): all zero."""


def select(
    settings: Settings,
    state: np.ndarray,
    step: int,
    segment: int,
    context: np.ndarray,
    active: np.ndarray,
    stream: np.ndarray,
) -> int:
    """The highest index, infinite where an arm was never pulled; ties at random."""
    count = settings.values.size
    width = settings.bonus * math.sqrt(math.log(max(step, 1)))
    best, chosen, ties = -math.inf, 0, 0
    for arm in range(count):
        if not active[arm]:
            continue
        index = state[2 * count + arm] + width * state[3 * count + arm] if state[arm] > 0.0 else math.inf
        if index > best:
            best, chosen, ties = index, arm, 1
        elif index == best:
            ties += 1
            if choose_tied(stream, ties):
                chosen = arm
    return chosen


def update(
    settings: Settings, state: np.ndarray, step: int, segment: int, context: np.ndarray, arm: int, outcome: float
) -> None:
    """One more pull; the mean is made of sums, so that equal histories are ties to the last bit."""
    count = settings.values.size
    state[arm] += 1.0
    state[count + arm] += outcome * settings.values[arm]
    state[2 * count + arm] = state[count + arm] / state[arm]
    state[3 * count + arm] = 1.0 / math.sqrt(state[arm])
