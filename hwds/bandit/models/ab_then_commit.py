"""The classical test as a policy."""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple

from numpy import ndarray

from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels.base import Arms, Kernel, Visit
from hwds.bandit.models.kernels.indices import (
    any_arm,
    chances_of_highest,
    count_pull,
    highest,
    means_size,
    next_offered,
)
from hwds.core.recipe import Rows


class ABThenCommitSettings(NamedTuple):
    """The kernel's arguments: the values of conversions, the steps of the test, and whether the
    arms come in turn.
    """

    values: ndarray
    steps: int
    in_turn: bool


class ABThenCommit(Policy):
    """A test with so many customers of each arm, then the arm of the highest mean reward for ever.

    Explore, then commit (Lattimore and Szepesvari 2020, chapter 6). Rewards after the test change
    nothing; late outcomes of the test still count.

    Attributes:
        per_arm: Customers of each arm in the test.
        in_turn: Whether the arms come one after the other, or each customer's is drawn.

    Example:
        python -m hwds +experiment=price_bandit model=bandit/ab_then_commit model.per_arm=500
    """

    begins_in_turn = True
    search_space: ClassVar = {"per_arm": {"choice": [25, 50, 100, 200, 400, 800]}}

    per_arm: Rows = 100
    in_turn: bool = True

    def kernel(self, arms: Arms) -> Kernel:
        """Return the means of the test in compiled code."""
        settings = ABThenCommitSettings(arms.values, self.per_arm * arms.count, self.in_turn)
        return Kernel(settings, means_size(arms.count), init, select, update, propensity)


def init(settings: ABThenCommitSettings, state: ndarray) -> None:
    """Begin without pulls; an arm that the test never showed is the last to be chosen after it."""
    count = settings.values.size
    for arm in range(count):
        state[2 * count + arm] = -math.inf


def select(settings: ABThenCommitSettings, state: ndarray, visit: Visit, stream: ndarray) -> int:
    """Return the next arm, or any, while the test lasts; then the winner, ties at random."""
    active = visit.active
    if visit.step >= settings.steps:
        return highest(state, 2 * active.size, active, stream)
    if not settings.in_turn:
        return any_arm(active, stream)
    return next_offered(active, visit.step % active.size)


def update(
    settings: ABThenCommitSettings, state: ndarray, visit: Visit, arm: int, outcome: float
) -> None:
    """Count the pull, if it was of the test."""
    if visit.step < settings.steps:
        count_pull(settings.values, state, arm, outcome)


def propensity(
    settings: ABThenCommitSettings, state: ndarray, visit: Visit, chances: ndarray
) -> None:
    """Write 1 for the chosen arm, but for ties of the winner and the draws of a test that is not in
    turn.
    """
    active = visit.active
    if visit.step >= settings.steps:
        chances_of_highest(state, 2 * active.size, active, chances)
        return
    turn = next_offered(active, visit.step % active.size)
    for arm in range(active.size):
        alike = active[arm] / active.sum()
        chances[arm] = (1.0 if arm == turn else 0.0) if settings.in_turn else alike
