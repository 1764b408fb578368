"""One Thompson for each known segment."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwds.compiled import helper
from hwds.models.bandit import beta_chances, screened
from hwds.models.bandit.base import Arms, Policy
from hwds.models.bandit.kernel import Kernel, Visit
from hwds.models.bandit.screened import BetaArms
from hwds.models.bandit.thompson import Prior, beta_settings, counts_of


class Settings(NamedTuple):
    """What the kernel reads: the arms, numbers in the state of one segment, segments."""

    arms: BetaArms
    size: int
    segments: int


class Segments(Policy):
    """Price Thompson sampling apart in each segment of customers; what one segment teaches the others never learn.

    The honest rival of a contextual policy where segments are few and known: with enough customers in each it is as good as
    can be.

    Attributes:
        prior: Conversions and refusals of the Beta prior of each arm in each segment; (1, 1) is uniform.

    Example:
        python -m hwds +experiment=price_bandit_contextual model=bandit/segments
    """

    prior: Prior = (1.0, 1.0)

    def kernel(self, arms: Arms) -> Kernel:
        """The screened kernel on one block of the state for each segment."""
        size, segments = beta_chances.size(arms.count), max(1, len(arms.contexts))
        settings = Settings(beta_settings(arms.values, *counts_of(arms, self.prior, {})), size, segments)
        return Kernel(settings, size * segments, init, select, update, propensity)


def init(settings: Settings, state: np.ndarray) -> None:
    """Every arm at its prior, in every segment."""
    for segment in range(settings.segments):
        screened.init(settings.arms, state[block(settings.size, segment)])


@helper
def block(size: int, segment: int) -> slice:
    """Where a segment's numbers stand in the state."""
    return slice(segment * size, (segment + 1) * size)


def select(settings: Settings, state: np.ndarray, visit: Visit, stream: np.ndarray) -> int:
    """One draw of each arm's posterior value in the segment; the arm of the highest."""
    return screened.select(settings.arms, state[block(settings.size, visit.segment)], visit, stream)


def update(settings: Settings, state: np.ndarray, visit: Visit, arm: int, outcome: float) -> None:
    """Count the outcome in its segment."""
    screened.update(settings.arms, state[block(settings.size, visit.segment)], visit, arm, outcome)


def propensity(settings: Settings, state: np.ndarray, visit: Visit, chances: np.ndarray) -> None:
    """The chance that an arm's draw in the segment is the highest."""
    beta_chances.propensity(settings.arms, state[block(settings.size, visit.segment)], visit, chances)
