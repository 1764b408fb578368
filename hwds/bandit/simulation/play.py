"""Playing policies in a world: compiled in threads, by batches, and first on toy games."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise
from typing import Any

import numpy as np
from numpy import ndarray

from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels.base import Arms, BatchKernel, Kernel, Visit, register_kernel
from hwds.bandit.models.kernels.draws import as_uniform, key_below, seed_stream
from hwds.bandit.simulation.loop import (
    DELAY,
    ESTIMATE_METHODS,
    SEGMENT,
    MarketArrays,
    ReplicationScratch,
    ReplicationTally,
    estimate,
    estimator_arrays,
    register_estimates,
    replicate,
)
from hwds.core.compiling import compiled
from hwds.evaluation.protocol import WrongAnswerError
from hwds.frames.world import World

# The keys of a game: customers are named by one, and a policy's own random numbers come from a
# one-way hash of it, for a generator that is invertible would tell its policy the customers.

CUSTOMER_KEYS = 1 << 31
"""Customers are named by the rest of the game's key; their names tell nothing of the others."""


def customers_of(key: int) -> np.uint64:
    """Return the key of the draws of a game's customers."""
    return np.uint64(key % CUSTOMER_KEYS)


def policy_streams(key: int, start: int, stop: int) -> ndarray:
    """Return the stream of a policy's own random numbers in each replication, by a keyed hash
    (BLAKE2b, RFC 7693).

    Shape (n, 4), uint64. Neither a stream nor the customers tell the other: the hash cannot be
    inverted, and the customers' key is a quarter of what it is keyed with.
    """
    secret = key.to_bytes(16, "little")
    hashes = (
        blake2b(row.to_bytes(8, "little"), digest_size=32, key=secret, person=b"hwds policy")
        for row in range(start, stop)
    )
    return np.frombuffer(b"".join(each.digest() for each in hashes), "<u8").reshape(-1, 4)


# Playing a compiled policy in a world: the arrays that the loop reads and writes, and threads
# that share replications.


@dataclass(frozen=True, slots=True)
class Game:
    """The settings of a game: steps, decisions between two updates, and the steps at which results
    are written down.

    Where `estimates` is set, chances are kept and the arms' values estimated.
    """

    horizon: int
    batch: int
    checkpoints: tuple[int, ...]
    estimates: bool = False


def market_of(world: World, horizon: int, *, amounts: bool = False) -> MarketArrays:
    """Return the world as compiled code reads it.

    `amounts` where the policy learns what conversions brought.
    """
    drawn = np.zeros(0)
    if amounts and world.brings_amounts:
        drawn = np.ascontiguousarray(world.amounts if len(world.amounts) else np.ones(1))
    return MarketArrays(
        np.ascontiguousarray(world.worth, np.float64),
        np.cumsum(world.shares)[:-1],
        np.ascontiguousarray(world.contexts, np.float64),
        np.asarray(world.starts, np.int64),
        int(world.cycle),
        np.ascontiguousarray(world.conversions, np.float64),
        np.ascontiguousarray(world.present),
        np.ascontiguousarray(world.best),
        np.argmax(world.rewards, axis=2),
        world.best_fixed_arm(horizon),
        world.delay / (1.0 + world.delay),
        int(world.window) if world.delay else 0,
        np.broadcast_to(np.asarray(world.lifts, np.float64), len(world.arms)).copy(),
        drawn,
    )


def scratch_of(kernel: Kernel, market: MarketArrays, game: Game) -> ReplicationScratch:
    """Return room for one thread."""
    slots, arms = market.window + game.batch + 1, len(market.values)
    pending = np.zeros((5 if slots > 2 else 0, slots), np.int64)
    counts = np.zeros(arms, np.uint32), np.zeros(arms, np.uint32)
    estimates_wanted = game.estimates and kernel.propensity is not None
    arrays = estimator_arrays(market.values, *counts, estimates_wanted)
    return ReplicationScratch(
        np.zeros(kernel.size), np.zeros(4, np.uint64), pending, *counts, arrays
    )


def empty_tally(world: World, game: Game, n: int) -> ReplicationTally:
    """Return a tally of n replications, all zero."""
    steps, arms, segments = len(game.checkpoints), len(world.arms), len(world.segments)
    methods = len(ESTIMATE_METHODS) if game.estimates else 0

    def money(*shape: int) -> ndarray:
        return np.zeros((n, *shape))

    def counts(*shape: int) -> ndarray:
        return np.zeros((n, *shape), np.uint32)

    return ReplicationTally(
        pseudo=money(steps),
        fixed=money(steps),
        realised=money(steps),
        pulls=counts(steps, arms),
        chosen=counts(steps),
        ideal=np.zeros((n, steps), bool),
        wins=counts(arms),
        closed=counts(arms),
        closed_wins=counts(arms),
        by_segment=money(segments),
        visits=counts(segments),
        wrong=np.full(n, -1, np.int64),
        estimates=np.full((n, methods, arms, 2), np.nan),
    )


def play_compiled(
    kernel: Kernel, world: World, game: Game, key: int, start: int, stop: int, threads: int = 1
) -> ReplicationTally:
    """Play replications `start` to `stop` (excluded) on so many threads, with the same result on
    any number of them.

    Args:
        kernel: The policy's law.
        world: Where it is played.
        game: Its settings.
        key: The game's, below 2**128; see `customers_of` and `policy_streams`.
        start: The first replication.
        stop: The one after the last.
        threads: The number of threads that share the replications.

    Raises:
        ValueError: The policy chose an arm that is absent.
    """
    register_kernel(kernel)
    register_estimates()
    run = compiled(replicate, *kernel.functions)
    tally = empty_tally(world, game, stop - start)
    market = market_of(world, game.horizon, amounts=kernel.amounts)
    steps = np.array(game.checkpoints, np.int64)
    settings = kernel.settings, market, game.horizon, game.batch, steps, customers_of(key)

    def share(first: int, last: int) -> None:
        part = ReplicationTally(*(array[first:last] for array in tally))
        streams = policy_streams(key, start + first, start + last)
        run(*settings, start + first, streams, scratch_of(kernel, market, game), part)

    bounds = np.linspace(0, stop - start, max(1, threads) + 1).astype(int).tolist()
    share(0, 0)  # compiled, or read from disk, once
    if threads > 1:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(share, bounds[:-1], bounds[1:]))
    else:
        share(*bounds)
    if (tally.wrong >= 0).any():
        where = int(np.argmax(tally.wrong >= 0))
        raise ValueError(
            f"an absent arm was chosen at step {tally.wrong[where]} of replication {start + where}"
        )
    return tally


# Playing a policy that decides and learns by batches, in numpy or Keras: the same customers as
# the compiled loop's.


def play_batches(
    kernel: BatchKernel, world: World, game: Game, key: int, start: int, stop: int
) -> ReplicationTally:
    """Play replications `start` to `stop` (excluded), see `play_compiled`."""
    tally, market = empty_tally(world, game, stop - start), market_of(world, game.horizon)
    for row, stream in enumerate(policy_streams(key, start, stop)):
        own = word_keys(customers_of(key), start + row)
        generator = np.random.Generator(np.random.Philox(key=stream[:2]))
        _batch_replication(kernel, market, game, own, generator, row, tally)
    return tally


def _batch_replication(
    kernel: BatchKernel,
    market: MarketArrays,
    game: Game,
    key: np.uint64,
    generator: np.random.Generator,
    row: int,
    tally: ReplicationTally,
) -> None:
    state = kernel.start(int(generator.integers(2**31)))
    steps = np.arange(game.horizon)
    names = word_keys(key, steps)
    moments = _update_moments(market, steps)
    segments = np.searchsorted(
        market.cumulative, as_uniforms(word_keys(names, np.int64(SEGMENT))), side="right"
    )
    arms, seen_at = np.zeros(game.horizon, np.int64), np.full(game.horizon, -1)
    converts, seen = np.zeros((2, game.horizon), bool)
    weigh = kernel.propensity if game.estimates else None
    chances = np.zeros((game.horizon if weigh else 0, len(market.values)))
    for first in range(0, game.horizon, game.batch):
        now = slice(first, min(first + game.batch, game.horizon))
        for moment, part in _outcomes_by_moment(moments[now], first):
            here, active = segments[part], market.present[moment]
            customers = state, first, here, market.contexts[here], active
            arms[part] = kernel.select(*customers, generator)
            if weigh:
                chances[part] = weigh(*customers)
        draws = as_uniforms(word_keys(names[now], arms[now]))
        converts[now] = draws < market.conversions[moments[now], segments[now], arms[now]]
        seen_at[now], seen[now] = _seen_outcomes(
            market, names[now], steps[now], arms[now], converts[now]
        )
        due = np.flatnonzero((seen_at[: now.stop] >= 0) & (seen_at[: now.stop] < now.stop))
        if len(due):
            contexts = market.contexts[segments[due]]
            state = kernel.update(
                state, due, segments[due], contexts, arms[due], seen[due].astype(float)
            )
            seen_at[due] = -1
    _write_tally(market, game, names, moments, segments, arms, converts, row, tally)
    closed = max(game.horizon - game.horizon % game.batch - market.window, 0)
    tally.closed[row] = np.bincount(arms[:closed], minlength=len(market.values))
    tally.closed_wins[row] = np.bincount(arms[:closed][seen[:closed]], minlength=len(market.values))
    if weigh:
        tally.estimates[row] = estimate(
            arms, converts, market.values, chances, market.present[moments]
        )


def _write_tally(
    market: MarketArrays,
    game: Game,
    names: ndarray,
    moments: ndarray,
    segments: ndarray,
    arms: ndarray,
    converts: ndarray,
    row: int,
    tally: ReplicationTally,
) -> None:
    """Write the tally of one replication."""
    wrong = ~market.present[moments, arms]
    if wrong.any():
        tally.wrong[row] = int(np.argmax(wrong))
        raise ValueError(f"an absent arm was chosen at step {tally.wrong[row]}")
    earned = market.conversions[moments, segments, arms] * market.values[arms]
    lost = market.best[moments, segments] - earned
    always = market.conversions[moments, segments, market.fixed] * market.values[market.fixed]
    ideal = market.best_arm[moments, segments]
    would = as_uniforms(word_keys(names, ideal)) < market.conversions[moments, segments, ideal]
    realised = np.where(
        ideal == arms, 0.0, would * market.values[ideal] - converts * market.values[arms]
    )
    ends = np.array(game.checkpoints) - 1
    for array, values in (
        (tally.pseudo, lost),
        (tally.fixed, always - earned),
        (tally.realised, realised),
    ):
        array[row] = np.cumsum(values)[ends]
    chosen = arms[:, None] == np.arange(len(market.values))
    tally.pulls[row] = np.cumsum(chosen, axis=0)[ends]
    tally.chosen[row], tally.ideal[row] = arms[ends], lost[ends] <= 0.0
    tally.wins[row] = np.bincount(arms[converts], minlength=len(market.values))
    tally.by_segment[row] = np.bincount(segments, lost, tally.by_segment.shape[1])
    tally.visits[row] = np.bincount(segments, minlength=tally.visits.shape[1])


def _seen_outcomes(
    market: MarketArrays,
    names: ndarray,
    steps: ndarray,
    arms: ndarray,
    converts: ndarray,
) -> tuple[ndarray, ndarray]:
    """Return the step at which each outcome is seen, and whether it is seen as a conversion."""
    if not market.window:
        return steps, converts
    drawn = as_uniforms(word_keys(names, DELAY + arms))
    waits = np.where(converts, np.log1p(-drawn) / np.log(market.stay), market.window).astype(
        np.int64
    )
    return steps + np.minimum(waits, market.window), converts & (waits <= market.window)


def _update_moments(market: MarketArrays, steps: ndarray) -> ndarray:
    turned = steps % market.cycle if market.cycle else steps
    return np.searchsorted(market.starts, turned, side="right") - 1


def _outcomes_by_moment(moments: ndarray, first: int) -> list[tuple[int, slice]]:
    """Return the runs of a batch within which nothing changes."""
    edges = [0, *(np.flatnonzero(np.diff(moments)) + 1).tolist(), len(moments)]
    return [(int(moments[a]), slice(first + a, first + b)) for a, b in pairwise(edges)]


_keys_below: Any = key_below
as_uniforms: Any = as_uniform
"""Functions of compiled code, which Python may call on arrays, too."""


def word_keys(key: Any, number: Any) -> Any:
    """Return `draws.key_below` on arrays."""
    with np.errstate(over="ignore"):
        return _keys_below(np.asarray(key, np.uint64), np.asarray(number))


# A policy of a user's own, played in plain Python on two toy games before it is compiled.
# Compiled code does not look whether an index lies in the state, so that too small a one ends
# the process; here it is a line.

TOY_STEPS = 40
"""Customers of a game."""


def try_policy(model: Policy, arms: Arms) -> None:
    """Play two games, in which every third customer buys.

    Raises:
        WrongAnswerError: The policy returns no kernel, or chooses an arm that is not offered.
        IndexError: It reads or writes beyond its state.
    """
    kernel = model.kernel(arms)
    if isinstance(kernel, BatchKernel):
        return
    if not isinstance(kernel, Kernel):
        raise WrongAnswerError(f"kernel must return a Kernel, got {type(kernel).__name__}")
    for game in (0, 1):
        with np.errstate(all="ignore"):  # random words overflow, as they do when compiled
            _play_toy(kernel, arms, game)


def _play_toy(kernel: Kernel, arms: Arms, game: int) -> None:
    state, stream, active = np.zeros(kernel.size), np.zeros(4, np.uint64), np.ones(arms.count, bool)
    seed_stream(stream, key_below(np.uint64(game + 1), 0))
    active[-1] = arms.count < 3 or not game  # the second game leaves an arm out
    kernel.init(kernel.settings, state)
    for step in range(TOY_STEPS):
        segment = step % len(arms.contexts)
        visit = Visit(step, segment, arms.contexts[segment], active, float(step))
        arm = kernel.select(kernel.settings, state, visit, stream)
        if not (float(arm) == int(arm) and 0 <= arm < arms.count and active[int(arm)]):
            offered = np.flatnonzero(active).tolist()
            raise WrongAnswerError(
                f"select of a state of {kernel.size} numbers must return one of the arms "
                f"{offered}, got {arm!r}"
            )
        if kernel.offered is not None:
            kernel.offered(kernel.settings, state, visit, int(arm))
        kernel.update(kernel.settings, state, visit, int(arm), float(step % 3 == 0))
