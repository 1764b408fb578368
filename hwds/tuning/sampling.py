"""Values for the leaves of a space: random draws, or every combination. Each leaf has a random stream named by its path."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from hwds.config.space import Leaf
from hwds.core.seeds import stream

DIGITS = 4
"""Significant digits of a number drawn from a range."""


def drawn(leaves: Sequence[Leaf], seed: int, number: int) -> dict[str, Any]:
    """Return the values of draw `number`, by path; a leaf whose choice was not drawn has none.

    Draws take the values of `grid` leaves in turn: every combination of them sees the same values of all others.
    """
    sizes = [len(leaf.values) for leaf in leaves if leaf.kind == "grid" and not leaf.when]
    number, turn = divmod(number, prod(sizes))
    settings: dict[str, Any] = {}
    places: dict[str, int] = {}
    for leaf in leaves:
        if not goes_with(leaf, places):
            continue
        rng = stream(seed, "sweep", number, leaf.path)
        if leaf.listed:
            count = len(leaf.values)
            place = int(rng.integers(count))
            if leaf.kind == "grid" and not leaf.when:
                turn, place = divmod(turn, count)
            places[leaf.path] = place
            settings[leaf.path] = leaf.values[place]
        else:
            settings[leaf.path] = between(leaf, float(rng.random()))
    return settings


def between(leaf: Leaf, share: float) -> float:
    """Return the value of a range at a share of its length, 0 to 1, in its logarithm for `loguniform`."""
    lower, upper, *step = leaf.values
    if leaf.kind == "randint":
        return int(min(lower + math.floor(share * (upper - lower)), upper - 1))
    if leaf.kind == "quniform":
        steps = math.floor((upper - lower) / step[0] + 1e-9)
        value = lower + step[0] * min(math.floor(share * (steps + 1)), steps)
        return readable(value, lower, upper) if isinstance(value, float) else int(value)
    if leaf.kind == "loguniform":
        return readable(math.exp(math.log(lower) + share * (math.log(upper) - math.log(lower))), lower, upper)
    return readable(lower + share * (upper - lower), lower, upper)


def readable(value: float, lower: float, upper: float) -> float:
    """Return a number with few digits, within its bounds."""
    return float(min(max(float(f"{value:.{DIGITS}g}"), lower), upper))


def combinations(leaves: Sequence[Leaf], points: int) -> Iterator[dict[str, Any]]:
    """Yield every combination, the last leaf changing fastest; `points` values of each range, or all integers if fewer."""
    yield from _combined(tuple(leaves), points, {}, {})


def _combined(
    leaves: tuple[Leaf, ...], points: int, settings: dict[str, Any], places: dict[str, int]
) -> Iterator[dict[str, Any]]:
    if not leaves:
        yield settings
        return
    first, rest = leaves[0], leaves[1:]
    if not goes_with(first, places):
        yield from _combined(rest, points, settings, places)
        return
    for place, value in enumerate(grid_of(first, points)):
        yield from _combined(rest, points, settings | {first.path: value}, places | {first.path: place})


def grid_of(leaf: Leaf, points: int) -> list[Any]:
    """Return the values of a leaf in a grid."""
    if leaf.listed:
        return list(leaf.values)
    if leaf.kind == "randint":
        whole = np.unique(np.rint(np.linspace(leaf.values[0], leaf.values[1] - 1, points)).astype(int))
        return [int(value) for value in whole]
    shares = np.linspace(0, 1, points) if points > 1 else [0.5]
    return list(dict.fromkeys(between(leaf, float(share)) for share in shares))


def goes_with(leaf: Leaf, places: Mapping[str, int]) -> bool:
    """Return whether a leaf has a value, by the indices of the choices that were drawn."""
    return all(places.get(path) == place for path, place in leaf.when)
