"""The loop of a simulation, compiled with a policy's kernel: its arrays, estimates and steps."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from hwds.bandit.models.kernels.base import (
    Visit,
    call_init,
    call_offered,
    call_propensity,
    call_select,
    call_update,
)
from hwds.bandit.models.kernels.draws import as_uniform, key_below
from hwds.core.compiling import helper, helper_options

# Estimates of the value of each arm in an adaptive game: the sums that a simulation keeps while
# it plays.
# The mean of an arm's own steps is too low on average: an arm that begins badly is dropped
# before it can recover (Nie, Tian, Taylor and Zou 2018). With the chance e_t(a) that the policy
# gave the arm before it chose, and a guess m_t(a) from earlier steps, G_t(a) = m_t(a) + [a
# chosen] (reward - m_t(a)) / e_t(a) has the mean of the arm whatever came before. Over all
# steps at which the arm was on offer:
#     ipw            the mean of G with m = 0: inverse-propensity weights; unbiased, its variance
#                    is that of 1 / e;
#     aipw           the mean of G: augmented; unbiased, less varied;
#     aipw_weighted  the mean of G weighted by sqrt(e): least varied, asymptotically normal, with
#                    a bias that fades (Hadad, Hirshberg, Zhan, Wager and Athey 2021, constant
#                    allocation).
# Thompson sampling of two arms of .5, 500 steps: raw is off by -.026 on average with a standard
# deviation of .075, ipw by 0 and .098, aipw by 0 and .079, aipw_weighted by -.015 and .069.
# Unbiased is not sure: an arm that was all but dropped has a wide interval and a rare large
# weight. An arm whose chance was 0 while it was on offer (greedy, an upper confidence bound)
# has none of the three. None corrects the choice of the highest of several estimates: what is
# recommended is to be measured again.

ESTIMATE_METHODS = ("ipw", "aipw", "aipw_weighted")

(
    STEPS,
    IPW,
    IPW_SQUARES,
    AIPW,
    AIPW_SQUARES,
    ROOTS,
    ROOT_AIPW,
    CHANCES,
    CHANCE_AIPW,
    CHANCE_SQUARES,
    NEVER,
) = range(11)
"""The sums of each arm: the number of steps, of G and its square without and with a guess, of
sqrt(e), sqrt(e) G, e, e G, e G^2; and whether its chance was ever 0.
"""


class NoEstimates(NamedTuple):
    """The arrays of a game that estimates nothing."""

    unused: int


class EstimatorArrays(NamedTuple):
    """The arrays that are read and written while a game is played.

    Attributes:
        values: What a conversion of each arm earns, shape (K,).
        pulls: Times each arm was chosen, which the game counts, shape (K,).
        wins: Conversions of each arm, too.
        chances: Of the arms at a step, shape (K,).
        sums: Shape (11, K).
    """

    values: ndarray
    pulls: ndarray
    wins: ndarray
    chances: ndarray
    sums: ndarray


def estimator_arrays(
    values: ndarray, pulls: ndarray, wins: ndarray, estimates_wanted: bool
) -> NoEstimates | EstimatorArrays:
    """Return room for one thread.

    It tells compiled code whether to estimate, so that a game without estimates pays nothing.
    """
    return (
        EstimatorArrays(
            values, pulls, wins, np.zeros(values.size), np.zeros((NEVER + 1, values.size))
        )
        if estimates_wanted
        else NoEstimates(0)
    )


def observe_step(
    arrays: Any, settings: Any, state: ndarray, visit: Visit, arm: int, converts: bool
) -> None:
    """Add a step, before the policy learns from it and before it is among the pulls and wins, in
    compiled code.
    """
    raise NotImplementedError("observe_step is for compiled code")


def write_estimates(arrays: Any, estimates: ndarray, row: int) -> None:
    """Write the estimates of a game, and make room for the next, in compiled code."""
    raise NotImplementedError("write_estimates is for compiled code")


@cache
def register_estimates() -> None:
    """Register `observe_step` and `write_estimates` for compiled code."""
    from numba.extending import overload

    for stub, nothing, something in (
        (observe_step, _observe_nothing, _observe),
        (write_estimates, _conclude_nothing, _conclude),
    ):
        overload(stub, jit_options=helper_options(), strict=False)(_by_arrays(nothing, something))  # type: ignore[arg-type]


def _by_arrays(nothing: Callable[..., None], something: Callable[..., None]) -> Callable[..., Any]:
    return lambda arrays, *arguments: (
        something if arrays.instance_class is EstimatorArrays else nothing
    )


def _observe_nothing(
    arrays: Any, settings: Any, state: ndarray, visit: Visit, arm: int, converts: bool
) -> None:
    pass


def _observe(
    arrays: Any, settings: Any, state: ndarray, visit: Visit, arm: int, converts: bool
) -> None:
    values, pulls, wins, chances, sums = arrays
    active = visit.active
    call_propensity(settings, state, visit, chances)
    for i in range(values.size):
        if active[i]:
            guess = values[i] * (wins[i] + 1.0) / (pulls[i] + 2.0)
            reward = values[i] if converts else 0.0
            _add_step(sums, i, i == arm, chances[i], reward, guess)


@helper
def _add_step(
    sums: ndarray, arm: int, chosen: bool, chance: float, reward: float, guess: float
) -> None:
    """Add one step of one arm that was on offer."""
    plain = reward / chance if chosen else 0.0
    augmented = guess + (reward - guess) / chance if chosen else guess
    root = np.sqrt(chance)
    sums[STEPS, arm] += 1.0
    sums[IPW, arm] += plain
    sums[IPW_SQUARES, arm] += plain * plain
    sums[AIPW, arm] += augmented
    sums[AIPW_SQUARES, arm] += augmented * augmented
    sums[ROOTS, arm] += root
    sums[ROOT_AIPW, arm] += root * augmented
    sums[CHANCES, arm] += chance
    sums[CHANCE_AIPW, arm] += chance * augmented
    sums[CHANCE_SQUARES, arm] += chance * augmented * augmented
    if chance <= 0.0:
        sums[NEVER, arm] = 1.0


def _conclude_nothing(arrays: Any, estimates: ndarray, row: int) -> None:
    pass


def _conclude(arrays: Any, estimates: ndarray, row: int) -> None:
    sums = arrays.sums
    for arm in range(arrays.chances.size):
        if sums[NEVER, arm] == 0.0 and sums[STEPS, arm] > 0.0:
            _estimate(sums, arm, estimates, row)
    sums[:] = 0.0


@helper
def _estimate(sums: ndarray, arm: int, estimates: ndarray, row: int) -> None:
    """Write the three estimates of an arm and their standard errors, those of a martingale's
    increments.
    """
    n = sums[STEPS, arm]
    for method in range(2):
        mean = sums[IPW + 2 * method, arm] / n
        spread = max(sums[IPW_SQUARES + 2 * method, arm] - n * mean * mean, 0.0)
        estimates[row, method, arm, 0], estimates[row, method, arm, 1] = mean, np.sqrt(spread) / n
    total = sums[ROOTS, arm]
    mean = sums[ROOT_AIPW, arm] / total
    spread = (
        sums[CHANCE_SQUARES, arm]
        - 2.0 * mean * sums[CHANCE_AIPW, arm]
        + mean * mean * sums[CHANCES, arm]
    )
    estimates[row, 2, arm, 0], estimates[row, 2, arm, 1] = mean, np.sqrt(max(spread, 0.0)) / total


def estimate(
    arms: ndarray,
    converts: ndarray,
    values: ndarray,
    chances: ndarray,
    offered: ndarray,
) -> ndarray:
    """Return the same from a log of n steps, in numpy.

    Args:
        arms: Chosen, shape (n,).
        converts: Whether the customer bought, shape (n,).
        values: What a conversion of each arm earns, shape (K,).
        chances: Of every arm at every step, before the choice, shape (n, K).
        offered: Whether an arm was on offer, shape (n, K).

    Returns:
        Shape (3, K, 2): by method of `ESTIMATE_METHODS` and arm, the estimate and its standard
            error, NaN where there is none.
    """
    chosen = arms[:, None] == np.arange(len(values))
    pulls, wins = (
        np.cumsum(table, axis=0) - table for table in (chosen, chosen & converts[:, None])
    )
    guesses = values * (wins + 1) / (pulls + 2)
    inverse = chosen / np.where(chosen, chances, 1.0)
    plain = inverse * converts[:, None] * values
    augmented = guesses + inverse * (converts[:, None] * values - guesses)
    terms = (plain, offered), (augmented, offered), (augmented, np.sqrt(chances) * offered)
    never = np.logical_or(~offered.any(axis=0), np.any(offered & (chances <= 0), axis=0))
    return np.where(
        never.reshape(-1, 1), np.nan, np.stack([_weighted_mean(*pair) for pair in terms])
    )


def _weighted_mean(values: ndarray, weights: ndarray) -> ndarray:
    total = np.maximum(weights.sum(axis=0), 1e-300)  # else of an arm that was never on offer
    mean = (weights * values).sum(axis=0) / total
    return np.stack(
        [mean, np.sqrt(np.square(weights * (values - mean)).sum(axis=0)) / total], axis=1
    )


# The arrays that the loop of a simulation reads and writes.


class MarketArrays(NamedTuple):
    """A world as compiled code reads it; see `frames.world.World`.

    `values` are what conversions bring on average, `fixed` is the best fixed arm. `amounts` is
    empty where the policy does not learn from amounts, or there are none.
    """

    values: ndarray
    cumulative: ndarray
    contexts: ndarray
    starts: ndarray
    cycle: int
    conversions: ndarray
    present: ndarray
    best: ndarray
    best_arm: ndarray
    fixed: int
    stay: float
    window: int
    lifts: ndarray
    amounts: ndarray


class ReplicationTally(NamedTuple):
    """The results of a block of n replications at C checkpoints; money is summed from the first
    step.

    Attributes:
        pseudo: Expected reward of the best arm of each moment and segment less that of the arm
            chosen, shape (n, C).
        fixed: The same against the best fixed arm, shape (n, C).
        realised: What the best arms would have earned from the same customers less what was earned,
            shape (n, C).
        pulls: Times each arm was chosen, shape (n, C, K).
        chosen: The arm of that very step, shape (n, C).
        ideal: Whether no arm was better then, for that customer, shape (n, C).
        wins: Conversions of each arm by the end, shape (n, K).
        closed: Times each arm was chosen in offers whose window was over, and their batch full, by
            the end, shape (n, K).
        closed_wins: Those of them whose conversion was seen, shape (n, K).
        by_segment: `pseudo` of each segment by the end, shape (n, S).
        visits: Customers of each segment, shape (n, S).
        wrong: The first step at which an absent arm was chosen, -1 where none was, shape (n,).
        estimates: What each arm earns, estimated, with its standard error, shape (n, methods, K,
            2); see `arm_estimates`.
    """

    pseudo: ndarray
    fixed: ndarray
    realised: ndarray
    pulls: ndarray
    chosen: ndarray
    ideal: ndarray
    wins: ndarray
    closed: ndarray
    closed_wins: ndarray
    by_segment: ndarray
    visits: ndarray
    wrong: ndarray
    estimates: ndarray


class ReplicationScratch(NamedTuple):
    """The arrays that replications write on, one after the other: compiled code makes no arrays.

    Attributes:
        state: The policy's state.
        stream: The policy's stream.
        pending: Outcomes that wait, see `_post`; empty where each is seen at once.
        pulls: Of each arm.
        wins: Of each arm.
        estimator: For the estimates of arms.
    """

    state: ndarray
    stream: ndarray
    pending: ndarray
    pulls: ndarray
    wins: ndarray
    estimator: NoEstimates | EstimatorArrays


# The loop of a simulation: plain functions that are compiled together with a policy's kernel.
# The world's draws are named by (seed, replication, step, arm), so that every policy meets the
# same customers, and what another arm would have earned is known. A replication depends on its
# own number alone: not on how many there are, nor on threads. A policy's own random numbers come
# from elsewhere (`play.policy_streams`).

SEGMENT, DELAY, AMOUNT = -2, 1 << 20, 1 << 21
"""Names of draws beside the arms' own, which are numbered from 0."""


def replicate(
    settings: Any,
    market: MarketArrays,
    horizon: int,
    batch: int,
    checkpoints: ndarray,
    key: np.uint64,
    first: int,
    streams: ndarray,
    scratch: ReplicationScratch,
    tally: ReplicationTally,
) -> None:
    """Play all replications of a tally, one after the other; the first has the number `first`."""
    for row in range(tally.wrong.size):
        own = key_below(key, first + row)
        for i in range(4):
            scratch.stream[i] = streams[row, i]
        scratch.state[:] = 0.0
        scratch.pulls[:] = 0
        scratch.wins[:] = 0
        call_init(settings, scratch.state)
        if scratch.pending.shape[0]:
            scratch.pending[0], scratch.pending[1] = -1, -1
        _replication(settings, market, horizon, batch, checkpoints, own, scratch, row, tally)


@helper
def _replication(
    settings: Any,
    market: MarketArrays,
    horizon: int,
    batch: int,
    checkpoints: ndarray,
    key: np.uint64,
    scratch: ReplicationScratch,
    row: int,
    tally: ReplicationTally,
) -> None:
    state, stream, pending, pulls, wins, arrays = scratch
    arms = market.values.size
    values, conversions, best, best_arm = (
        market.values,
        market.conversions,
        market.best,
        market.best_arm,
    )
    cumulative, starts, cycle, always = market.cumulative, market.starts, market.cycle, market.fixed
    apart = starts.size > 1 or cumulative.size > 0  # else the best arm is one, the fixed one
    pseudo, fixed, realised = 0.0, 0.0, 0.0
    moment, segment, reached = 0, 0, 0
    context, active = market.contexts[0], market.present[0]
    for step in range(horizon):
        name = key_below(key, step)
        if starts.size > 1:
            moment = _moment(starts, cycle, step, moment)
            active = market.present[moment]
        if cumulative.size:
            segment = _segment(cumulative, as_uniform(key_below(name, SEGMENT)))
            context = market.contexts[segment]
        visit = Visit(step, segment, context, active, float(step))
        arm = call_select(settings, state, visit, stream)
        if arm < 0 or arm >= arms or not active[arm]:
            tally.wrong[row] = step
            return
        call_offered(settings, state, visit, arm)
        converts = as_uniform(key_below(name, arm)) < conversions[moment, segment, arm]
        observe_step(arrays, settings, state, visit, arm, converts)
        earned = conversions[moment, segment, arm] * values[arm]
        lost = best[moment, segment] - earned
        pseudo += lost
        if apart:
            fixed += conversions[moment, segment, always] * values[always] - earned
        ideal = best_arm[moment, segment]
        would = (
            as_uniform(key_below(name, ideal)) < conversions[moment, segment, ideal]
        )  # always: a branch is guessed wrong
        realised += values[ideal] * would - values[arm] * converts
        pulls[arm] += 1
        wins[arm] += 1 if converts else 0
        if cumulative.size:
            tally.by_segment[row, segment] += lost
            tally.visits[row, segment] += 1
        if pending.shape[0] == 0:
            call_update(
                settings,
                state,
                visit,
                arm,
                _amount_of(market, arm, _draw_amount(market, name, arm)) if converts else 0.0,
            )
        else:
            _queue_outcome(market, pending, batch, step, arm, segment, converts, name)
            _deliver_outcomes(settings, state, market, pending, batch, horizon, visit, row, tally)
        if step + 1 == checkpoints[reached]:
            _write_checkpoint(
                tally,
                row,
                reached,
                (pseudo, fixed if apart else pseudo, realised),
                pulls,
                arm,
                lost <= 0.0,
            )
            reached += 1
    write_estimates(arrays, tally.estimates, row)
    _write_counts(tally, row, pulls, wins, pending.shape[0] == 0)
    if not cumulative.size:
        tally.by_segment[row, 0], tally.visits[row, 0] = pseudo, horizon


@helper
def _write_checkpoint(
    tally: ReplicationTally,
    row: int,
    reached: int,
    lost: tuple[float, float, float],
    pulls: ndarray,
    chosen: int,
    ideal: bool,
) -> None:
    """Write a checkpoint down."""
    tally.pseudo[row, reached], tally.fixed[row, reached], tally.realised[row, reached] = lost
    tally.chosen[row, reached], tally.ideal[row, reached] = chosen, ideal
    for arm in range(pulls.size):
        tally.pulls[row, reached, arm] = pulls[arm]


@helper
def _write_counts(
    tally: ReplicationTally, row: int, pulls: ndarray, wins: ndarray, at_once: bool
) -> None:
    """Write the arms' counts down; where all is seen at once, nothing is open."""
    for arm in range(pulls.size):
        tally.wins[row, arm] = wins[arm]
        if at_once:
            tally.closed[row, arm], tally.closed_wins[row, arm] = pulls[arm], wins[arm]


@helper
def _moment(starts: ndarray, cycle: int, step: int, moment: int) -> int:
    """Return the moment of a step, given that of the step before."""
    if cycle > 0:
        step %= cycle
        if step == 0:
            return 0
    return moment + 1 if moment + 1 < starts.size and starts[moment + 1] == step else moment


@helper
def _segment(cumulative: ndarray, drawn: float) -> int:
    segment = 0
    while segment < cumulative.size and drawn >= cumulative[segment]:
        segment += 1
    return segment


@helper
def _draw_amount(market: MarketArrays, name: np.uint64, arm: int) -> int:
    """Return the number of the amount that a conversion brings, from 1.

    1 where it brings the arm's value.
    """
    return (
        1 + int(as_uniform(key_below(name, AMOUNT + arm)) * market.amounts.size)
        if market.amounts.size
        else 1
    )


@helper
def _amount_of(market: MarketArrays, arm: int, number: int) -> float:
    """Return what a conversion brings over the arm's value, by the number of its amount."""
    return market.lifts[arm] * market.amounts[number - 1] if market.amounts.size else 1.0


@helper
def _queue_outcome(
    market: MarketArrays,
    pending: ndarray,
    batch: int,
    step: int,
    arm: int,
    segment: int,
    converts: bool,
    name: np.uint64,
) -> None:
    """Queue an outcome for the end of the batch in which it is seen.

    The rows of `pending`: first and last of each slot's queue, the next of each offer, the offer,
    its step. Slots and offers are numbered by step, in a ring that is longer than any outcome
    waits.
    """
    slots = pending.shape[1]
    wait = market.window
    seen = converts
    if converts and wait > 0:
        wait = int(np.log(1.0 - as_uniform(key_below(name, DELAY + arm))) / np.log(market.stay))
        seen = wait <= market.window
        wait = min(wait, market.window)
    slot = ((step + wait) // batch * batch + batch - 1) % slots
    offer = step % slots
    pending[2, offer] = -1
    number = _draw_amount(market, name, arm) if seen else 0
    pending[3, offer] = (segment * market.values.size + arm) * (
        max(market.amounts.size, 1) + 1
    ) + number
    pending[4, offer] = step
    if pending[0, slot] < 0:
        pending[0, slot] = offer
    else:
        pending[2, pending[1, slot]] = offer
    pending[1, slot] = offer


@helper
def _deliver_outcomes(
    settings: Any,
    state: ndarray,
    market: MarketArrays,
    pending: ndarray,
    batch: int,
    horizon: int,
    now: Visit,
    row: int,
    tally: ReplicationTally,
) -> None:
    """Let the policy learn, at the end of a batch, what is seen by then, oldest first.

    `active` is that of now.

    Those are counted of which nothing more is to come by the end of the last full batch: of others
    only conversions are seen.
    """
    if (now.step + 1) % batch:
        return
    slot = now.step % pending.shape[1]
    offer = pending[0, slot]
    arms, numbers = market.values.size, max(market.amounts.size, 1) + 1
    closing = horizon - horizon % batch - market.window
    while offer >= 0:
        code = pending[3, offer]
        segment, arm, number = code // numbers // arms, code // numbers % arms, code % numbers
        visit = Visit(
            pending[4, offer],
            segment,
            market.contexts[segment],
            now.active,
            float(pending[4, offer]),
        )
        call_update(settings, state, visit, arm, _amount_of(market, arm, number) if number else 0.0)
        if visit.step < closing:
            tally.closed[row, arm] += 1
            tally.closed_wins[row, arm] += 1 if number else 0
        offer = pending[2, offer]
    pending[0, slot], pending[1, slot] = -1, -1
