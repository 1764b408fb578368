"""Compiled helpers that policies share: means, regressions, indices, the highest, shares."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import ndarray

from hwds.bandit.models.kernels.base import Arms, Function, Kernel, Visit
from hwds.bandit.models.kernels.draws import uniform
from hwds.core.compiling import helper

# The state of the policies that go by the mean reward of each arm: pulls, sums of rewards,
# means, and an index as scratch.


def begin_with_zeros(settings: Any, state: ndarray) -> None:
    """Begin with a state that is all zero."""


def means_size(arms: int) -> int:
    """Return numbers in the state."""
    return 4 * arms


def means_kernel(
    settings: Any, arms: Arms, select: Function, propensity: Function | None = None
) -> Kernel:
    """Return the kernel of a policy that goes by the mean reward of each arm."""
    return Kernel(settings, means_size(arms.count), means_init, select, means_update, propensity)


def means_init(settings: Any, state: ndarray) -> None:
    """Begin without pulls; the mean of an arm that was never pulled is infinite, so that it is
    tried before all others.
    """
    count = settings.values.size
    for arm in range(count):
        state[2 * count + arm] = np.inf


def means_update(settings: Any, state: ndarray, visit: Visit, arm: int, outcome: float) -> None:
    """Count the pull, whose reward is outcome x value."""
    count_pull(settings.values, state, arm, outcome)


@helper
def count_pull(values: ndarray, state: ndarray, arm: int, outcome: float) -> None:
    """Count the pull; the mean is made of sums, so that equal histories are ties to the last
    bit.
    """
    count = values.size
    state[arm] += 1.0
    state[count + arm] += outcome * values[arm]
    state[2 * count + arm] = state[count + arm] / state[arm]


# Ridge regression for each arm on the context and an intercept, kept up to date outcome by
# outcome, in compiled code.
# The state holds a block for each arm: pulls, the inverse of ridge I + sum x x' (d x d), the
# sum of y x, and the coefficients. An outcome changes the inverse by a product of vectors
# (Sherman and Morrison 1950), so that nothing is ever inverted.

INVERSE_PLACE = 1
"""The position of the inverse in a block."""


def ridge_size(arms: int, columns: int) -> int:
    """Return numbers in the state: the blocks, then scratch for a number of each arm, and for a
    vector.
    """
    return ridge_scratch(arms, columns) + arms + columns + 1


@helper
def ridge_block(columns: int) -> int:
    """Return numbers of one arm, for d - 1 columns of context: pulls, inverse, sum,
    coefficients.
    """
    d = columns + 1
    return 1 + d * d + 2 * d


@helper
def ridge_scratch(arms: int, columns: int) -> int:
    """Return the position at which a policy may write a number for each arm."""
    return arms * ridge_block(columns)


@helper
def ridge_begin(state: ndarray, arms: int, columns: int, ridge: float) -> None:
    """Begin without outcomes: the inverse is I / ridge, all else zero."""
    d = columns + 1
    for arm in range(arms):
        first = arm * ridge_block(columns) + INVERSE_PLACE
        for i in range(d):
            state[first + i * d + i] = 1.0 / ridge


@helper
def ridge_entry(context: ndarray, i: int) -> float:
    """Return the i-th regressor; the intercept comes last."""
    return context[i] if i < context.size else 1.0


@helper
def ridge_mean(state: ndarray, arm: int, context: ndarray) -> float:
    """Return the fitted value of an arm for a customer."""
    d = context.size + 1
    first = arm * ridge_block(d - 1) + INVERSE_PLACE + d * d + d
    fitted = state[first + d - 1]
    for i in range(d - 1):
        fitted += context[i] * state[first + i]
    return fitted


@helper
def ridge_leverage(state: ndarray, arm: int, context: ndarray) -> float:
    """Return x' A^-1 x: the variance of the fitted value, over that of one outcome."""
    d = context.size + 1
    first = arm * ridge_block(d - 1) + INVERSE_PLACE
    form = 0.0
    for i in range(d):
        x = ridge_entry(context, i)
        if x == 0.0:
            continue
        row = state[first + i * d + d - 1]
        for j in range(d - 1):
            row += state[first + i * d + j] * context[j]
        form += x * row
    return max(form, 0.0)


@helper
def ridge_pulls(state: ndarray, arm: int, columns: int) -> float:
    """Return the number of outcomes of an arm."""
    return state[arm * ridge_block(columns)]


@helper
def ridge_total(state: ndarray, arm: int, columns: int) -> float:
    """Return the sum of an arm's outcomes: that of y times the intercept."""
    d = columns + 1
    return state[arm * ridge_block(columns) + INVERSE_PLACE + d * d + d - 1]


@helper
def ridge_absorb(state: ndarray, arms: int, arm: int, context: ndarray, y: float) -> None:
    """Add an outcome of an arm: A^-1 loses (A^-1 x)(A^-1 x)' / (1 + x' A^-1 x), and the
    coefficients move along A^-1 x.
    """
    d = context.size + 1
    first, vector = arm * ridge_block(d - 1), ridge_scratch(arms, d - 1) + arms
    inverse, sums = first + INVERSE_PLACE, first + INVERSE_PLACE + d * d
    error, spread = y - ridge_mean(state, arm, context), 1.0
    for i in range(d):
        moved = 0.0
        for j in range(d):
            moved += state[inverse + i * d + j] * ridge_entry(context, j)
        state[vector + i] = moved
        spread += ridge_entry(context, i) * moved
    for i in range(d):
        for j in range(d):
            state[inverse + i * d + j] -= state[vector + i] * state[vector + j] / spread
        state[sums + i] += y * ridge_entry(context, i)
        state[sums + d + i] += state[vector + i] * error / spread
    state[first] += 1.0


# Compiled helpers that policies share: the highest of the numbers of a state, draws in
# proportion, confidence bounds.
# The numbers stand in the flat state from a place `first` on, one for each arm: compiled code
# keeps no slices.

NEWTON_TOLERANCE = 1e-6
"""The last step of Newton's method, as a share of the way to the nearer edge: what is left is about
its square.
"""


@helper
def highest(state: ndarray, first: int, active: ndarray, stream: ndarray) -> int:
    """Return the arm of the highest number among those that may be offered.

    Equals have equal chances.

    Written without a branch to guess wrong: which arm leads changes often, and nothing else here
    costs as much.
    """
    best, chosen, ties = -math.inf, 0, 0
    for arm in range(active.size):
        own = state[first + arm] if active[arm] else -math.inf
        better = own > best
        ties = 1 if better else ties + (own == best)
        chosen = arm if better else chosen
        best = own if better else best
    return chosen if ties == 1 else _one_of(state, first, active, best, ties, stream)


@helper
def _one_of(
    state: ndarray, first: int, active: ndarray, best: float, ties: int, stream: ndarray
) -> int:
    """Return one of the equals."""
    left = int(uniform(stream) * ties)
    for arm in range(active.size):
        if active[arm] and state[first + arm] == best:
            if left == 0:
                return arm
            left -= 1
    return any_arm(active, stream)


@helper
def chances_of_highest(state: ndarray, first: int, active: ndarray, chances: ndarray) -> None:
    """Write the probabilities with which `highest` chooses."""
    best, ties = -math.inf, 0
    for arm in range(active.size):
        if active[arm]:
            best = max(best, state[first + arm])
    for arm in range(active.size):
        if active[arm] and state[first + arm] == best:
            ties += 1
    for arm in range(active.size):
        chances[arm] = 1.0 / ties if active[arm] and state[first + arm] == best else 0.0


@helper
def any_arm(active: ndarray, stream: ndarray) -> int:
    """Return one of the arms that may be offered."""
    left = int(uniform(stream) * active.sum())
    for arm in range(active.size):
        if active[arm]:
            if left == 0:
                return arm
            left -= 1
    return 0


@helper
def next_offered(active: ndarray, arm: int) -> int:
    """Return the arm itself, or the first after it that may be offered, in a ring."""
    while not active[arm]:
        arm = (arm + 1) % active.size
    return arm


@helper
def in_proportion(state: ndarray, first: int, active: ndarray, stream: ndarray) -> int:
    """Return an arm drawn with a chance in proportion to its weight, among those that may be
    offered.
    """
    total = 0.0
    for arm in range(active.size):
        total += state[first + arm] if active[arm] else 0.0
    left = uniform(stream) * total
    chosen = 0
    for arm in range(active.size):
        if active[arm] and state[first + arm] > 0.0:
            chosen = arm
            left -= state[first + arm]
            if left < 0.0:
                break
    return chosen


@helper
def chances_in_proportion(state: ndarray, first: int, active: ndarray, chances: ndarray) -> None:
    """Write the probabilities with which `in_proportion` draws."""
    total = 0.0
    for arm in range(active.size):
        total += state[first + arm] if active[arm] else 0.0
    for arm in range(active.size):
        chances[arm] = state[first + arm] / total if active[arm] else 0.0


@helper
def kl_upper(mean: float, level: float) -> float:
    """Return the greatest q with kl(mean, q) <= level, for Bernoulli laws (Garivier and Cappe
    2011).

    Newton's method from the root of the expansion at the mean; kl is convex in q, so from its
    second step on it comes from above.
    """
    if mean >= 1.0 or level <= 0.0:
        return mean
    if mean <= 0.0:
        return -math.expm1(-level)
    rest = 1.0 - mean
    known = mean * math.log(mean) + rest * math.log(rest) - level
    q = mean + math.sqrt(2.0 * mean * rest * level) + 2.0 / 3.0 * (rest - mean) * level
    if q >= 1.0 or q <= mean:
        q = 0.5 * (1.0 + mean)
    for _ in range(60):
        if q <= mean:  # no more than rounding lies between them
            return mean
        over = known - mean * math.log(q) - rest * math.log1p(-q)
        closer = q - over * q * (1.0 - q) / (q - mean)
        if closer >= 1.0:
            closer = 0.5 * (1.0 + q)
        if abs(closer - q) <= NEWTON_TOLERANCE * min(q - mean, 1.0 - q):
            return closer
        if closer == q:
            return q
        q = closer
    return q


@helper
def beta_upper(a: float, b: float, log_beta: float, tail: float) -> float:
    """Return the x that Beta(a, b) exceeds with probability `tail`.

    Newton's method on the log of the probability, which is concave for a and b of at least 1 and
    then comes from above; halves the interval where it leaves it. It starts where exp(-(a + b) kl),
    with the factor of a normal tail, says.

    Args:
        a: Conversions, above 0.
        b: Refusals, above 0.
        log_beta: The log of the beta function of a and b.
        tail: Between 0 and 1.
    """
    low, high = 0.0, 1.0
    x = kl_upper(a / (a + b), _log_normal_tail(tail) / (a + b))
    if not 0.0 < x < 1.0:
        x = a / (a + b)
    for _ in range(200):
        above = beta_tail(a, b, log_beta, x)
        if above > tail:
            low = x
        else:
            high = x
        closer = -1.0
        if above > 0.0:
            log_density = (a - 1.0) * math.log(x) + (b - 1.0) * math.log1p(-x) - log_beta
            closer = x + math.log(above / tail) * above / math.exp(max(log_density, -700.0))
        near = NEWTON_TOLERANCE * min(x, 1.0 - x)
        if not low < closer < high:
            closer, near = 0.5 * (low + high), 0.0
        if closer >= 1.0 or abs(closer - x) <= near:  # no float is nearer to 1, or to x
            return closer
        x = closer
    return x


@helper
def _log_normal_tail(tail: float) -> float:
    """Return about half the square of the standard normal's upper quantile, 0 from 1/2 on."""
    if tail >= 0.1:
        return 1.25 * math.pi * max(0.0, 0.5 - tail) ** 2
    level = -math.log(tail)
    return level - 0.5 * math.log(4.0 * math.pi * (level - 1.0))


@helper
def beta_tail(a: float, b: float, log_beta: float, x: float) -> float:
    """Return P(Beta(a, b) > x) for 0 < x < 1, by the continued fraction of the incomplete beta
    function (DLMF 8.17.22).
    """
    front = math.exp(a * math.log(x) + b * math.log1p(-x) - log_beta)
    if x < (a + 1.0) / (a + b + 2.0):
        return 1.0 - front * beta_fraction(a, b, x, 1e-15) / a
    return front * beta_fraction(b, a, 1.0 - x, 1e-15) / b


@helper
def beta_fraction(a: float, b: float, x: float, tolerance: float) -> float:
    """Return the continued fraction of the incomplete beta function, by Lentz's method; x lies
    below (a + 1) / (a + b + 2).
    """
    c, d = 1.0, 1.0 / (1.0 - (a + b) * x / (a + 1.0))
    total = d
    for m in range(1, 100_000):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        d = 1.0 / (1.0 + even * d)
        c = 1.0 + even / c
        total *= c * d
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        d = 1.0 / (1.0 + odd * d)
        c = 1.0 + odd / c
        total *= c * d
        if abs(c * d - 1.0) < tolerance:
            break
    return total
