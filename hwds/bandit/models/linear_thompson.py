"""Linear Thompson sampling."""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple

from numpy import ndarray

from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels.base import Arms, Kernel, Visit
from hwds.bandit.models.kernels.draws import standard_normal
from hwds.bandit.models.kernels.indices import (
    highest,
    ridge_absorb,
    ridge_begin,
    ridge_leverage,
    ridge_mean,
    ridge_pulls,
    ridge_scratch,
    ridge_size,
    ridge_total,
)
from hwds.core.recipe import Positive


class LinearThompsonSettings(NamedTuple):
    """The kernel's arguments: the values of conversions, the factor of the errors, the ridge,
    context columns.
    """

    values: ndarray
    spread: float
    ridge: float
    columns: int


class LinearThompson(Policy):
    """Thompson sampling of the conversion by a Bayesian linear regression on the customer's
    features, times the value.

    Agrawal and Goyal (2013), with a regression for each arm. The coefficients are normal with the
    covariance v^2 A^-1. A customer's conversion x'b is drawn from its own normal law, N(x'b, v^2 x'
    A^-1 x), which is cheaper than to draw all of b. v^2 is p (1 - p), and p is the arm's share of
    conversions. A draw below 0 or above 1 counts as 0 or 1.

    Attributes:
        spread: The factor of v: above 1 for more exploration.
        ridge: The precision of the coefficients' prior, divided by the precision of an outcome.
    """

    search_space: ClassVar = {
        "spread": {"loguniform": [0.05, 3.0]},
        "ridge": {"loguniform": [0.1, 10.0]},
    }

    spread: Positive = 1.0
    ridge: Positive = 1.0

    def kernel(self, arms: Arms) -> Kernel:
        """Return one draw of each arm."""
        columns = arms.contexts.shape[1]
        settings = LinearThompsonSettings(
            arms.values, float(self.spread), float(self.ridge), columns
        )
        return Kernel(settings, ridge_size(arms.count, columns), init, select, update)


def init(settings: LinearThompsonSettings, state: ndarray) -> None:
    """Begin without outcomes."""
    ridge_begin(state, settings.values.size, settings.columns, settings.ridge)


def select(settings: LinearThompsonSettings, state: ndarray, visit: Visit, stream: ndarray) -> int:
    """Return the highest draw of conversion x value; ties, which are of draws at 0, at random."""
    values, columns, context = settings.values, settings.columns, visit.context
    scratch = ridge_scratch(values.size, columns)
    for arm in range(values.size):
        share = (ridge_total(state, arm, columns) + 1.0) / (ridge_pulls(state, arm, columns) + 2.0)
        width = settings.spread * math.sqrt(
            share * (1.0 - share) * ridge_leverage(state, arm, context)
        )
        drawn = ridge_mean(state, arm, context) + width * standard_normal(stream)
        state[scratch + arm] = values[arm] * min(max(drawn, 0.0), 1.0)
    return highest(state, scratch, visit.active, stream)


def update(
    settings: LinearThompsonSettings, state: ndarray, visit: Visit, arm: int, outcome: float
) -> None:
    """Add the outcome to the arm's regression."""
    ridge_absorb(state, settings.values.size, arm, visit.context, outcome)
