"""One Thompson for each known segment."""

from __future__ import annotations

from typing import NamedTuple

from numpy import ndarray

from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels import beta_thompson
from hwds.bandit.models.kernels.base import Arms, Kernel, Visit
from hwds.bandit.models.kernels.beta_thompson import BetaArms
from hwds.bandit.models.thompson import Prior, beta_settings, prior_counts
from hwds.core.compiling import helper


class SegmentsSettings(NamedTuple):
    """The kernel's arguments: the arms, the length of the state of one segment, segments."""

    arms: BetaArms
    size: int
    segments: int


class Segments(Policy):
    """Price Thompson sampling in each segment of customers by itself; segments share nothing.

    The honest rival of a contextual policy where segments are few and known: with enough customers
    in each it is as good as can be.

    Attributes:
        prior: Conversions and refusals of the Beta prior of each arm in each segment; (1, 1) is
            uniform.
    """

    prior: Prior = (1.0, 1.0)

    def kernel(self, arms: Arms) -> Kernel:
        """Return the screened kernel on one block of the state for each segment."""
        size, segments = beta_thompson.beta_size(arms.count), max(1, len(arms.contexts))
        settings = SegmentsSettings(
            beta_settings(arms.values, *prior_counts(arms, self.prior, {})), size, segments
        )
        return Kernel(settings, size * segments, init, select, update, propensity)


def init(settings: SegmentsSettings, state: ndarray) -> None:
    """Begin with every arm at its prior, in every segment."""
    for segment in range(settings.segments):
        beta_thompson.init(settings.arms, state[segment_block(settings.size, segment)])


@helper
def segment_block(size: int, segment: int) -> slice:
    """Return the slice of the state that belongs to a segment."""
    return slice(segment * size, (segment + 1) * size)


def select(settings: SegmentsSettings, state: ndarray, visit: Visit, stream: ndarray) -> int:
    """Return one draw of each arm's posterior value in the segment; the arm of the highest."""
    return beta_thompson.select(
        settings.arms, state[segment_block(settings.size, visit.segment)], visit, stream
    )


def update(
    settings: SegmentsSettings, state: ndarray, visit: Visit, arm: int, outcome: float
) -> None:
    """Count the outcome in its segment."""
    beta_thompson.update(
        settings.arms, state[segment_block(settings.size, visit.segment)], visit, arm, outcome
    )


def propensity(settings: SegmentsSettings, state: ndarray, visit: Visit, chances: ndarray) -> None:
    """Write the probability that an arm's draw in the segment is the highest."""
    beta_thompson.propensity(
        settings.arms, state[segment_block(settings.size, visit.segment)], visit, chances
    )
