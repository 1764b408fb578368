"""KL-UCB on the reward, or on the conversion times the price."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from hwds.bandit.models.base import Exploration, Policy
from hwds.bandit.models.kernels.base import Arms, Kernel, Visit
from hwds.bandit.models.kernels.draws import choose_tied
from hwds.bandit.models.kernels.indices import (
    begin_with_zeros,
    chances_of_highest,
    kl_upper,
    next_offered,
)
from hwds.core.compiling import helper

# The kernel of KL-UCB: the arm of the highest bound, without solving for most of the bounds.
# The bound of the arm of the last pull is solved for first. Another arm's is higher only if the
# divergence of its mean from that bound is small enough, which two multiplications tell.

DIVERGENCE_SLACK = 1e-9
"""The part of a divergence that may be rounding: an arm so near the limit is solved for, so that
equals are found.
"""


class KLArms(NamedTuple):
    """The kernel's arguments; an arm's index is base + scale x the bound on the mean of its gains.

    Attributes:
        base: Shape (K,).
        scale: At least 0, shape (K,).
        gain: What a conversion adds to the sum of gains, between 0 and 1, shape (K,).
        refusal: What a refusal adds, shape (K,).
        exploration: The c in ln t + c ln ln t.
        alike: Whether base and scale are the same for all arms.
    """

    base: ndarray
    scale: ndarray
    gain: ndarray
    refusal: ndarray
    exploration: float
    alike: bool


def kl_kernel(
    base: ndarray, scale: ndarray, gain: ndarray, refusal: ndarray, exploration: float
) -> Kernel:
    """Return the kernel of these settings, see `KLArms`.

    The state has pulls, gains, pulls x the log-likelihood of the mean, and scratch; the last arm,
    and the number of arms that were tried.
    """
    alike = bool(np.all(base == base[0]) and np.all(scale == scale[0]))
    settings = KLArms(base, scale, gain, refusal, float(exploration), alike)
    return Kernel(settings, 4 * len(base) + 2, begin_with_zeros, select, update, propensity)


def update(settings: KLArms, state: ndarray, visit: Visit, arm: int, outcome: float) -> None:
    """Count the pull."""
    gain, refusal = settings.gain, settings.refusal
    count = gain.size
    if state[arm] == 0.0:
        state[4 * count + 1] += 1.0
    state[arm] += 1.0
    state[count + arm] += gain[arm] if outcome > 0 else refusal[arm]
    pulls, gains = state[arm], state[count + arm]
    rest = pulls - gains
    known = gains * math.log(gains / pulls) if gains > 0.0 else 0.0
    if rest > 0.0:
        known += rest * math.log(rest / pulls)
    state[2 * count + arm] = known
    state[4 * count] = arm


@helper
def level_at(step: int, exploration: float) -> float:
    """Return ln t + c ln ln t."""
    level = math.log(max(step, 1))
    if exploration > 0.0 and level > 1.0:
        level += exploration * math.log(level)
    return level


@helper
def kl_index(base: ndarray, scale: ndarray, state: ndarray, arm: int, level: float) -> float:
    """Return the index of an arm, infinite where it was never pulled."""
    count = base.size
    pulls = state[arm]
    if pulls == 0.0:
        return math.inf
    return base[arm] + scale[arm] * kl_upper(state[count + arm] / pulls, level / pulls)


def select(settings: KLArms, state: ndarray, visit: Visit, stream: ndarray) -> int:
    """Return the highest index; ties at random."""
    base, scale, alike, active = settings.base, settings.scale, settings.alike, visit.active
    count = base.size
    level = level_at(visit.step, settings.exploration)
    first = next_offered(active, int(state[4 * count]))
    tried = state[4 * count + 1] == count
    best, chosen, ties = kl_index(base, scale, state, first, level), first, 1
    x, log_x, log_rest, fresh = 0.0, 0.0, 0.0, True
    for arm in range(count):
        if arm == first or not active[arm]:
            continue
        if tried or state[arm] > 0.0:
            pulls, gains = state[arm], state[count + arm]
            if fresh or not alike:
                if base[arm] + scale[arm] < best:
                    continue  # not even a mean of 1 would do
                x = min((best - base[arm]) / scale[arm], 1.0 - 1e-15) if scale[arm] > 0.0 else 0.0
                if x > 0.0:
                    log_x, log_rest = math.log(x), math.log1p(-x)
                fresh = False
            if (
                gains < x * pulls
                and state[2 * count + arm] - gains * log_x - (pulls - gains) * log_rest
                > level + DIVERGENCE_SLACK
            ):
                continue
        own = kl_index(base, scale, state, arm, level)
        if own > best:
            best, chosen, ties, fresh = own, arm, 1, True
        elif own == best:
            ties += 1
            if choose_tied(stream, ties):
                chosen = arm
    return chosen


def propensity(settings: KLArms, state: ndarray, visit: Visit, chances: ndarray) -> None:
    """Share the probability among the arms of the highest index."""
    base, scale = settings.base, settings.scale
    count = base.size
    level = level_at(visit.step, settings.exploration)
    for arm in range(count):
        state[3 * count + arm] = kl_index(base, scale, state, arm, level)
    chances_of_highest(state, 3 * count, visit.active, chances)


# KL-UCB on the reward, or on the conversion times the price.


class KLUCB(Policy):
    """The highest mean reward that the data do not refute, by the Bernoulli divergence: KL-UCB.

    Garivier and Cappe (2011): each arm once, then the greatest q with pulls x kl(mean, q) <= ln t +
    exploration ln ln t. Asymptotically optimal where arms earn 0 or 1; where they have prices,
    `price_kl_ucb` knows more.

    Attributes:
        exploration: The c of the paper; 0 is what it advises in practice, 3 what its proof needs.
        priced: Whether q is the conversion, times the known price or margin; once tried, an arm
            whose value is below the index of another costs nothing more. False takes q of the
            reward as a share of its declared range.
    """

    exploration: Exploration = 0.0
    priced: bool = False

    def kernel(self, arms: Arms) -> Kernel:
        """Return the index by lazy screening.

        Without prices the range of the reward must be declared.
        """
        if self.priced:
            below = (
                arms.values < 0
            )  # of an arm that earns less than nothing the refusals are hoped for
            base = np.where(below, arms.values, 0.0)
            return kl_kernel(base, np.abs(arms.values), 1.0 - below, 1.0 * below, self.exploration)
        low, high = self.needs_range(arms)
        ones, shares = np.ones(arms.count), (arms.values - low) / (high - low)
        return kl_kernel(
            low * ones, (high - low) * ones, shares, -low / (high - low) * ones, self.exploration
        )
