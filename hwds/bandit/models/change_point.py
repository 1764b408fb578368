"""Thompson sampling that begins anew where it finds that the market changed."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal, NamedTuple

from annotated_types import Ge, Lt
from numpy import ndarray

from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels.base import Arms, Kernel, Visit
from hwds.bandit.models.kernels.draws import beta, uniform
from hwds.bandit.models.kernels.indices import any_arm, begin_with_zeros, highest
from hwds.bandit.models.thompson import Prior
from hwds.core.compiling import helper
from hwds.core.recipe import Level, PositiveInt

# The generalised likelihood ratio test of a change in a row of Bernoulli outcomes, in bounded
# memory, in compiled code.
# Outcomes lie in buckets of 1, 2, 4, ... outcomes, the newest in the smallest (the exponential
# histogram of Datar et al. 2002). The ends of buckets are the points at which the test looks
# for a change: all of the last few, then ever wider apart, so that a test costs O(log n) and a
# change is looked for within a few per cent of the outcomes since.

BUCKET_SIZES, BUCKETS_OF_SIZE = 24, 9
"""Sizes of buckets, and most buckets of one size; a tenth makes two of them one of the next size.
"""

SIZE_BLOCK = BUCKETS_OF_SIZE + 2
GLR_SIZE = 2 + BUCKET_SIZES * SIZE_BLOCK
"""Numbers in the state of one row of outcomes: how many, conversions; for each size how many
buckets, and their conversions.
"""


@helper
def glr_forget(state: ndarray, first: int) -> None:
    """Begin a row anew whose numbers are at `first` of the state."""
    state[first], state[first + 1] = 0.0, 0.0
    for level in range(BUCKET_SIZES):
        state[first + 2 + level * SIZE_BLOCK] = 0.0


@helper
def glr_add(state: ndarray, first: int, outcome: float) -> None:
    """Add one outcome, 0 or 1."""
    state[first] += 1.0
    state[first + 1] += outcome
    place, carried = first + 2, outcome
    for level in range(BUCKET_SIZES):
        held = int(state[place])
        state[place + 1 + held] = carried
        if held < BUCKETS_OF_SIZE or level == BUCKET_SIZES - 1:
            state[place] = min(held + 1, BUCKETS_OF_SIZE)
            return
        carried = state[place + 1] + state[place + 2]  # the two oldest
        for i in range(1, held):
            state[place + i] = state[place + i + 2]
        state[place] = held - 1.0
        place += SIZE_BLOCK


@helper
def glr_statistic(state: ndarray, first: int) -> float:
    """Return the highest of s kl(m1, m) + (n - s) kl(m2, m) over the points s at which buckets end.

    0 where there is none.

    m is the mean of all n outcomes, m1 of the first s and m2 of the rest.
    """
    n, wins = state[first], state[first + 1]
    least, newer, newer_wins, size = math.inf, 0.0, 0.0, 1.0
    for level in range(BUCKET_SIZES):
        place = first + 2 + level * SIZE_BLOCK
        for i in range(int(state[place]), 0, -1):
            newer += size
            newer_wins += state[place + i]
            if newer >= n:
                return max(0.0, glr_surprise(wins, n) - least)
            least = min(
                least, glr_surprise(wins - newer_wins, n - newer) + glr_surprise(newer_wins, newer)
            )
        size *= 2.0
    return 0.0


@helper
def glr_surprise(wins: float, n: float) -> float:
    """Return n times the entropy of the mean of n outcomes: their code length when the mean is
    known, in nats.
    """
    losses = n - wins
    if wins <= 0.0 or losses <= 0.0:
        return 0.0
    return n * math.log(n) - wins * math.log(wins) - losses * math.log(losses)


@helper
def glr_threshold(n: float, level: float) -> float:
    """Return the threshold of the statistic of n outcomes: ln(3 n^1.5 / level), as Besson and
    Kaufmann (2019) advise.
    """
    return math.log(3.0 / level) + 1.5 * math.log(n)


# Thompson sampling that begins anew where it finds that the market changed.


class ChangePointSettings(NamedTuple):
    """The kernel's arguments: the values of conversions, the prior, and the detection of changes;
    see `ChangePoint`.
    """

    values: ndarray
    alpha: float
    beta: float
    level: float
    every: int
    explore: float
    everywhere: bool


class ChangePoint(Policy):
    """Thompson sampling of revenue per customer, which forgets all when a test finds a changed
    conversion.

    The test is the generalised likelihood ratio of Besson and Kaufmann (2019), "The generalized
    likelihood ratio test meets klUCB", on each arm: one conversion against one before and another
    after some outcome. It looks back at points that lie ever wider apart. A share of the customers
    meets an arm at random, as an arm that is not offered cannot be seen to change. A change of the
    arm that is played is found soon; one that only makes an arm better that is seldom offered, late
    or never.

    Attributes:
        false_alarm: A bound on the chance that an arm that does not change is ever taken for one
            that does; a tenth of it or less was measured.
        explore: The share of the customers who are offered an arm at random.
        every: Outcomes of an arm between two tests of it.
        restart: The arms whose outcomes are forgotten: `all`, or the one that changed.
        prior: Conversions and refusals of the Beta prior of each arm; (1, 1) is uniform.
    """

    search_space: ClassVar = {
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
        """Return one draw of each arm.

        The state holds each arm's outcomes in buckets, see `glr`.
        """
        settings = ChangePointSettings(
            arms.values,
            float(self.prior[0]),
            float(self.prior[1]),
            float(self.false_alarm),
            self.every,
            float(self.explore),
            self.restart == "all",
        )
        return Kernel(settings, arms.count * (GLR_SIZE + 1), begin_with_zeros, select, update)


def select(settings: ChangePointSettings, state: ndarray, visit: Visit, stream: ndarray) -> int:
    """Return the highest draw of conversion x value, or an arm at random."""
    if settings.explore > 0.0 and uniform(stream) < settings.explore:
        return any_arm(visit.active, stream)
    values, a, b, active = settings.values, settings.alpha, settings.beta, visit.active
    best, scratch = -math.inf, values.size * GLR_SIZE
    for arm in range(values.size):
        drawn = values[arm]
        if active[arm] and drawn >= best:
            pulls, wins = state[arm * GLR_SIZE], state[arm * GLR_SIZE + 1]
            drawn *= beta(stream, wins + a, pulls - wins + b)
            best = max(best, drawn)
        state[scratch + arm] = drawn
    return highest(state, scratch, active, stream)


def update(
    settings: ChangePointSettings, state: ndarray, visit: Visit, arm: int, outcome: float
) -> None:
    """Record the outcome; at intervals test the arm for a change, and forget after one."""
    first = arm * GLR_SIZE
    glr_add(state, first, outcome)
    pulls = state[first]
    if pulls % settings.every or glr_statistic(state, first) < glr_threshold(pulls, settings.level):
        return
    for other in range(settings.values.size):
        if other == arm or settings.everywhere:
            glr_forget(state, other * GLR_SIZE)
