"""Peers as rows arrive: the reference is computed once a day, and each row is looked up in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hwds.detection.features.kernels.peers import Spread
from hwds.detection.features.kernels.reference import Reference, stand
from hwds.features.rows.live import Event, Live, Value, doubled, floats_of, known, number

CACHED_DAYS = 64
"""Days whose references are cached; an older one that a late row needs is computed again."""

FEW = 1_024
"""Rows that there is room for at first; the room doubles."""


class LivePeers:
    """The columns of `Peers` for rows as they arrive: the same bits as of the whole table.

    Args:
        reference: The rows that a row is compared with.
        columns: How many columns are compared, as `Peers.compared` says.
        by: How many columns make a peer, as `Peers.grouped_by` says.
    """

    changing = ("_size", "_values", "_groups", "_enters", "_leaves", "_codes")
    """References are computed anew."""

    def __init__(self, reference: Reference, columns: int, by: int) -> None:
        self._compared_with, self._size = reference, 0
        self._values, self._groups = np.zeros((FEW, columns)), np.zeros((FEW, by + 1), np.int64)
        self._enters, self._leaves = np.zeros(FEW, np.int64), np.zeros(FEW, np.int64)
        self._codes: list[dict[tuple[Any, ...], int]] = [{} for _ in range(by + 1)]
        self._references: dict[int, list[list[Spread]]] = {}
        self._days: Any = reference.days_of  # which numbers will do for as well as arrays
        self._spreads: dict[tuple[int, tuple[Any, ...]], Spread] = {}

    def arrive(self, time: int, arrival: int, values: Sequence[float], group: tuple[Any, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Return the median of a row's peers in each column, and the row's distance from it, NaN where not known; keep the row.

        Rows must come in the order in which they arrived.

        Args:
            time: Microseconds.
            arrival: Microseconds.
            values: Of the columns compared, NaN where not known.
            group: Of the columns that make a peer, None where there is none.
        """
        day, enters, leaves = map(int, self._days(time, arrival))
        if day not in self._references:
            if len(self._references) == CACHED_DAYS:
                del self._references[next(iter(self._references))]
            self._references[day] = self._reference(day)
            self._spreads.clear()
        if (day, group) not in self._spreads:
            spreads = [self._known(levels, group) for levels in self._references[day]]
            self._spreads[day, group] = Spread(*(np.array(part) for part in zip(*spreads, strict=True)))
        answer = stand(np.array(values, float), self._spreads[day, group])
        self._keep(enters, leaves, values, group)
        return answer

    def _reference(self, day: int) -> list[list[Spread]]:
        """Return for each column the spread of each level's groups on a day."""
        held = slice(self._size)
        rows = np.flatnonzero((self._enters[held] <= day) & (day < self._leaves[held]))
        parents = [np.zeros(1, np.int64), *(self._parents(level) for level in range(1, len(self._codes)))]
        levels = [(self._groups[rows, level], parent) for level, parent in enumerate(parents)]
        enters, leaves = np.zeros(len(rows), np.int64), np.ones(len(rows), np.int64)
        columns = self._values[rows].T
        return [self._compared_with.spreads(np.ascontiguousarray(values), levels, enters, leaves, 1) for values in columns]

    def _parents(self, level: int) -> np.ndarray:
        return np.array([self._codes[level - 1][key[:-1]] for key in self._codes[level]], np.int64)

    def _known(self, levels: list[Spread], group: tuple[Any, ...]) -> tuple[float, float, float]:
        """Return the spread of the narrowest group that was there."""
        for level in reversed(range(1, len(levels))):
            code = self._codes[level].get(group[:level], -1)
            if 0 <= code < len(levels[level].median):
                return tuple(float(values[code, 0]) for values in levels[level])  # type: ignore[return-value]
        return tuple(float(values[0, 0]) for values in levels[0])  # type: ignore[return-value]

    def _keep(self, enters: int, leaves: int, values: Sequence[float], group: tuple[Any, ...]) -> None:
        if self._size == len(self._values):
            self._values, self._groups = doubled(self._values), doubled(self._groups)
            self._enters, self._leaves = doubled(self._enters), doubled(self._leaves)
        row, self._size = self._size, self._size + 1
        self._enters[row], self._leaves[row], self._values[row] = enters, leaves, values
        for level, codes in enumerate(self._codes):
            self._groups[row, level] = codes.setdefault(group[:level], len(codes))


class PeerEvents(Live):
    """The columns of `Peers` for events.

    Args:
        names: The columns that are compared.
        by: Columns that make a peer.
        reference: The rows that a row is compared with.
    """

    changing = ("_live",)

    def __init__(self, names: Sequence[str], by: Sequence[str], reference: Reference) -> None:
        self._names, self._by = tuple(names), tuple(by)
        self._live = LivePeers(reference, len(names), len(by))
        self.columns = floats_of([f"{name}_{what}" for name in self._names for what in ("peers", "z")])

    def arrive(self, event: Event) -> Sequence[Value]:
        """Return the median of the event's peers, and its distance from it."""
        values = [number(event.values.get(name)) for name in self._names]
        group = tuple(event.values.get(name) for name in self._by)
        answer = self._live.arrive(event.time, event.arrival, values, group)
        return [known(part) for pair in zip(*(parts.tolist() for parts in answer), strict=True) for part in pair]
