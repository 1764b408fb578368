"""The best time to replace a machine whose wear is seen, by dynamic programming: what no policy can
beat on average.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.datasets.simulated.engines import FAILURE, INTENSITY, RATE_SHAPE, WearLaw

GRID = 200
"""Levels of wear between new and failure."""

FARTHEST = 6
"""Mean lives after which a machine is replaced whatever its wear: hardly any gets there."""


@dataclass(frozen=True, eq=False)
class BestReplacement:
    """The best policy for one machine that is replaced by a new one whenever it fails or is taken
    out.

    Attributes:
        rate: The least cost a cycle in the long run.
        ages: At which a machine may be replaced, shape (slots,).
        limits: The wear from which it is replaced, at each of these ages, shape (slots,).
    """

    rate: float
    ages: np.ndarray
    limits: np.ndarray

    def acts(self, age: np.ndarray, wear: np.ndarray) -> np.ndarray:
        """Return whether a machine of some age, one of `ages`, and wear is replaced; shape (n,)."""
        place = np.clip(np.searchsorted(self.ages, age), 0, len(self.ages) - 1)
        return np.asarray(wear >= self.limits[place])


def best_replacement(
    law: WearLaw, *, planned: float, failure: float, first: int, every: int
) -> BestReplacement:
    """Return the policy with the least cost a cycle among all that see a machine's wear at each of
    its slots.

    The state is the age and the wear: given these a machine's rate is gamma, and the wear that is
    added in a slot over its sum with what was there is a beta variable. With a price g a cycle of
    life, the value of a new machine falls in g, and is 0 at the least cost a cycle (renewal reward;
    Ross 1970, "Applied Probability Models with Optimization Applications", 7.2).

    Args:
        law: Of wear.
        planned: The cost of a replacement before a failure.
        failure: The cost of a failure, above it.
        first: The age of the first slot.
        every: Cycles from one slot to the next.
    """
    from scipy.optimize import brentq

    ages = np.arange(first, max(int(FARTHEST * law.mean_life), first + 1), every)
    wear = (np.arange(GRID) + 0.5) / GRID
    begin = _step(law, np.zeros(1), np.zeros(1), first)
    steps = [_step(law, np.full(GRID, float(age)), wear, every) for age in ages[:-1]]

    def waiting(rate: float) -> tuple[float, np.ndarray]:
        """Return the value of a new machine, and that of waiting at each slot and wear."""
        value, waits = np.full(GRID, planned), np.full((len(ages), GRID), np.inf)
        for slot in range(len(steps) - 1, -1, -1):
            moved, fails, runs = steps[slot]
            waits[slot] = failure * fails - rate * runs + moved @ value
            value = np.minimum(planned, waits[slot])
        moved, fails, runs = begin
        return float((failure * fails - rate * runs + moved @ value)[0]), waits

    rate = float(brentq(lambda each: waiting(each)[0], 0.0, 2 * failure / first, xtol=1e-9))
    pays = waiting(rate)[1] < planned
    last = np.where(pays.any(axis=1), GRID - np.argmax(pays[:, ::-1], axis=1), 0)
    return BestReplacement(rate, ages, last / GRID * FAILURE)


def _step(
    law: WearLaw, age: np.ndarray, wear: np.ndarray, cycles: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where wear goes in some cycles, shape (n, grid), the chance of a failure in them, and
    the cycles run before it.
    """
    from scipy.special import betainc

    edges = np.linspace(0, FAILURE, GRID + 1)
    added = np.maximum(edges[None, :] - wear[:, None], 0.0)
    share = added / (added + (1 / law.rate_scale + wear)[:, None])
    below = betainc(INTENSITY * cycles, (RATE_SHAPE + INTENSITY * age)[:, None], share)
    runs = (
        1 + law.survival(age, wear, np.arange(1.0, cycles)).sum(axis=1)
        if cycles > 1
        else np.ones(len(age))
    )
    return np.diff(below, axis=1), 1 - below[:, -1], runs
