"""LinUCB."""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple

from numpy import ndarray

from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels.base import Arms, Kernel, Visit
from hwds.bandit.models.kernels.indices import (
    chances_of_highest,
    highest,
    ridge_absorb,
    ridge_begin,
    ridge_leverage,
    ridge_mean,
    ridge_pulls,
    ridge_scratch,
    ridge_size,
)
from hwds.core.compiling import helper
from hwds.core.recipe import Positive


class LinUCBSettings(NamedTuple):
    """The kernel's arguments: the value of a conversion as a share of the range, the bonus, the
    ridge, context columns.
    """

    earned: ndarray
    bonus: float
    ridge: float
    columns: int


class LinUCB(Policy):
    """A linear model of each arm's reward on the customer's features, plus a bonus if it is
    uncertain: LinUCB.

    Li, Chu, Langford and Schapire (2010), with disjoint models and an intercept: the highest of x'b
    + exploration sqrt(x' A^-1 x), with rewards as shares of their declared range. An arm that was
    never offered is tried at once.

    Attributes:
        exploration: The size of the bonus. 1 is safe for any reward within the range. If most
            customers buy nothing, 0.3 loses less (`linucb_rare`); below the reward's standard
            deviation, luck decides.
        ridge: The weight of the coefficients' squares in the regression.
    """

    search_space: ClassVar = {
        "exploration": {"loguniform": [0.05, 3.0]},
        "ridge": {"loguniform": [0.1, 10.0]},
    }

    exploration: Positive = 1.0
    ridge: Positive = 1.0

    def kernel(self, arms: Arms) -> Kernel:
        """Return the index in compiled code; the range of the reward must be declared."""
        low, high = self.needs_range(arms)
        columns = arms.contexts.shape[1]
        settings = LinUCBSettings(
            arms.values / (high - low), float(self.exploration), float(self.ridge), columns
        )
        return Kernel(settings, ridge_size(arms.count, columns), init, select, update, propensity)


def init(settings: LinUCBSettings, state: ndarray) -> None:
    """Begin without outcomes."""
    ridge_begin(state, settings.earned.size, settings.columns, settings.ridge)


def select(settings: LinUCBSettings, state: ndarray, visit: Visit, stream: ndarray) -> int:
    """Return the highest index, infinite where an arm was never pulled; ties at random."""
    return highest(state, _indices(settings, state, visit.context), visit.active, stream)


@helper
def _indices(settings: LinUCBSettings, state: ndarray, context: ndarray) -> int:
    """Fill the scratch, and return where it begins."""
    arms, columns = settings.earned.size, settings.columns
    scratch = ridge_scratch(arms, columns)
    for arm in range(arms):
        index = math.inf
        if ridge_pulls(state, arm, columns) > 0.0:
            width = math.sqrt(ridge_leverage(state, arm, context))
            index = ridge_mean(state, arm, context) + settings.bonus * width
        state[scratch + arm] = index
    return scratch


def update(
    settings: LinUCBSettings, state: ndarray, visit: Visit, arm: int, outcome: float
) -> None:
    """Add the reward to the arm's regression."""
    earned = settings.earned
    ridge_absorb(state, earned.size, arm, visit.context, outcome * earned[arm])


def propensity(settings: LinUCBSettings, state: ndarray, visit: Visit, chances: ndarray) -> None:
    """Share the probability among the arms of the highest index."""
    chances_of_highest(state, _indices(settings, state, visit.context), visit.active, chances)
