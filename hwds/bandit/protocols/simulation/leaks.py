"""Worlds for the canary of a simulation: other ones from a step on, twins that no policy can tell apart, regret too low."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from hwds.frames.world import World

TINY = 1e-12
"""By how much the arms of equal worlds differ: too little to change what any customer does, enough to have a best one."""

EARNED = 0.3
"""The conversion of the cheapest arm in equal worlds."""

LEAST_Z = -8.0
"""Standard errors below which the mean of realised less pseudo regret is no chance: one in 100,000 for the fewest games."""

FEWEST = 10
"""The fewest replications whose realised regret is compared with the pseudo regret."""


def poisoned_world(world: World, step: int, rng: np.random.Generator) -> World:
    """Return the world with a moment more from `step` on, whose conversions are rubbish; cycles end there."""
    cycles = -(-step // world.cycle) if world.cycle else 1
    starts = np.concatenate([world.starts + turn * world.cycle for turn in range(cycles)])
    before = starts < step
    conversions = np.concatenate([world.conversions] * cycles)[before]
    present = np.concatenate([world.present] * cycles)[before]
    rubbish = rng.random(conversions.shape[1:])[None]
    return replace(
        world,
        starts=np.append(starts[before], step),
        conversions=np.concatenate([conversions, rubbish]),
        present=np.concatenate([present, np.ones((1, len(world.arms)), bool)]),
        cycle=0,
    )


def unknown_world(world: World, rng: np.random.Generator) -> World:
    """Return the world with other conversions from step 0 on: before anything was seen of it, it is the same."""
    return replace(world, conversions=rng.random(world.conversions.shape))


def equal_worlds(world: World) -> tuple[World, World] | None:
    """Return two worlds whose arms earn the same but for a trifle, of which another arm is the best in each.

    Every customer does the same in both, so that a policy which learns from customers alone plays the same game. None where
    fewer than two arms earn anything.
    """
    earns = world.worth > 0
    if earns.sum() < 2:
        return None
    cheapest = world.worth[earns].min()
    even = np.where(earns, EARNED * cheapest / np.where(earns, world.worth, 1.0), EARNED)
    rank = np.arange(len(world.values))
    one, other = (
        replace(world, conversions=np.broadcast_to(even * (1 + TINY * order), world.conversions.shape).copy())
        for order in (rank, rank[::-1])
    )
    return one, other


def too_low_regret(realised: np.ndarray, pseudo: np.ndarray) -> Iterator[str]:
    """Yield a sentence where customers, by the end, did far better than the chosen arms' own conversions say.

    Which arm a policy chooses is settled before its customer is drawn, so that realised and pseudo regret are the same on
    average, whatever the policy.

    Args:
        realised: The realised regret of each replication, shape (n,).
        pseudo: The pseudo regret of each, shape (n,).
    """
    if len(realised) < FEWEST:
        return
    less = realised - pseudo
    error = float(less.std(ddof=1)) / np.sqrt(len(less))
    if less.mean() < min(LEAST_Z * error, 0.0):
        yield (
            f"a realised regret of {realised.mean():.4g} lies {-less.mean() / max(error, TINY):.0f} standard errors below the"
            f" pseudo regret of {pseudo.mean():.4g}: the policy knows what its customers are about to do"
        )
