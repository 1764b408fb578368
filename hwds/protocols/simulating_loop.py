"""The loop of a simulation: plain functions that are compiled together with a policy's kernel.

The world's draws are named by (seed, replication, step, arm), so that every policy meets the same customers, and what another
arm would have earned is known. A replication depends on its own number alone: not on how many there are, nor on threads.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hwds.compiled import helper
from hwds.models.bandit.draws import as_uniform, keyed, seed_stream
from hwds.models.bandit.kernel import Visit, begin, choose, learn
from hwds.protocols.arm_estimates import Blank, Notes, conclude, observe

SEGMENT, POLICY, DELAY = -2, -1, 1 << 20
"""Names of draws beside the arms' own, which are numbered from 0."""


class Market(NamedTuple):
    """A world as compiled code reads it; see `frames.world.World`. `fixed` is the best fixed arm."""

    values: np.ndarray
    cumulative: np.ndarray
    contexts: np.ndarray
    starts: np.ndarray
    cycle: int
    conversions: np.ndarray
    present: np.ndarray
    best: np.ndarray
    best_arm: np.ndarray
    fixed: int
    stay: float
    window: int


class Tally(NamedTuple):
    """What a block of n replications leaves at C checkpoints; money is summed from the first step.

    Attributes:
        pseudo: Expected reward of the best arm of each moment and segment less that of the arm chosen, shape (n, C).
        fixed: The same against the best fixed arm, shape (n, C).
        realised: What the best arms would have earned from the same customers less what was earned, shape (n, C).
        pulls: Times each arm was chosen, shape (n, C, K).
        wins: Conversions of each arm by the end, shape (n, K).
        by_segment: `pseudo` of each segment by the end, shape (n, S).
        visits: Customers of each segment, shape (n, S).
        wrong: The first step at which an absent arm was chosen, -1 where none was, shape (n,).
        estimates: What each arm earns, estimated, with its standard error, shape (n, methods, K, 2); see `arm_estimates`.
    """

    pseudo: np.ndarray
    fixed: np.ndarray
    realised: np.ndarray
    pulls: np.ndarray
    wins: np.ndarray
    by_segment: np.ndarray
    visits: np.ndarray
    wrong: np.ndarray
    estimates: np.ndarray


class Scratch(NamedTuple):
    """What one replication after the other writes on: compiled code makes no arrays.

    Attributes:
        state: The policy's state.
        stream: The policy's stream.
        pending: Outcomes that wait, see `_post`; empty where each is seen at once.
        pulls: Of each arm.
        wins: Of each arm.
        notes: For the estimates of arms.
    """

    state: np.ndarray
    stream: np.ndarray
    pending: np.ndarray
    pulls: np.ndarray
    wins: np.ndarray
    notes: Blank | Notes


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
    """All replications of a tally, one after the other; the first has the number `first`."""
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
    state, stream, pending, pulls, wins, notes = scratch
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
        visit = Visit(step, segment, context, active)
        arm = choose(settings, state, visit, stream)
        if arm < 0 or arm >= arms or not active[arm]:
            tally.wrong[row] = step
            return
        converts = as_uniform(keyed(name, arm)) < conversions[moment, segment, arm]
        observe(notes, settings, state, visit, arm, converts)
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
            learn(settings, state, visit, arm, 1.0 if converts else 0.0)
        else:
            _post(market, pending, batch, step, arm, segment, converts, name)
            _deliver(settings, state, market, pending, batch, visit)
        if step + 1 == checkpoints[reached]:
            _note(tally, row, reached, pseudo, fixed if apart else pseudo, realised, pulls)
            reached += 1
    conclude(notes, tally.estimates, row)
    for i in range(arms):
        tally.wins[row, i] = wins[i]
    if not cumulative.size:
        tally.by_segment[row, 0], tally.visits[row, 0] = pseudo, horizon


@helper
def _note(tally: Tally, row: int, reached: int, pseudo: float, fixed: float, realised: float, pulls: np.ndarray) -> None:
    """Write a checkpoint down."""
    tally.pseudo[row, reached], tally.fixed[row, reached], tally.realised[row, reached] = pseudo, fixed, realised
    for arm in range(pulls.size):
        tally.pulls[row, reached, arm] = pulls[arm]


@helper
def _moment(starts: np.ndarray, cycle: int, step: int, moment: int) -> int:
    """The moment of a step, given that of the step before."""
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
    pending[3, offer] = (segment * market.values.size + arm) * 2 + (1 if seen else 0)
    pending[4, offer] = step
    if pending[0, slot] < 0:
        pending[0, slot] = offer
    else:
        pending[2, pending[1, slot]] = offer
    pending[1, slot] = offer


@helper
def _deliver(settings: Any, state: np.ndarray, market: Market, pending: np.ndarray, batch: int, now: Visit) -> None:
    """At the end of a batch, let the policy learn what is seen, oldest first; `active` is that of now."""
    if (now.step + 1) % batch:
        return
    slot = now.step % pending.shape[1]
    offer = pending[0, slot]
    arms = market.values.size
    while offer >= 0:
        told = pending[3, offer]
        segment = told // 2 // arms
        visit = Visit(pending[4, offer], segment, market.contexts[segment], now.active)
        learn(settings, state, visit, told // 2 % arms, 1.0 if told % 2 else 0.0)
        offer = pending[2, offer]
    pending[0, slot], pending[1, slot] = -1, -1
