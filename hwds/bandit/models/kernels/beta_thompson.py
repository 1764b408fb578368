"""Thompson sampling with Beta posteriors, compiled: the choice, and the chance of each arm."""

from __future__ import annotations

import math
from typing import NamedTuple

from numpy import ndarray

from hwds.bandit.models.kernels.base import Visit
from hwds.bandit.models.kernels.draws import (
    as_uniform,
    beta,
    beta_from_one,
    exponential,
    key_below,
    uniform,
    word,
)
from hwds.bandit.models.kernels.indices import beta_fraction
from hwds.core.compiling import helper

# The kernel of Thompson sampling with Beta posteriors, ranked by conversion x value: the exact
# law without most of its draws.
# The arm with the highest posterior mean, the leader, is drawn first. Another arm wins only if
# its own draw exceeds a threshold x, and P(Beta(S + 1, F + 1) > x) = P(Bin(S + F + 1, x) <= S)
# has a bound that two multiplications give; a uniform number above the bound settles the arm.
# Otherwise the binomial sum decides exactly. Of several arms above, the highest wins: each is
# drawn from its tail.

DIRECT_RATIO = 0.9
"""The ratio of the binomial sum from which its bound is too loose to be worth it."""

LEAST_LOG_CHANCE = -37.0
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

    values: ndarray
    alpha: ndarray
    beta: ndarray
    alike: bool
    screened: bool


@helper
def init(settings: BetaArms, state: ndarray) -> None:
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
def update(settings: BetaArms, state: ndarray, visit: Visit, arm: int, outcome: float) -> None:
    """Count the outcome, move the arm's log binomial by one term, and the leader where it
    changes.
    """
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
def select(settings: BetaArms, state: ndarray, visit: Visit, stream: ndarray) -> int:
    """Return one draw of each arm's posterior value; the arm of the highest."""
    values, active = settings.values, visit.active
    leader = int(state[6 * values.size])
    if not active[leader]:
        leader = _leader_of(state, active)
    if not settings.screened or values[leader] <= 0.0:
        return _highest_of_all_draws(values, state, active, stream)
    above = _count_above(values, settings.alike, state, leader, active, stream)
    if above == 0:
        return leader
    if above == 1:
        return int(state[4 * values.size])
    return _highest(values, state, leader, above, stream)


@helper
def _count_above(
    values: ndarray,
    alike: bool,
    state: ndarray,
    leader: int,
    active: ndarray,
    stream: ndarray,
) -> int:
    """Return how many arms' draws exceed the leader's.

    Scratch holds which, and their draws, 0 where they were not needed.

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
            x = (
                drawn / values[arm]
            )  # what its conversion must exceed to earn more than the leader's draw
            log_x, log_rest, odds = math.log(x), math.log1p(-x), (1.0 - x) / x
        wins, losses = state[arm], state[count + arm]
        ratio = wins * odds / (losses + 2.0)
        held = -1.0
        if ratio > DIRECT_RATIO:
            own = beta_from_one(stream, wins + 1.0, losses + 1.0)
            if own > x:
                held = own
        else:
            u = as_uniform(key_below(key, arm))
            log_last = state[2 * count + arm] + wins * log_x + (losses + 1.0) * log_rest
            if log_last > LEAST_LOG_CHANCE:
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
    """Return whether u < P(Bin(n, x) <= wins), n = wins + losses + 1, summed from the last term
    until a bound decides.
    """
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
def _highest(values: ndarray, state: ndarray, leader: int, above: int, stream: ndarray) -> int:
    """Return the arm of the highest value of those above the leader's draw.

    One that was not drawn is drawn from its tail.
    """
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
def _from_tail(wins: float, losses: float, x: float, stream: ndarray) -> float:
    """Return a draw of Beta(wins + 1, losses + 1) above x, by an exponential at x: the log density
    is concave.
    """
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
            density = wins * (math.log(drawn) - math.log(x)) + losses * (
                math.log1p(-drawn) - math.log1p(-x)
            )
            if math.log(1.0 - uniform(stream)) < density + e:
                return drawn


@helper
def _highest_of_all_draws(values: ndarray, state: ndarray, active: ndarray, stream: ndarray) -> int:
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
def _find_leader(state: ndarray, count: int) -> None:
    """Store the arm of the highest posterior mean value, and the highest mean value of the other
    arms.
    """
    leader, second = 0, -math.inf
    for arm in range(1, count):
        mean = state[3 * count + arm]
        if mean > state[3 * count + leader]:
            second, leader = state[3 * count + leader], arm
        elif mean > second:
            second = mean
    state[6 * count], state[6 * count + 1] = leader, second


@helper
def _leader_of(state: ndarray, active: ndarray) -> int:
    """Return the arm of the highest posterior mean value among those that may be offered."""
    count = active.size
    leader = -1
    for arm in range(count):
        if active[arm] and (leader < 0 or state[3 * count + arm] > state[3 * count + leader]):
            leader = arm
    return leader


# The probability of each arm of `beta_thompson` to be chosen: that its Beta draw times its
# value is the highest.
# Two arms of one value and whole counts have a finite sum (Miller 2014, Formulas for Bayesian
# A/B testing). Otherwise the chances are integrals, chance of a = integral of the density of a
# times the distributions of all others, taken in one sweep over the reward for all arms at
# once: in cells of a quarter of the least standard deviation there, by Simpson's rule, the
# distributions summed on the way. Errors are about 1e-6 (1e-4 for prior counts under 1, whose
# densities have poles). A sum of two arms costs about half a microsecond, a sweep about ten
# microseconds an arm.

RARE_LOG = 28.0
"""Minus the log of a chance that is left out at either end of a posterior."""

CELLS_PER_DEVIATION = 4.0
"""Cells to a standard deviation."""

LEAST_LOG_TERM = -600.0
"""The log of a first term below which a sum would begin with zeros."""

LOWEST_CHANCE = 1e-12
"""The chance of an arm that may be offered, at least; what is below is not known better."""

MOST_TERMS = 2000.0
"""Terms above which a sweep is faster than a sum."""


def beta_size(arms: int) -> int:
    """Return numbers in the state: conversions, refusals, log binomials, mean values and scratch of
    each arm, the leader, its bound, and two more for each arm to write on.
    """
    return 8 * arms + 2


@helper
def propensity(settings: BetaArms, state: ndarray, visit: Visit, chances: ndarray) -> None:
    """Fill the chance of each arm."""
    values, active = settings.values, visit.active
    count = values.size
    earning, free, one, other = 0, -1, -1, -1
    for arm in range(count):
        chances[arm] = 0.0
        if active[arm] and values[arm] > 0.0:
            one, other, earning = other, arm, earning + 1
        elif active[arm] and values[arm] == 0.0 and free < 0:
            free = arm
    if earning == 1:
        chances[other] = 1.0
    elif earning == 2 and settings.screened and values[one] == values[other]:
        above = _chances_of_two(state, count, one, other)
        if above < 0.0:
            _quadrature(values, state, active, chances, 1.0)
        else:
            above = min(max(above, LOWEST_CHANCE), 1.0 - LOWEST_CHANCE)
            chances[one], chances[other] = above, 1.0 - above
    elif earning:
        _quadrature(values, state, active, chances, 1.0)
    elif free >= 0:
        chances[free] = 1.0
    else:
        _quadrature(values, state, active, chances, -1.0)


@helper
def _chances_of_two(state: ndarray, count: int, one: int, other: int) -> float:
    """Return the probability that the first of two draws is higher, by the shortest of four sums.

    -1 if all are too long.
    """
    a, b = state[one] + 1.0, state[count + one] + 1.0
    c, d = state[other] + 1.0, state[count + other] + 1.0
    least = min(a, b, c, d)
    if least > MOST_TERMS:
        return -1.0
    if least == a:
        return _sum_of_terms(a, b, c, d)
    if least == d:
        return _sum_of_terms(d, c, b, a)
    below = _sum_of_terms(c, d, a, b) if least == c else _sum_of_terms(b, a, d, c)
    return 1.0 - below if below >= 0.0 else -1.0


@helper
def _sum_of_terms(a: float, b: float, c: float, d: float) -> float:
    """Return P(Beta(a, b) > Beta(c, d)) in `a` terms.

    -1 where the first is too small to begin with.
    """
    rest = b + d
    log_term = math.lgamma(rest) + math.lgamma(c + d) - math.lgamma(c + rest) - math.lgamma(d)
    if log_term < LEAST_LOG_TERM:
        return -1.0
    total = term = math.exp(log_term)
    for i in range(int(a) - 1):
        term *= (c + i) * (b + i) / ((c + rest + i) * (1.0 + i))
        total += term
    return min(total, 1.0)


@helper
def _quadrature(
    values: ndarray, state: ndarray, active: ndarray, chances: ndarray, sign: float
) -> None:
    """Write all probabilities by quadrature.

    `sign` is -1 for values all negative, among which the smallest draw wins.

    The state's scratch holds of each arm its density and distribution where the cell begins, and
    its density in the middle and at the end; a density of -1 marks an arm that cannot win.
    """
    count = values.size
    at, stop = _reward_range(values, state, active, sign)
    for arm in range(count):
        state[4 * count + arm] = -1.0
        if active[arm] and sign * values[arm] > 0.0:
            low, high = _arm_range(values, state, arm)
            if (high > at) if sign > 0 else (low < stop):
                state[5 * count + arm] = distribution(values, state, arm, at)
                state[4 * count + arm] = density(values, state, arm, at)
    while at < stop:
        width = min(_cell_width(values, state, at), stop - at)
        _add_cell(values, state, chances, at, width, sign)
        at += width
    total = 0.0
    for arm in range(count):
        if active[arm] and sign * values[arm] > 0.0:
            chances[arm] = max(chances[arm], LOWEST_CHANCE)
        total += chances[arm]
    for arm in range(count):
        chances[arm] /= total


@helper
def _add_cell(
    values: ndarray, state: ndarray, chances: ndarray, at: float, width: float, sign: float
) -> None:
    """Add what a cell gives to each chance, and move to its end.

    Without refusals a density falls to 0 at the arm's value.
    """
    count = values.size
    scratch = 6 * count + 2
    before, middle, after = 1.0, 1.0, 1.0
    for arm in range(count):
        first = state[4 * count + arm]
        if first < 0.0:
            continue
        half = state[scratch + arm] = density(values, state, arm, at + 0.5 * width)
        value = abs(values[arm])
        last = state[scratch + count + arm] = (
            density(values, state, arm, min(at + width, value)) if at < value else 0.0
        )
        begun = state[5 * count + arm]
        ended = min(begun + width / 6.0 * (first + 4.0 * half + last), 1.0)
        before *= _chance_not_in_way(begun, sign)
        middle *= _chance_not_in_way(0.5 * (begun + ended) + 0.125 * width * (first - last), sign)
        after *= _chance_not_in_way(ended, sign)
    for arm in range(count):
        first = state[4 * count + arm]
        if first < 0.0:
            continue
        half, last, begun = (
            state[scratch + arm],
            state[scratch + count + arm],
            state[5 * count + arm],
        )
        ended = min(begun + width / 6.0 * (first + 4.0 * half + last), 1.0)
        between = 0.5 * (begun + ended) + 0.125 * width * (first - last)
        chances[arm] += width / 6.0 * first * before / _chance_not_in_way(begun, sign)
        chances[arm] += width / 1.5 * half * middle / _chance_not_in_way(between, sign)
        chances[arm] += width / 6.0 * last * after / _chance_not_in_way(ended, sign)
        state[4 * count + arm] = last if at + width < abs(values[arm]) else 0.0
        state[5 * count + arm] = ended


@helper
def _chance_not_in_way(distribution: float, sign: float) -> float:
    """Return the chance that an arm does not stand in the way of a reward.

    Never quite 0, as it divides.
    """
    return max(distribution if sign > 0 else 1.0 - distribution, 1e-25)


@helper
def _reward_range(
    values: ndarray, state: ndarray, active: ndarray, sign: float
) -> tuple[float, float]:
    """Return the range of rewards in which the best arm's draw lies, but for a probability of
    exp(-RARE).
    """
    start, stop = -math.inf, -math.inf
    for arm in range(values.size):
        if active[arm] and sign * values[arm] > 0.0:
            low, high = _arm_range(values, state, arm)
            if sign < 0:
                low, high = -high, -low
            start, stop = max(start, low), max(stop, high)
    return (start, stop) if sign > 0 else (-stop, -start)


@helper
def _arm_range(values: ndarray, state: ndarray, arm: int) -> tuple[float, float]:
    """Return the range of an arm's reward, its sign apart, by Bernstein's inequality for the Beta
    law (Skorski 2023).
    """
    a, b = state[arm] + 1.0, state[values.size + arm] + 1.0
    n = a + b
    value, mean = abs(values[arm]), a / n
    reach = math.sqrt(2.0 * RARE_LOG * a * b / (n * n * (n + 1.0)))
    skew = 2.0 * RARE_LOG * (b - a) / (n * (n + 2.0))
    low = mean - reach - max(0.0, -2.0 * skew)
    high = mean + reach + max(0.0, 2.0 * skew)
    return value * max(low, 1e-30 if a < 1.0 else 0.0), value * min(high, 1.0)


@helper
def _cell_width(values: ndarray, state: ndarray, at: float) -> float:
    """Return the largest width of the cell that begins here."""
    count = values.size
    width = math.inf
    for arm in range(count):
        if state[4 * count + arm] < 0.0:
            continue
        low, high = _arm_range(values, state, arm)
        if at >= high:
            continue
        a, b, value = state[arm] + 1.0, state[count + arm] + 1.0, abs(values[arm])
        n = a + b
        if at < low:
            width = min(width, low - at)
            continue
        width = min(
            width, value * math.sqrt(a * b / (n + 1.0)) / n / CELLS_PER_DEVIATION, high - at
        )
        if a < 1.0:
            width = min(width, 0.15 * at)
        if b < 1.0:
            width = min(width, 0.15 * (value - at))
    return max(width, 1e-13 * at)


@helper
def density(values: ndarray, state: ndarray, arm: int, reward: float) -> float:
    """Return the density of an arm's reward, its sign apart."""
    count = values.size
    value = abs(values[arm])
    a, b, x = state[arm], state[count + arm], reward / value
    if x <= 0.0:
        return (b + 1.0) / value if a == 0.0 else 0.0
    if x >= 1.0:
        return (a + 1.0) / value if b == 0.0 and x == 1.0 else 0.0
    return (
        (b + 1.0) / value * math.exp(state[2 * count + arm] + a * math.log(x) + b * math.log1p(-x))
    )


@helper
def distribution(values: ndarray, state: ndarray, arm: int, reward: float) -> float:
    """Return the chance that an arm's reward, its sign apart, is below one."""
    count = values.size
    a, b, x = state[arm] + 1.0, state[count + arm] + 1.0, reward / abs(values[arm])
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    front = b * math.exp(state[2 * count + arm] + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1.0) / (a + b + 2.0):
        return front * beta_fraction(a, b, x, 1e-14) / a
    return 1.0 - front * beta_fraction(b, a, 1.0 - x, 1e-14) / b
