"""Which arm of a world is best when, and for whom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.frames.arm_names import arm_name
from hwds.frames.world import World

MOST_SEGMENTS = 8
"""Segments that are told apart; of more, all customers together are told."""


@dataclass(frozen=True, slots=True)
class Reign:
    """An arm that is best from one customer to another, both included and counted from 1."""

    arm: int
    first: int
    last: int


def reigns(world: World, horizon: int) -> dict[str, list[Reign]]:
    """The best arms in their order, by segment; by an empty name where segments agree, for `everyone` where they are many."""
    segments = world.rewards.argmax(axis=2)
    earned = np.einsum("s,msk->mk", world.shares, world.conversions * world.values)
    together = np.where(world.present, earned, -np.inf).argmax(axis=1)
    agree = (segments == segments[:, :1]).all()
    if agree:
        return {"": _reigns(world, segments[:, 0], horizon)}
    if len(world.segments) > MOST_SEGMENTS:
        return {"everyone": _reigns(world, together, horizon)}
    return {name: _reigns(world, segments[:, place], horizon) for place, name in enumerate(world.segments)}


def against(world: World) -> str:
    """What regret is counted from, in words."""
    told = " and ".join([*(["moment"] if world.changes else []), *(["segment"] if len(world.segments) > 1 else [])])
    return f"the best arm of each {told}" if told else "the best arm"


def arms_title(world: World) -> str:
    """What the names of the arms are: `price, USD` where they are prices."""
    prices = all(name == arm_name(float(price)) for name, price in zip(world.arms, world.prices, strict=True))
    return f"price, {world.unit}" if prices else "arm"


def _reigns(world: World, best: np.ndarray, horizon: int) -> list[Reign]:
    """Those of one segment, given the best arm of each moment."""
    rounds = range(0, horizon, world.cycle) if world.cycle else range(1)
    starts = np.concatenate([world.starts + begin for begin in rounds])
    arms = np.tile(best, len(rounds))
    arms, starts = arms[starts < horizon], starts[starts < horizon]
    changes = np.flatnonzero(np.append(True, np.diff(arms) != 0))
    ends = np.append(starts[changes[1:]], horizon)
    return [Reign(int(arms[at]), int(starts[at]) + 1, int(end)) for at, end in zip(changes, ends, strict=True)]
