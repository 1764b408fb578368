"""The best arm of a world at each time, by segment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.frames.outcomes import arm_name
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
    """Return the best arms in their order, by segment: '' where segments agree, `everyone` where they are many."""
    segments = world.rewards.argmax(axis=2)
    earned = np.einsum("s,msk->mk", world.shares, world.conversions * world.worth)
    overall = np.where(world.present, earned, -np.inf).argmax(axis=1)
    agree = (segments == segments[:, :1]).all()
    if agree:
        return {"": _reigns(world, segments[:, 0], horizon)}
    if len(world.segments) > MOST_SEGMENTS:
        return {"everyone": _reigns(world, overall, horizon)}
    return {name: _reigns(world, segments[:, place], horizon) for place, name in enumerate(world.segments)}


def against(world: World) -> str:
    """Return in words what regret is measured against."""
    parts = " and ".join([*(["moment"] if world.changes else []), *(["segment"] if len(world.segments) > 1 else [])])
    return f"the best arm of each {parts}" if parts else "the best arm"


def arms_title(world: World) -> str:
    """Return the title of the arms' names: `price, USD` where they are prices."""
    prices = all(name == arm_name(float(price)) for name, price in zip(world.arms, world.prices, strict=True))
    return f"price, {world.unit}" if prices else "arm"


def _reigns(world: World, best: np.ndarray, horizon: int) -> list[Reign]:
    """Return the reigns of one segment, given the best arm of each moment."""
    rounds = range(0, horizon, world.cycle) if world.cycle else range(1)
    starts = np.concatenate([world.starts + begin for begin in rounds])
    arms = np.tile(best, len(rounds))
    arms, starts = arms[starts < horizon], starts[starts < horizon]
    changes = np.flatnonzero(np.append(True, np.diff(arms) != 0))
    ends = np.append(starts[changes[1:]], horizon)
    return [Reign(int(arms[at]), int(starts[at]) + 1, int(end)) for at, end in zip(changes, ends, strict=True)]
