"""Playing a compiled policy in a world: the arrays that the loop reads and writes, and threads that share replications."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from hwds.bandit.models.kernels.base import Kernel, registered
from hwds.bandit.protocols.simulation.arm_estimates import METHODS, estimator_arrays, register_estimates
from hwds.bandit.protocols.simulation.arrays import Market, Scratch, Tally
from hwds.bandit.protocols.simulation.loop import replicate
from hwds.core.numba_cache import compiled
from hwds.frames.world import World


@dataclass(frozen=True, slots=True)
class Game:
    """The settings of a game: steps, decisions between two updates, and the steps at which results are written down.

    Where `estimates` is set, chances are kept and the arms' values estimated.
    """

    horizon: int
    batch: int
    checkpoints: tuple[int, ...]
    estimates: bool = False


def market_of(world: World, horizon: int, *, amounts: bool = False) -> Market:
    """Return the world as compiled code reads it; `amounts` where the policy learns what conversions brought."""
    amounts &= world.brings_amounts
    return Market(
        np.ascontiguousarray(world.worth, np.float64),
        np.cumsum(world.shares)[:-1],
        np.ascontiguousarray(world.contexts, np.float64),
        np.asarray(world.starts, np.int64),
        int(world.cycle),
        np.ascontiguousarray(world.conversions, np.float64),
        np.ascontiguousarray(world.present),
        np.ascontiguousarray(world.best),
        np.argmax(world.rewards, axis=2),
        world.fixed(horizon),
        world.delay / (1.0 + world.delay),
        int(world.window) if world.delay else 0,
        np.broadcast_to(np.asarray(world.lifts, np.float64), len(world.arms)).copy(),
        np.ascontiguousarray(world.amounts if len(world.amounts) else np.ones(1)) if amounts else np.zeros(0),
    )


def scratch_of(kernel: Kernel, market: Market, game: Game) -> Scratch:
    """Return room for one thread."""
    slots, arms = market.window + game.batch + 1, len(market.values)
    pending = np.zeros((5 if slots > 2 else 0, slots), np.int64)
    counts = np.zeros(arms, np.uint32), np.zeros(arms, np.uint32)
    arrays = estimator_arrays(market.values, *counts, game.estimates and kernel.propensity is not None)
    return Scratch(np.zeros(kernel.size), np.zeros(4, np.uint64), pending, *counts, arrays)


def empty_tally(world: World, game: Game, n: int) -> Tally:
    """Return a tally of n replications, all zero."""
    steps, arms, segments = len(game.checkpoints), len(world.arms), len(world.segments)
    return Tally(
        pseudo=np.zeros((n, steps)),
        fixed=np.zeros((n, steps)),
        realised=np.zeros((n, steps)),
        pulls=np.zeros((n, steps, arms), np.uint32),
        chosen=np.zeros((n, steps), np.uint32),
        ideal=np.zeros((n, steps), bool),
        wins=np.zeros((n, arms), np.uint32),
        closed=np.zeros((n, arms), np.uint32),
        closed_wins=np.zeros((n, arms), np.uint32),
        by_segment=np.zeros((n, segments)),
        visits=np.zeros((n, segments), np.uint32),
        wrong=np.full(n, -1, np.int64),
        estimates=np.full((n, len(METHODS) if game.estimates else 0, arms, 2), np.nan),
    )


def play(kernel: Kernel, world: World, game: Game, key: int, start: int, stop: int, threads: int = 1) -> Tally:
    """Play replications `start` to `stop` (excluded) on so many threads, with the same result on any number of them.

    Args:
        kernel: The policy's law.
        world: Where it is played.
        game: How.
        key: Names the world's draws and the policy's.
        start: The first replication.
        stop: The one after the last.
        threads: How many share the replications.

    Raises:
        ValueError: The policy chose an arm that is absent.
    """
    registered(kernel)
    register_estimates()
    run = compiled(replicate, *kernel.functions)
    tally, market = empty_tally(world, game, stop - start), market_of(world, game.horizon, amounts=kernel.amounts)
    steps = np.array(game.checkpoints, np.int64)

    def share(bounds: tuple[int, int]) -> None:
        first, last = bounds
        part = Tally(*(array[first:last] for array in tally))
        scratch = scratch_of(kernel, market, game)
        run(kernel.settings, market, game.horizon, game.batch, steps, np.uint64(key), start + first, scratch, part)

    bounds = np.linspace(0, stop - start, max(1, threads) + 1).astype(int)
    shares = list(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True))
    share((0, 0))  # compiled, or read from disk, once
    if threads > 1:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(share, shares))
    else:
        share(shares[0])
    if (tally.wrong >= 0).any():
        where = int(np.argmax(tally.wrong >= 0))
        raise ValueError(f"an absent arm was chosen at step {tally.wrong[where]} of replication {start + where}")
    return tally
