"""Playing a policy that decides and learns by batches, in numpy or Keras: the same customers as the compiled loop's."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from hwds.bandit.models.kernels.base import BatchKernel
from hwds.bandit.protocols.simulation.arm_estimates import estimate
from hwds.bandit.protocols.simulation.arrays import Market, Tally
from hwds.bandit.protocols.simulation.loop import DELAY, SEGMENT
from hwds.bandit.protocols.simulation.play import Game, empty_tally, market_of
from hwds.frames.world import World

GOLDEN, FIRST, SECOND = (np.uint64(word) for word in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def play_batches(kernel: BatchKernel, world: World, game: Game, key: int, start: int, stop: int) -> Tally:
    """Play replications `start` to `stop` (excluded), see `simulating.play`."""
    tally, market = empty_tally(world, game, stop - start), market_of(world, game.horizon)
    for row in range(stop - start):
        _replication(kernel, market, game, keyed(np.uint64(key), np.int64(start + row)), row, tally)
    return tally


def _replication(kernel: BatchKernel, market: Market, game: Game, key: np.uint64, row: int, tally: Tally) -> None:
    generator = np.random.Generator(np.random.Philox(key=int(keyed(key, np.int64(-1)))))
    state = kernel.start(int(generator.integers(2**31)))
    steps = np.arange(game.horizon)
    names = keyed(key, steps)
    moments = _moments(market, steps)
    segments = np.searchsorted(market.cumulative, as_uniform(keyed(names, np.int64(SEGMENT))), side="right")
    arms, converts = np.zeros(game.horizon, np.int64), np.zeros(game.horizon, bool)
    seen_at = np.full(game.horizon, -1)
    seen = np.zeros(game.horizon, bool)
    weigh = kernel.propensity if game.estimates else None
    chances = np.zeros((game.horizon if weigh else 0, len(market.values)))
    for first in range(0, game.horizon, game.batch):
        now = slice(first, min(first + game.batch, game.horizon))
        for moment, part in _by_moment(moments[now], first):
            arms[part] = kernel.select(
                state, first, segments[part], market.contexts[segments[part]], market.present[moment], generator
            )
            if weigh:
                chances[part] = weigh(state, first, segments[part], market.contexts[segments[part]], market.present[moment])
        draws = as_uniform(keyed(names[now], arms[now]))
        converts[now] = draws < market.conversions[moments[now], segments[now], arms[now]]
        seen_at[now], seen[now] = _seen(market, names[now], steps[now], arms[now], converts[now])
        due = np.flatnonzero((seen_at[: now.stop] >= 0) & (seen_at[: now.stop] < now.stop))
        if len(due):
            contexts = market.contexts[segments[due]]
            state = kernel.update(state, due, segments[due], contexts, arms[due], seen[due].astype(float))
            seen_at[due] = -1
    _write(market, game, names, moments, segments, arms, converts, row, tally)
    closed = max(game.horizon - game.horizon % game.batch - market.window, 0)
    tally.closed[row] = np.bincount(arms[:closed], minlength=len(market.values))
    tally.closed_wins[row] = np.bincount(arms[:closed][seen[:closed]], minlength=len(market.values))
    if weigh:
        tally.estimates[row] = estimate(arms, converts, market.values, chances, market.present[moments])


def _write(
    market: Market,
    game: Game,
    names: np.ndarray,
    moments: np.ndarray,
    segments: np.ndarray,
    arms: np.ndarray,
    converts: np.ndarray,
    row: int,
    tally: Tally,
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
    would = as_uniform(keyed(names, ideal)) < market.conversions[moments, segments, ideal]
    realised = np.where(ideal == arms, 0.0, would * market.values[ideal] - converts * market.values[arms])
    ends = np.array(game.checkpoints) - 1
    for array, values in ((tally.pseudo, lost), (tally.fixed, always - earned), (tally.realised, realised)):
        array[row] = np.cumsum(values)[ends]
    chosen = arms[:, None] == np.arange(len(market.values))
    tally.pulls[row] = np.cumsum(chosen, axis=0)[ends]
    tally.chosen[row], tally.ideal[row] = arms[ends], lost[ends] <= 0.0
    tally.wins[row] = np.bincount(arms[converts], minlength=len(market.values))
    tally.by_segment[row] = np.bincount(segments, lost, tally.by_segment.shape[1])
    tally.visits[row] = np.bincount(segments, minlength=tally.visits.shape[1])


def _seen(
    market: Market, names: np.ndarray, steps: np.ndarray, arms: np.ndarray, converts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the step at which each outcome is seen, and whether it is seen as a conversion."""
    if not market.window:
        return steps, converts
    drawn = as_uniform(keyed(names, DELAY + arms))
    waits = np.where(converts, np.log1p(-drawn) / np.log(market.stay), market.window).astype(np.int64)
    return steps + np.minimum(waits, market.window), converts & (waits <= market.window)


def _moments(market: Market, steps: np.ndarray) -> np.ndarray:
    turned = steps % market.cycle if market.cycle else steps
    return np.searchsorted(market.starts, turned, side="right") - 1


def _by_moment(moments: np.ndarray, first: int) -> list[tuple[int, slice]]:
    """Return the runs of a batch within which nothing changes."""
    edges = [0, *(np.flatnonzero(np.diff(moments)) + 1).tolist(), len(moments)]
    return [(int(moments[a]), slice(first + a, first + b)) for a, b in pairwise(edges)]


def mix(word: Any) -> Any:
    """Return `draws.mix` on arrays."""
    word = (word ^ (word >> np.uint64(30))) * FIRST
    word = (word ^ (word >> np.uint64(27))) * SECOND
    return word ^ (word >> np.uint64(31))


def keyed(key: Any, number: Any) -> Any:
    """Return `draws.keyed` on arrays."""
    with np.errstate(over="ignore"):
        return mix(np.asarray(key, np.uint64) + GOLDEN * (np.asarray(number) + 1).astype(np.uint64))


def as_uniform(word: Any) -> Any:
    """Return `draws.as_uniform` on arrays."""
    return (word >> np.uint64(11)) * (1.0 / 9007199254740992.0)
