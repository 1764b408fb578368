"""Weights by group of series and part of the horizon, each drawn half way to those that hold for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np

from hwds.core.errors import ConfigError, nearest
from hwds.core.serialization import Serializable
from hwds.forecast.models.stacking.weights import MemberWindows
from hwds.frames.panel import Panel

LEAST = 60
"""Fewer series and windows than this have no weights of their own."""

PARTS = 3
"""Early, middle and late steps."""


@dataclass(frozen=True, eq=False)
class Weights(Serializable):
    """The weights of members.

    Attributes:
        values: Shape (groups, parts, members); group 0 holds for series of no other.
        groups: The names of the groups from 1 on.
        horizon: The steps that the parts divide.
    """

    values: np.ndarray
    groups: tuple[str, ...] = ()
    horizon: int = 1

    @classmethod
    def same(cls, weights: np.ndarray) -> Self:
        """Return the same for every series and step."""
        return cls(weights[None, None])

    def of(self, group: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Return the weights of rows, shape (rows, members), from the name of each one's group and its step."""
        places = {name: place for place, name in enumerate(self.groups, 1)}
        number = np.array([places.get(name, 0) for name in group.tolist()], np.int64)
        return self.values[number, part_of(step, self.horizon, self.values.shape[1])]


def part_of(step: np.ndarray, horizon: int, parts: int) -> np.ndarray:
    """Return the part of the horizon that a step lies in, from 0."""
    place: np.ndarray = np.minimum((step - 1) * parts // max(horizon, 1), parts - 1)
    return place


def learned(
    seen: MemberWindows, group: np.ndarray, horizon: int, learn: Callable[[MemberWindows], np.ndarray], by_step: bool
) -> Weights:
    """Return weights of all rows, and of each large enough group and part: half its own, half those of what holds it.

    Args:
        seen: At least one row.
        group: The name of each row's group, '' where there are none.
        horizon: Steps.
        learn: From rows to weights, shape (members,).
        by_step: Whether parts of the horizon are told apart.
    """
    names = tuple(name for name in np.unique(group.astype(str)).tolist() if name)
    parts = PARTS if by_step and horizon >= PARTS else 1
    part = part_of(seen.step, horizon, parts)
    usual = learn(seen)
    rows = [np.ones(len(group), bool), *(group == name for name in names)]
    values = np.empty((len(rows), parts, len(usual)))
    for place, inside in enumerate(rows):
        base = usual if not place else _half(seen, inside, usual, learn)
        for number in range(parts):
            here = inside & (part == number)
            values[place, number] = base if parts == 1 else _half(seen, here, base, learn)
    return Weights(values, names, horizon)


def _half(
    seen: MemberWindows, inside: np.ndarray, base: np.ndarray, learn: Callable[[MemberWindows], np.ndarray]
) -> np.ndarray:
    """Return half way between the weights of some rows and `base`; `base` where they are few."""
    few = len(set(zip(seen.series[inside].tolist(), seen.window[inside].tolist(), strict=True))) < LEAST
    return base if few else (learn(seen.take(inside)) + base) / 2


def group_of(panel: Panel, columns: tuple[str, ...]) -> np.ndarray:
    """Return the name of each series' group: its values of static columns, shape (n_series,).

    Raises:
        ConfigError: A column is neither static nor a level.
    """
    known = (*panel.roles.static, *panel.roles.level)
    for name in columns:
        if name not in known:
            raise ConfigError(f"model.weights_by: no static or level column '{name}'{nearest(name, ('step', *known))}")
    rows = panel.table[panel.offsets[:-1]].select(columns).rows()
    return np.array(["|".join(map(str, row)) for row in rows] if columns else [""] * panel.n_series, object)
