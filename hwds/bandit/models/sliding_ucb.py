"""UCB of the last outcomes."""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple

from numpy import ndarray

from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels.base import Arms, Kernel, Visit
from hwds.bandit.models.kernels.indices import begin_with_zeros, chances_of_highest, highest
from hwds.core.compiling import helper
from hwds.core.recipe import Positive, Rows


class SlidingUCBSettings(NamedTuple):
    """The kernel's arguments: the values of conversions, the bonus of one pull at ln t = 1, in
    currency, the window.
    """

    values: ndarray
    bonus: float
    window: int


class SlidingUCB(Policy):
    """The mean reward of the last outcomes plus a bonus for what was seldom tried among them:
    sliding-window UCB.

    Garivier and Moulines (2011): the highest of mean + range sqrt(exploration ln min(t, window) /
    pulls), where mean and pulls are of the last `window` outcomes. An arm that is not among them is
    tried at once.

    Attributes:
        window: Outcomes that are remembered, of all arms together.
        exploration: 0.6 in the paper; above 0.5 there is a bound on the regret. If most customers
            buy nothing, a far smaller value loses less than half as much (`sliding_ucb_rare`).
    """

    search_space: ClassVar = {
        "window": {"choice": [250, 500, 1000, 2000, 4000, 8000]},
        "exploration": {"loguniform": [0.01, 2.0]},
    }

    window: Rows = 1000
    exploration: Positive = 0.6

    def kernel(self, arms: Arms) -> Kernel:
        """Return the index in compiled code.

        The state has pulls, conversions, scratch, the number of outcomes, and the ring of the last.

        The range of the reward must be declared.
        """
        low, high = self.needs_range(arms)
        settings = SlidingUCBSettings(
            arms.values, math.sqrt(self.exploration) * (high - low), self.window
        )
        return Kernel(
            settings, 3 * arms.count + 1 + self.window, begin_with_zeros, select, update, propensity
        )


def select(settings: SlidingUCBSettings, state: ndarray, visit: Visit, stream: ndarray) -> int:
    """Return the highest index, infinite where an arm is not in the window; ties at random."""
    return highest(state, _indices(settings, state), visit.active, stream)


@helper
def _indices(settings: SlidingUCBSettings, state: ndarray) -> int:
    """Fill the scratch, and return where it begins."""
    values = settings.values
    count = values.size
    width = settings.bonus * math.sqrt(math.log(max(1.0, min(state[3 * count], settings.window))))
    for arm in range(count):
        pulls = state[arm]
        index = (
            values[arm] * (state[count + arm] / pulls) + width / math.sqrt(pulls)
            if pulls > 0.0
            else math.inf
        )
        state[2 * count + arm] = index
    return 2 * count


def update(
    settings: SlidingUCBSettings, state: ndarray, visit: Visit, arm: int, outcome: float
) -> None:
    """Replace the oldest outcome of the window.

    A place of the ring holds 2 arm + outcome. Counts are whole numbers, so that what was added is
    taken away exactly.
    """
    count = settings.values.size
    seen = int(state[3 * count])
    place = 3 * count + 1 + seen % settings.window
    if seen >= settings.window:
        oldest = int(state[place])
        state[oldest // 2] -= 1.0
        state[count + oldest // 2] -= oldest % 2
    won = 1.0 if outcome > 0.0 else 0.0
    state[arm] += 1.0
    state[count + arm] += won
    state[place] = 2.0 * arm + won
    state[3 * count] += 1.0


def propensity(
    settings: SlidingUCBSettings, state: ndarray, visit: Visit, chances: ndarray
) -> None:
    """Share the probability among the arms of the highest index."""
    chances_of_highest(state, _indices(settings, state), visit.active, chances)
