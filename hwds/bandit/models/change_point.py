"""Thompson sampling that begins anew where it finds that the market changed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from annotated_types import Ge, Lt

from hwds.bandit.arms import Arms
from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels import glr
from hwds.bandit.models.kernels.base import Kernel, Visit
from hwds.bandit.models.kernels.draws import beta, uniform
from hwds.bandit.models.kernels.indices import any_arm, highest
from hwds.bandit.models.thompson import Prior
from hwds.core.recipe import Level, PositiveInt


class ChangePointSettings(NamedTuple):
    """The kernel's arguments: the values of conversions, the prior, and the detection of changes; see `ChangePoint`."""

    values: np.ndarray
    alpha: float
    beta: float
    level: float
    every: int
    explore: float
    everywhere: bool


class ChangePoint(Policy):
    """Thompson sampling of what a customer earns, which forgets all when a test finds that an arm's conversion changed.

    The test is the generalised likelihood ratio of Besson and Kaufmann (2019), "The generalized likelihood ratio test meets
    klUCB", on each arm: one conversion against one before and another after some outcome. It looks back at points that lie
    ever wider apart. A share of the customers meets an arm at random, as an arm that is not offered cannot be seen to change.
    A change of the arm that is played is found soon; one that only makes an arm better that is seldom offered, late or never.

    Attributes:
        false_alarm: A bound on the chance that an arm that does not change is ever taken for one that does; a tenth of it
            or less was measured.
        explore: The share of the customers who are offered an arm at random.
        every: Outcomes of an arm between two tests of it.
        restart: The arms whose outcomes are forgotten: `all`, or the one that changed.
        prior: Conversions and refusals of the Beta prior of each arm; (1, 1) is uniform.
    """

    search_space: ClassVar[Mapping[str, Any]] = {
        "false_alarm": {"loguniform": [0.001, 0.2]},
        "explore": {"uniform": [0.0, 0.1]},
        "restart": {"choice": ["all", "arm"]},
    }

    false_alarm: Level = 0.05
    explore: Annotated[float, Ge(0), Lt(1)] = 0.02
    every: PositiveInt = 5
    restart: Literal["all", "arm"] = "all"
    prior: Prior = (1.0, 1.0)

    def kernel(self, arms: Arms) -> Kernel:
        """Return one draw of each arm; the state holds each arm's outcomes in buckets, see `glr`."""
        settings = ChangePointSettings(
            arms.values,
            float(self.prior[0]),
            float(self.prior[1]),
            float(self.false_alarm),
            self.every,
            float(self.explore),
            self.restart == "all",
        )
        return Kernel(settings, arms.count * (glr.SIZE + 1), init, select, update)


def init(settings: ChangePointSettings, state: np.ndarray) -> None:
    """Begin without outcomes and scratch: all zero."""


def select(settings: ChangePointSettings, state: np.ndarray, visit: Visit, stream: np.ndarray) -> int:
    """Return the highest draw of conversion x value, or an arm at random."""
    if settings.explore > 0.0 and uniform(stream) < settings.explore:
        return any_arm(visit.active, stream)
    values, a, b, active = settings.values, settings.alpha, settings.beta, visit.active
    best, scratch = -math.inf, values.size * glr.SIZE
    for arm in range(values.size):
        drawn = values[arm]
        if active[arm] and drawn >= best:
            pulls, wins = state[arm * glr.SIZE], state[arm * glr.SIZE + 1]
            drawn *= beta(stream, wins + a, pulls - wins + b)
            best = max(best, drawn)
        state[scratch + arm] = drawn
    return highest(state, scratch, active, stream)


def update(settings: ChangePointSettings, state: np.ndarray, visit: Visit, arm: int, outcome: float) -> None:
    """Record the outcome; at intervals test the arm for a change, and forget after one."""
    first = arm * glr.SIZE
    glr.add(state, first, outcome)
    pulls = state[first]
    if pulls % settings.every or glr.statistic(state, first) < glr.threshold(pulls, settings.level):
        return
    for other in range(settings.values.size):
        if other == arm or settings.everywhere:
            glr.forget(state, other * glr.SIZE)
