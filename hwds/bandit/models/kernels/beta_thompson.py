"""The kernel of Thompson sampling with Beta posteriors, ranked by conversion x value: the exact law without most of its draws.

The arm with the highest posterior mean, the leader, is drawn first. Another arm wins only if its own draw exceeds a threshold
x, and P(Beta(S + 1, F + 1) > x) = P(Bin(S + F + 1, x) <= S) has a bound that two multiplications give; a uniform number above
the bound settles the arm. Otherwise the binomial sum decides exactly. Of several arms above, the highest wins: each is
drawn from its tail.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from hwds.bandit.models.kernels.base import Visit
from hwds.bandit.models.kernels.draws import as_uniform, beta, beta_from_one, exponential, keyed, uniform, word
from hwds.core.numba_cache import helper

DIRECT = 0.9
"""The ratio of the binomial sum from which its bound is too loose to be worth it."""

LEAST = -37.0
"""The log of a probability that no uniform number of 53 bits falls below."""


class BetaArms(NamedTuple):
    """The kernel's arguments.

    Attributes:
        values: What one conversion of each arm earns, shape (K,).
        alpha: Conversions of each arm's prior, shape (K,).
        beta: Refusals of each arm's prior, shape (K,).
        alike: Whether all values are the same and above 0.
        screened: Whether the prior counts are whole, so that a tail is a binomial sum.
    """

    values: np.ndarray
    alpha: np.ndarray
    beta: np.ndarray
    alike: bool
    screened: bool


def size(arms: int) -> int:
    """Return numbers in the state: conversions, refusals, log binomials, mean values, scratch, the leader, its bound."""
    return 6 * arms + 2


@helper
def init(settings: BetaArms, state: np.ndarray) -> None:
    """Begin with every arm at its prior."""
    values, alpha, beta_counts = settings.values, settings.alpha, settings.beta
    count = values.size
    for arm in range(count):
        a, b = alpha[arm], beta_counts[arm]
        state[arm], state[count + arm] = a - 1.0, b - 1.0
        state[2 * count + arm] = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b + 1.0)
        state[3 * count + arm] = values[arm] * a / (a + b)
    _find_leader(state, count)


@helper
def update(settings: BetaArms, state: np.ndarray, visit: Visit, arm: int, outcome: float) -> None:
    """Count the outcome, move the arm's log binomial by one term, and the leader where it changes."""
    values = settings.values
    count = values.size
    total = state[arm] + state[count + arm] + 2.0
    if outcome > 0:
        state[arm] += 1.0
        state[2 * count + arm] += math.log(total / state[arm])
    else:
        state[count + arm] += 1.0
        state[2 * count + arm] += math.log(total / (state[count + arm] + 1.0))
    mean = values[arm] * (state[arm] + 1.0) / (total + 1.0)
    state[3 * count + arm] = mean
    if arm == int(state[6 * count]):
        if mean < state[6 * count + 1]:
            _find_leader(state, count)
    elif mean > state[6 * count + 1]:
        state[6 * count + 1] = mean
        if mean > state[3 * count + int(state[6 * count])]:
            _find_leader(state, count)


@helper
def select(settings: BetaArms, state: np.ndarray, visit: Visit, stream: np.ndarray) -> int:
    """Return one draw of each arm's posterior value; the arm of the highest."""
    values, active = settings.values, visit.active
    leader = int(state[6 * values.size])
    if not active[leader]:
        leader = _leader_of(state, active)
    if not settings.screened or values[leader] <= 0.0:
        return _drawn(values, state, active, stream)
    above = _above(values, settings.alike, state, leader, active, stream)
    if above == 0:
        return leader
    if above == 1:
        return int(state[4 * values.size])
    return _highest(values, state, leader, above, stream)


@helper
def _above(values: np.ndarray, alike: bool, state: np.ndarray, leader: int, active: np.ndarray, stream: np.ndarray) -> int:
    """Return how many arms' draws exceed the leader's; scratch holds which, and their draws, 0 where they were not needed.

    The leader's draw is left after them. All in one loop, for a call costs as much as an arm.
    """
    count = values.size
    x = beta_from_one(stream, state[leader] + 1.0, state[count + leader] + 1.0)
    log_x, log_rest, odds = math.log(x), math.log1p(-x), (1.0 - x) / x
    drawn = values[leader] * x
    key = word(stream)  # the arms' own numbers are named by it, which waits for no memory
    above = 0
    for arm in range(count):
        if arm == leader or not active[arm]:
            continue
        if not alike:
            if values[arm] <= drawn:
                continue
            x = drawn / values[arm]  # what its conversion must exceed to earn more than the leader's draw
            log_x, log_rest, odds = math.log(x), math.log1p(-x), (1.0 - x) / x
        wins, losses = state[arm], state[count + arm]
        ratio = wins * odds / (losses + 2.0)
        held = -1.0
        if ratio > DIRECT:
            own = beta_from_one(stream, wins + 1.0, losses + 1.0)
            if own > x:
                held = own
        else:
            u = as_uniform(keyed(key, arm))
            log_last = state[2 * count + arm] + wins * log_x + (losses + 1.0) * log_rest
            if log_last > LEAST:
                last = math.exp(log_last)
                if u * (1.0 - ratio) < last and _tail_exceeds(u, last, wins, losses, odds):
                    held = 0.0
        if held >= 0.0:
            state[4 * count + above], state[5 * count + above] = arm, held
            above += 1
    state[5 * count + above] = drawn
    return above


@helper
def _tail_exceeds(u: float, last: float, wins: float, losses: float, odds: float) -> bool:
    """Return whether u < P(Bin(n, x) <= wins), n = wins + losses + 1, summed from the last term until a bound decides."""
    total = term = last
    j, f = wins, losses + 2.0
    while j > 0.0:
        if u < total:
            return True
        term *= j * odds / f
        total += term
        j -= 1.0
        f += 1.0
        ratio = j * odds / f
        if ratio < 1.0 and u > total + term * ratio / (1.0 - ratio):
            return False
        if term < 1e-17 * total:
            break
    return u < total


@helper
def _highest(values: np.ndarray, state: np.ndarray, leader: int, above: int, stream: np.ndarray) -> int:
    """Return the arm of the highest value of those above the leader's draw; one that was not drawn is drawn from its tail."""
    count = values.size
    drawn = best = state[5 * count + above]
    winner = leader
    for i in range(above):
        arm, own = int(state[4 * count + i]), state[5 * count + i]
        if own == 0.0:
            own = _from_tail(state[arm], state[count + arm], drawn / values[arm], stream)
        if own * values[arm] > best:
            best, winner = own * values[arm], arm
    return winner


@helper
def _from_tail(wins: float, losses: float, x: float, stream: np.ndarray) -> float:
    """Return a draw of Beta(wins + 1, losses + 1) above x, by an exponential at x: the log density is concave."""
    slope = losses / (1.0 - x) - wins / x
    if slope <= 0.0:
        while True:
            drawn = beta_from_one(stream, wins + 1.0, losses + 1.0)
            if drawn > x:
                return drawn
    while True:
        e = exponential(stream)
        drawn = x + e / slope
        if drawn < 1.0:
            density = wins * (math.log(drawn) - math.log(x)) + losses * (math.log1p(-drawn) - math.log1p(-x))
            if math.log(1.0 - uniform(stream)) < density + e:
                return drawn


@helper
def _drawn(values: np.ndarray, state: np.ndarray, active: np.ndarray, stream: np.ndarray) -> int:
    """Return the arm with the highest draw, every arm drawn."""
    count = values.size
    best, winner = -math.inf, 0
    for arm in range(count):
        if active[arm]:
            drawn = values[arm] * beta(stream, state[arm] + 1.0, state[count + arm] + 1.0)
            if drawn > best:
                best, winner = drawn, arm
    return winner


@helper
def _find_leader(state: np.ndarray, count: int) -> None:
    """Store the arm of the highest posterior mean value, and the highest mean value of the other arms."""
    leader, second = 0, -math.inf
    for arm in range(1, count):
        mean = state[3 * count + arm]
        if mean > state[3 * count + leader]:
            second, leader = state[3 * count + leader], arm
        elif mean > second:
            second = mean
    state[6 * count], state[6 * count + 1] = leader, second


@helper
def _leader_of(state: np.ndarray, active: np.ndarray) -> int:
    """Return the arm of the highest posterior mean value among those that may be offered."""
    count = active.size
    leader = -1
    for arm in range(count):
        if active[arm] and (leader < 0 or state[3 * count + arm] > state[3 * count + leader]):
            leader = arm
    return leader
