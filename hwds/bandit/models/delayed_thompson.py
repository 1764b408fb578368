"""Thompson sampling on what an arm earns, where outcomes come late: offers that wait count by the
law of the delay.
"""

from __future__ import annotations

import math
from dataclasses import field
from typing import NamedTuple

from numpy import ndarray

from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels.base import Arms, Kernel, Visit
from hwds.bandit.models.kernels.draws import beta
from hwds.bandit.models.kernels.indices import highest
from hwds.bandit.models.thompson import KnownCounts, Prior, prior_counts
from hwds.core.compiling import helper
from hwds.core.recipe import Positive

MOST_DELAYS = 30.0
"""Mean delays after which the exponentials are counted from a new moment, so that none overflows.
"""


class DelayedArms(NamedTuple):
    """The kernel's arguments.

    Attributes:
        values: What one conversion of each arm earns, shape (K,).
        alpha: Conversions of each arm's prior, shape (K,).
        beta: Refusals of each arm's prior, shape (K,).
        rate: One over the mean delay; 0 where offers that wait are not counted.
        seen: The share of conversions that come within the window.
    """

    values: ndarray
    alpha: ndarray
    beta: ndarray
    rate: float
    seen: float


class DelayedThompson(Policy):
    """Thompson sampling of revenue per customer, whose posterior counts offers that still wait for
    their outcome.

    An open offer of age a counts as a part of a refusal: the share of conversions that would have
    come by then, 1 - exp(-a / delay), divided by the same share at the window. Without that early
    conversions come alone, and what was offered last seems best (Vernade, Cappe and Perchet,
    Stochastic bandit models for delayed conversions, 2017). Times are those of the customers: steps
    in a simulation, in production the unit of `at`.

    Attributes:
        prior: Conversions and refusals of the Beta prior of each arm; (1, 1) is uniform.
        known: By arm, conversions and refusals seen before, which are added to the prior: an A/B
            run's `prior.yaml`.
        delay: The mean time from an offer to its conversion; null takes the market's own in a
            simulation, and in production counts no offer that waits.
        window: The time after which an offer without a conversion counts as refused; null takes the
            market's own, or none.
    """

    prior: Prior = (1.0, 1.0)
    known: KnownCounts = field(default_factory=dict)
    delay: Positive | None = None
    window: Positive | None = None

    def kernel(self, arms: Arms) -> Kernel:
        """Return the draws in compiled code."""
        delay, window = self.delay or arms.delay, self.window or arms.window
        rate = 1.0 / delay if delay else 0.0
        seen = -math.expm1(-rate * window) if rate and window else 1.0
        settings = DelayedArms(arms.values, *prior_counts(arms, self.prior, self.known), rate, seen)
        return Kernel(settings, 5 * arms.count + 2, init, select, update, offered=offered)


def init(settings: DelayedArms, state: ndarray) -> None:
    """Begin with each arm's prior: conversions, refusals, offers that wait, their exponentials,
    scratch; the moment, begun.
    """
    alpha, refusals = settings.alpha, settings.beta
    count = alpha.size
    for arm in range(count):
        state[arm], state[count + arm] = alpha[arm], refusals[arm]


def offered(settings: DelayedArms, state: ndarray, visit: Visit, arm: int) -> None:
    """Let an offer wait."""
    count = settings.values.size
    if state[5 * count + 1] == 0.0:
        state[5 * count], state[5 * count + 1] = visit.at, 1.0
    if (visit.at - state[5 * count]) * settings.rate > MOST_DELAYS:
        _move_origin(settings, state, visit.at)
    state[2 * count + arm] += 1.0
    state[3 * count + arm] += math.exp((visit.at - state[5 * count]) * settings.rate)


@helper
def _move_origin(settings: DelayedArms, state: ndarray, at: float) -> None:
    """Count the exponentials from a later moment."""
    count = settings.values.size
    shrunk = math.exp(-(at - state[5 * count]) * settings.rate)
    for arm in range(count):
        state[3 * count + arm] *= shrunk
    state[5 * count] = at


def update(settings: DelayedArms, state: ndarray, visit: Visit, arm: int, outcome: float) -> None:
    """Count the outcome, and let its offer wait no more."""
    count = settings.values.size
    state[arm if outcome > 0 else count + arm] += 1.0
    if state[2 * count + arm] > 0.0:  # what another law has offered never waited here
        state[2 * count + arm] -= 1.0
        own = math.exp((visit.at - state[5 * count]) * settings.rate)
        state[3 * count + arm] = (
            max(state[3 * count + arm] - own, 0.0) if state[2 * count + arm] > 0.0 else 0.0
        )


@helper
def waiting_refusals(settings: DelayedArms, state: ndarray, arm: int, at: float) -> float:
    """Return the refusals that the offers of an arm which wait amount to."""
    count = settings.values.size
    pending = state[2 * count + arm]
    if settings.rate == 0.0 or pending == 0.0:
        return 0.0
    left = state[3 * count + arm] * math.exp(-(at - state[5 * count]) * settings.rate)
    return min(max(pending - left, 0.0) / settings.seen, pending)


def select(settings: DelayedArms, state: ndarray, visit: Visit, stream: ndarray) -> int:
    """Return the arm of the highest draw."""
    values, active = settings.values, visit.active
    count = values.size
    for arm in range(count):
        if active[arm]:
            refusals = state[count + arm] + waiting_refusals(settings, state, arm, visit.at)
            state[4 * count + arm] = values[arm] * beta(stream, state[arm], refusals)
    return highest(state, 4 * count, active, stream)
