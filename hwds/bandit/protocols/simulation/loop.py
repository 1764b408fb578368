"""The loop of a simulation: plain functions that are compiled together with a policy's kernel.

The world's draws are named by (seed, replication, step, arm), so that every policy meets the same customers, and what another
arm would have earned is known. A replication depends on its own number alone: not on how many there are, nor on threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hwds.bandit.models.kernels.base import Visit, begin, choose, learn, show
from hwds.bandit.models.kernels.draws import as_uniform, keyed, seed_stream
from hwds.bandit.protocols.simulation.arm_estimates import conclude, observe
from hwds.bandit.protocols.simulation.arrays import Market, Scratch, Tally
from hwds.core.numba_cache import helper

SEGMENT, POLICY, DELAY, AMOUNT = -2, -1, 1 << 20, 1 << 21
"""Names of draws beside the arms' own, which are numbered from 0."""


def replicate(
    settings: Any,
    market: Market,
    horizon: int,
    batch: int,
    checkpoints: np.ndarray,
    key: np.uint64,
    first: int,
    scratch: Scratch,
    tally: Tally,
) -> None:
    """Play all replications of a tally, one after the other; the first has the number `first`."""
    for row in range(tally.wrong.size):
        own = keyed(key, first + row)
        seed_stream(scratch.stream, keyed(own, POLICY))
        scratch.state[:] = 0.0
        scratch.pulls[:] = 0
        scratch.wins[:] = 0
        begin(settings, scratch.state)
        if scratch.pending.shape[0]:
            scratch.pending[0], scratch.pending[1] = -1, -1
        _replication(settings, market, horizon, batch, checkpoints, own, scratch, row, tally)


@helper
def _replication(
    settings: Any,
    market: Market,
    horizon: int,
    batch: int,
    checkpoints: np.ndarray,
    key: np.uint64,
    scratch: Scratch,
    row: int,
    tally: Tally,
) -> None:
    state, stream, pending, pulls, wins, arrays = scratch
    arms = market.values.size
    values, conversions, best, best_arm = market.values, market.conversions, market.best, market.best_arm
    cumulative, starts, cycle, always = market.cumulative, market.starts, market.cycle, market.fixed
    apart = starts.size > 1 or cumulative.size > 0  # else the best arm is one, the fixed one
    pseudo, fixed, realised = 0.0, 0.0, 0.0
    moment, segment, reached = 0, 0, 0
    context, active = market.contexts[0], market.present[0]
    for step in range(horizon):
        name = keyed(key, step)
        if starts.size > 1:
            moment = _moment(starts, cycle, step, moment)
            active = market.present[moment]
        if cumulative.size:
            segment = _segment(cumulative, as_uniform(keyed(name, SEGMENT)))
            context = market.contexts[segment]
        visit = Visit(step, segment, context, active, float(step))
        arm = choose(settings, state, visit, stream)
        if arm < 0 or arm >= arms or not active[arm]:
            tally.wrong[row] = step
            return
        show(settings, state, visit, arm)
        converts = as_uniform(keyed(name, arm)) < conversions[moment, segment, arm]
        observe(arrays, settings, state, visit, arm, converts)
        earned = conversions[moment, segment, arm] * values[arm]
        lost = best[moment, segment] - earned
        pseudo += lost
        if apart:
            fixed += conversions[moment, segment, always] * values[always] - earned
        ideal = best_arm[moment, segment]
        would = as_uniform(keyed(name, ideal)) < conversions[moment, segment, ideal]  # always: a branch is guessed wrong
        realised += values[ideal] * would - values[arm] * converts
        pulls[arm] += 1
        wins[arm] += 1 if converts else 0
        if cumulative.size:
            tally.by_segment[row, segment] += lost
            tally.visits[row, segment] += 1
        if pending.shape[0] == 0:
            learn(settings, state, visit, arm, _brought(market, arm, _drawn_amount(market, name, arm)) if converts else 0.0)
        else:
            _post(market, pending, batch, step, arm, segment, converts, name)
            _deliver(settings, state, market, pending, batch, horizon, visit, row, tally)
        if step + 1 == checkpoints[reached]:
            _note(tally, row, reached, (pseudo, fixed if apart else pseudo, realised), pulls, arm, lost <= 0.0)
            reached += 1
    conclude(arrays, tally.estimates, row)
    _count(tally, row, pulls, wins, pending.shape[0] == 0)
    if not cumulative.size:
        tally.by_segment[row, 0], tally.visits[row, 0] = pseudo, horizon


@helper
def _note(
    tally: Tally, row: int, reached: int, lost: tuple[float, float, float], pulls: np.ndarray, chosen: int, ideal: bool
) -> None:
    """Write a checkpoint down."""
    tally.pseudo[row, reached], tally.fixed[row, reached], tally.realised[row, reached] = lost
    tally.chosen[row, reached], tally.ideal[row, reached] = chosen, ideal
    for arm in range(pulls.size):
        tally.pulls[row, reached, arm] = pulls[arm]


@helper
def _count(tally: Tally, row: int, pulls: np.ndarray, wins: np.ndarray, at_once: bool) -> None:
    """Write the arms' counts down; where all is seen at once, nothing is open."""
    for arm in range(pulls.size):
        tally.wins[row, arm] = wins[arm]
        if at_once:
            tally.closed[row, arm], tally.closed_wins[row, arm] = pulls[arm], wins[arm]


@helper
def _moment(starts: np.ndarray, cycle: int, step: int, moment: int) -> int:
    """Return the moment of a step, given that of the step before."""
    if cycle > 0:
        step %= cycle
        if step == 0:
            return 0
    return moment + 1 if moment + 1 < starts.size and starts[moment + 1] == step else moment


@helper
def _segment(cumulative: np.ndarray, drawn: float) -> int:
    segment = 0
    while segment < cumulative.size and drawn >= cumulative[segment]:
        segment += 1
    return segment


@helper
def _drawn_amount(market: Market, name: np.uint64, arm: int) -> int:
    """Return the number of the amount that a conversion brings, from 1; 1 where it brings the arm's value."""
    return 1 + int(as_uniform(keyed(name, AMOUNT + arm)) * market.amounts.size) if market.amounts.size else 1


@helper
def _brought(market: Market, arm: int, number: int) -> float:
    """Return what a conversion brings over the arm's value, by the number of its amount."""
    return market.lifts[arm] * market.amounts[number - 1] if market.amounts.size else 1.0


@helper
def _post(
    market: Market, pending: np.ndarray, batch: int, step: int, arm: int, segment: int, converts: bool, name: np.uint64
) -> None:
    """Queue an outcome for the end of the batch in which it is seen.

    The rows of `pending`: first and last of each slot's queue, the next of each offer, the offer, its step. Slots and offers
    are numbered by step, in a ring that is longer than any outcome waits.
    """
    slots = pending.shape[1]
    wait = market.window
    seen = converts
    if converts and wait > 0:
        wait = int(np.log(1.0 - as_uniform(keyed(name, DELAY + arm))) / np.log(market.stay))
        seen = wait <= market.window
        wait = min(wait, market.window)
    slot = ((step + wait) // batch * batch + batch - 1) % slots
    offer = step % slots
    pending[2, offer] = -1
    number = _drawn_amount(market, name, arm) if seen else 0
    pending[3, offer] = (segment * market.values.size + arm) * (max(market.amounts.size, 1) + 1) + number
    pending[4, offer] = step
    if pending[0, slot] < 0:
        pending[0, slot] = offer
    else:
        pending[2, pending[1, slot]] = offer
    pending[1, slot] = offer


@helper
def _deliver(
    settings: Any,
    state: np.ndarray,
    market: Market,
    pending: np.ndarray,
    batch: int,
    horizon: int,
    now: Visit,
    row: int,
    tally: Tally,
) -> None:
    """Let the policy learn, at the end of a batch, what is seen by then, oldest first; `active` is that of now.

    Those are counted of which nothing more is to come by the end of the last full batch: of others only conversions are seen.
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
        visit = Visit(pending[4, offer], segment, market.contexts[segment], now.active, float(pending[4, offer]))
        learn(settings, state, visit, arm, _brought(market, arm, number) if number else 0.0)
        if visit.step < closing:
            tally.closed[row, arm] += 1
            tally.closed_wins[row, arm] += 1 if number else 0
        offer = pending[2, offer]
    pending[0, slot], pending[1, slot] = -1, -1
