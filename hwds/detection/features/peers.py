"""Peers: how far a row stands from what others like it did of late."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import numpy as np
from annotated_types import MinLen
from numpy import ndarray
from polars import DataFrame, Series

from hwds.core.errors import ConfigError, nearest
from hwds.core.recipe import Days, Names, NonNegative, ZeroDays
from hwds.detection.kernels.peers import Level, Reference, Spread, compare_with_peers
from hwds.frames.features.base import RowFeatures
from hwds.frames.rows import (
    DAY_MICROSECONDS,
    Live,
    RowEvent,
    Value,
    arrival_times,
    as_float,
    as_floats,
    codes_of,
    double_room,
    event_times,
    floats_of,
    known_float,
    optional_column,
    optional_number_column,
    require_role,
)
from hwds.frames.table import Table

# Peers as rows arrive: the reference is computed once a day, and each row is looked up in it.

CACHED_DAYS = 64
"""Days whose references are cached; an older one that a late row needs is computed again."""

FEW_ROWS = 1_024
"""Rows that there is room for at first; the room doubles."""


class PeerReference:
    """The columns of `Peers` for rows as they arrive: the same bits as of the whole table.

    Args:
        reference: The rows that a row is compared with.
        columns: The number of columns that are compared, see `Peers.compared`.
        by: The number of columns that make a peer, see `Peers.grouped_by`.
    """

    changing = ("_size", "_values", "_groups", "_enters", "_leaves", "_codes")
    """References are computed again."""

    def __init__(self, reference: Reference, columns: int, by: int) -> None:
        self._compared_with, self._size = reference, 0
        self._values = np.zeros((FEW_ROWS, columns))
        self._groups = np.zeros((FEW_ROWS, by + 1), np.int64)
        self._enters, self._leaves = np.zeros(FEW_ROWS, np.int64), np.zeros(FEW_ROWS, np.int64)
        self._codes: list[dict[tuple[Any, ...], int]] = [{} for _ in range(by + 1)]
        self._references: dict[int, list[list[Spread]]] = {}
        self._days: Any = reference.days_of  # which numbers will do for as well as arrays
        self._spreads: dict[tuple[int, tuple[Any, ...]], Spread] = {}

    def arrive(
        self, time: int, arrival: int, values: Sequence[float], group: tuple[Any, ...]
    ) -> tuple[ndarray, ndarray]:
        """Return the median of a row's peers in each column, and the row's distance from it, NaN
        where not known; keep the row.

        Rows must come in the order in which they arrived.

        Args:
            time: Microseconds.
            arrival: Microseconds.
            values: The values of the columns compared, NaN where not known.
            group: The values of the columns that make a peer, None where there is none.
        """
        day, enters, leaves = map(int, self._days(time, arrival))
        if day not in self._references:
            if len(self._references) == CACHED_DAYS:
                del self._references[next(iter(self._references))]
            self._references[day] = self._reference(day)
            self._spreads.clear()
        if (day, group) not in self._spreads:
            spreads = [self._narrowest_spread(levels, group) for levels in self._references[day]]
            self._spreads[day, group] = Spread(
                *(np.array(part) for part in zip(*spreads, strict=True))
            )
        answer = compare_with_peers(np.array(values, float), self._spreads[day, group])
        self._store(enters, leaves, values, group)
        return answer

    def forget(self, oldest: int) -> None:
        """Drop the rows that left the reference by the day of a moment and the window before it,
        once they are half of all, and the groups that have no row.
        """
        since = oldest // DAY_MICROSECONDS + self._compared_with.gap + self._compared_with.window
        rows = np.flatnonzero(self._leaves[: self._size] > since)
        if 2 * len(rows) > self._size:
            return
        self._size = len(rows)
        room = slice(0, max(FEW_ROWS, 2 * len(rows)))
        for name in ("_values", "_groups", "_enters", "_leaves"):
            values = getattr(self, name)
            kept = np.zeros_like(values[room])
            kept[: len(rows)] = values[rows]
            setattr(self, name, kept)
        for level, codes in enumerate(self._codes):
            there, self._groups[: len(rows), level] = np.unique(
                self._groups[: len(rows), level], return_inverse=True
            )
            names = list(codes)
            self._codes[level] = {names[code]: place for place, code in enumerate(there.tolist())}
        self._references.clear()
        self._spreads.clear()

    def _reference(self, day: int) -> list[list[Spread]]:
        """Return for each column the spread of each level's groups on a day."""
        held = slice(self._size)
        rows = np.flatnonzero((self._enters[held] <= day) & (day < self._leaves[held]))
        parents = [
            np.zeros(1, np.int64),
            *(self._parents(level) for level in range(1, len(self._codes))),
        ]
        levels = [(self._groups[rows, level], parent) for level, parent in enumerate(parents)]
        enters, leaves = np.zeros(len(rows), np.int64), np.ones(len(rows), np.int64)
        columns = self._values[rows].T
        return [
            self._compared_with.spreads(np.ascontiguousarray(values), levels, enters, leaves, 1)
            for values in columns
        ]

    def _parents(self, level: int) -> ndarray:
        return np.array([self._codes[level - 1][key[:-1]] for key in self._codes[level]], np.int64)

    def _narrowest_spread(
        self, levels: list[Spread], group: tuple[Any, ...]
    ) -> tuple[float, float, float]:
        """Return the spread of the narrowest group that was there."""
        for level in reversed(range(1, len(levels))):
            code = self._codes[level].get(group[:level], -1)
            if 0 <= code < len(levels[level].median):
                return tuple(float(values[code, 0]) for values in levels[level])  # type: ignore[return-value]
        return tuple(float(values[0, 0]) for values in levels[0])  # type: ignore[return-value]

    def _store(
        self, enters: int, leaves: int, values: Sequence[float], group: tuple[Any, ...]
    ) -> None:
        if self._size == len(self._values):
            self._values, self._groups = double_room(self._values), double_room(self._groups)
            self._enters, self._leaves = double_room(self._enters), double_room(self._leaves)
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
    since_ever = ()

    def __init__(self, names: Sequence[str], by: Sequence[str], reference: Reference) -> None:
        self._names, self._by = tuple(names), tuple(by)
        self._live = PeerReference(reference, len(names), len(by))
        self.reach = (reference.window + reference.gap + 1) * DAY_MICROSECONDS
        self.columns = floats_of(
            [f"{name}_{what}" for name in self._names for what in ("peers", "z")]
        )

    def forget(self, oldest: int, place: int) -> None:
        """Drop the rows that happened before."""
        self._live.forget(oldest)

    def arrive(self, event: RowEvent) -> Sequence[Value]:
        """Return the median of the event's peers, and its distance from it."""
        values = [as_float(event.values.get(name)) for name in self._names]
        group = tuple(event.values.get(name) for name in self._by)
        answer = self._live.arrive(event.time, event.arrival, values, group)
        return [
            known_float(part)
            for pair in zip(*(parts.tolist() for parts in answer), strict=True)
            for part in pair
        ]


# Peers: how far a row stands from what others like it did of late.

COLUMNS = ("quantity_30d", "orders_30d", "amount_30d", "skus_30d")
BY = ("customer_kind", "region")
"""The columns that are used where a table has them; any other name is the user's own and must be
there.
"""


def present_columns(
    table: Table, names: Sequence[str], usual: Sequence[str], remark: str = ""
) -> list[str]:
    """Return the columns of numbers among some that a table has.

    Args:
        table: The rows.
        names: The names in `features.columns`.
        usual: The names of columns that a table need not have.
        remark: A remark on where they come from.

    Raises:
        ConfigError: None of them is there, or one is not that the user named.
    """
    found = [
        name
        for name in names
        if optional_number_column(table, "columns", name, name if name in usual else "")
    ]
    if not found:
        near = nearest(names[0], table.data.columns)
        raise ConfigError(f"features.columns: none of {', '.join(names)} is there{remark}{near}")
    return found


class Peers(RowFeatures):
    """The distance of a row from its peers: robust z by the median and MAD of a past window.

    A row's reference is its group's rows in a window that ended `gap` days before the row's day, if
    they had arrived before that day began. Rows that are scored with it are never part of it.
    Median and MAD of each group are shrunk to the next larger group's (`by` without its last
    column; in the end, all rows). The group's own value has the weight of its rows, the larger
    group's has the weight `shrink`. A MAD of 0 (more than half of the rows are equal) is no scale:
    the group takes the larger group's MAD. If that is 0, too, a group of at least `shrink` rows
    keeps its own. Without a scale z is null. Columns: `quantity_30d_peers`, what peers do, and
    `quantity_30d_z`, the row's distance from it in standard deviations (MAD x 1.4826).

    Attributes:
        columns: Numbers to compare, those of features before this one too (`purchases`).
        by: Columns that make a peer, from the widest group to the narrowest; a null is a group too.
        window: The days of rows that each row is compared with.
        gap: Whole days between the window and the row's day.
        shrink: The number of rows that the larger group counts for.
    """

    columns: Annotated[Names, MinLen(1)] = COLUMNS
    by: Names = BY
    window: Days = 28
    gap: ZeroDays = 1
    shrink: NonNegative = 50.0

    def check(self, table: Table) -> None:
        """Refuse a table without time, or without a column of peers that the user named."""
        require_role(table, "peers", "time")
        self.grouped_by(table)

    def live(self, schema: Table) -> Live:
        """Return the same for rows as they arrive."""
        self.check(schema)
        return PeerEvents(self.compared(schema), self.grouped_by(schema), self.reference)

    def compute(self, table: Table) -> DataFrame:
        """Return two columns for each column compared.

        Raises:
            ConfigError: None of the columns is there, or one is not that the user named.
            DataError: A row has no time.
        """
        self.check(table)
        time, arrival = event_times(table), arrival_times(table)
        reference = self.reference
        day, enters, leaves = reference.days_of(time, arrival)
        first, days = day.min(), int(day.max() - day.min()) + 1
        levels = list(self._levels(table))
        columns: dict[str, Series] = {}
        for name in self.compared(table):
            values = as_floats(table.data[name])
            spread = reference.spreads(values, levels, enters - first, leaves - first, days)[-1]
            at = levels[-1][0], day - first
            peers, z = compare_with_peers(
                values, Spread(spread.median[at], spread.deviation[at], spread.rows[at])
            )
            columns[f"{name}_peers"] = Series(peers, nan_to_null=True)
            columns[f"{name}_z"] = Series(z, nan_to_null=True)
        return DataFrame(columns)

    @property
    def reference(self) -> Reference:
        """The rows that a row is compared with."""
        return Reference(self.window, self.gap, self.shrink)

    def grouped_by(self, table: Table) -> list[str]:
        """Return the columns of `by` that a table has."""
        return [
            name
            for name in self.by
            if optional_column(table, "by", name, name if name in BY else "")
        ]

    def compared(self, table: Table) -> list[str]:
        """Return the columns to compare that a table has.

        Raises:
            ConfigError: None of them is there, or one is not that the user named.
        """
        return present_columns(table, self.columns, COLUMNS, " (`purchases` makes them)")

    def _levels(self, table: Table) -> Iterator[Level]:
        """Yield, for all rows and then for each column of `by` more, the group of each row and each
        group's larger one.
        """
        group = np.zeros(len(table.data), np.int64)
        yield group, np.zeros(1, np.int64)
        for name in self.grouped_by(table):
            parts = codes_of(table.data[name])
            finer = codes_of(Series(group * (parts.max() + 2) + parts + 1))
            parent = np.zeros(int(finer.max()) + 1, np.int64)
            parent[finer] = group
            group = finer
            yield group, parent
