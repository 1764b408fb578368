"""The classical test as a policy."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from hwds.models.bandit import means
from hwds.models.bandit.base import Arms, Policy
from hwds.models.bandit.indices import any_arm, chances_of_highest, highest
from hwds.models.bandit.kernel import Kernel
from hwds.recipe import Count


class Settings(NamedTuple):
    """What the kernel reads: the values of conversions, the steps of the test, and whether the arms come in turn."""

    values: np.ndarray
    steps: int
    in_turn: bool


class ABThenCommit(Policy):
    """A test with so many customers of each arm, then the arm of the highest mean reward for ever.

    Explore, then commit (Lattimore and Szepesvari 2020, chapter 6). What is earned after the test changes nothing; outcomes of
    the test that come late still count.

    Attributes:
        per_arm: Customers of each arm in the test.
        in_turn: Whether the arms come one after the other, or each customer's is drawn.

    Example:
        python -m hwds +experiment=price_bandit model=bandit/ab_then_commit model.per_arm=500
    """

    per_arm: Count = 100
    in_turn: bool = True

    def kernel(self, arms: Arms) -> Kernel:
        """The means of the test in compiled code."""
        settings = Settings(arms.values, self.per_arm * arms.count, self.in_turn)
        return Kernel(settings, means.size(arms.count), init, select, update, propensity)


def init(settings: Settings, state: np.ndarray) -> None:
    """No pulls; an arm that the test never showed is the last to be chosen after it."""
    count = settings.values.size
    for arm in range(count):
        state[2 * count + arm] = -math.inf


def select(
    settings: Settings,
    state: np.ndarray,
    step: int,
    segment: int,
    context: np.ndarray,
    active: np.ndarray,
    stream: np.ndarray,
) -> int:
    """The next arm, or any, while the test lasts; then the winner, ties at random."""
    count = active.size
    if step >= settings.steps:
        return highest(state, 2 * count, active, stream)
    if not settings.in_turn:
        return any_arm(active, stream)
    arm = step % count
    while not active[arm]:
        arm = (arm + 1) % count
    return arm


def update(
    settings: Settings, state: np.ndarray, step: int, segment: int, context: np.ndarray, arm: int, outcome: float
) -> None:
    """One more pull, if it was of the test."""
    values = settings.values
    if step < settings.steps:
        means.count_pull(values, state, arm, outcome)


def propensity(
    settings: Settings,
    state: np.ndarray,
    step: int,
    segment: int,
    context: np.ndarray,
    active: np.ndarray,
    chances: np.ndarray,
) -> None:
    """Certain, but for the ties of the winner and the draws of a test that is not in turn."""
    count = active.size
    if step >= settings.steps:
        chances_of_highest(state, 2 * count, active, chances)
        return
    turn = step % count
    while not active[turn]:
        turn = (turn + 1) % count
    for arm in range(count):
        alike = active[arm] / active.sum()
        chances[arm] = (1.0 if arm == turn else 0.0) if settings.in_turn else alike
