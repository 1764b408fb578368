"""Purchases as they arrive: the kernel of the whole table, one line at a time, with a book for each entity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from hwds.core.errors import DataError
from hwds.core.numba_cache import compiled
from hwds.core.serialization import Serializable
from hwds.detection.features.order_lines.arrays import PENDING, ROWS, Book, Lines, new_book
from hwds.detection.features.order_lines.encoding import LineColumns, LineWindows, uncoded
from hwds.detection.features.order_lines.windows import arrive
from hwds.features.rows.columns import LONG_AGO, NEVER
from hwds.features.rows.live import doubled
from hwds.features.rows.sorted_arrays import push
from hwds.frames.table import Table

FEW = 8
"""Lines that an entity has room for at first; the room doubles."""

ENTITY_PARTS = ("ranked", "pending", "last", "units", "levels", "start", "totals", "held", "sizes")
"""The parts of a book that are an entity's own; the rest is scratch, or numbered by line."""

SHARED_PARTS = dict.fromkeys(set(Book._fields) - set(ENTITY_PARTS), np.zeros(0))


class Entity(Serializable):
    """One entity's book, and its codes by column and value."""

    def __init__(self, windows: int) -> None:
        self.book = new_book(0, FEW, FEW, windows)._replace(**SHARED_PARTS)
        self.codes: dict[tuple[int, Any], int] = {}
        self.latest = LONG_AGO
        """The arrival of its last line."""

    def coded(self, values: tuple[Any, ...]) -> list[int]:
        """Return the codes of a line's order, SKU, store and channel; a line without an order is one of its own."""
        alone = ("", len(self.codes)) if values[0] is None else values[0]
        keys = enumerate((alone, *values[1:]))
        codes = [-1 if value is None else self.codes.setdefault((k, value), len(self.codes)) for k, value in keys]
        while len(self.codes) > len(self.book.last):
            self.book = self.book._replace(last=doubled(self.book.last, -1), units=doubled(self.book.units))
        return codes

    def make_room(self) -> None:
        """Make room for one line more."""
        book = self.book
        if book.sizes[ROWS] == len(book.ranked):
            self.book = book._replace(
                ranked=doubled(book.ranked), pending=doubled(book.pending), levels=doubled(book.levels, axis=1)
            )


class LivePurchases:
    """The columns of `Purchases` for lines as they arrive: the same bits as of the whole table.

    Args:
        windows: The windows that end with a line.
        columns: Those that the lines have.
    """

    changing = ("_entities", "_lines", "_size", "_shared")

    def __init__(self, windows: LineWindows, columns: LineColumns) -> None:
        self.windows, self.columns = windows, columns
        self._spans, self._step = windows.spans, compiled(arrive)
        self._entities: dict[Any, Entity] = {}
        self._lines, self._size = _empty(FEW), 0
        self._shared: Book = new_book(FEW, FEW, FEW, len(windows.days))

    def arrive(self, rows: Table) -> pl.DataFrame:
        """Return the features at the arrival of each of some lines, in the order in which they arrived, and store them.

        Raises:
            DataError: A line arrived before one of its entity that is there already.
        """
        values = [rows.data[name].to_list() if name else [None] * len(rows.data) for name in self._coded_columns()]
        lines = uncoded(rows, self.columns, self.windows.rules)
        return self.windows.frame(
            self.columns, self.append(lines, rows.column("entity").to_list(), list(zip(*values, strict=True)))
        )

    def append(self, lines: Lines, who: Sequence[Any], values: Sequence[tuple[Any, ...]]) -> np.ndarray:
        """Return the same as `arrive` for lines as arrays; values stand at the places of `windows.places`.

        Args:
            lines: The lines; their codes are not read.
            who: The entity of each.
            values: Order, SKU, store and channel of each, None where there is none.
        """
        out = self.windows.room(len(who))
        for row, owner in enumerate(who):
            entity = self._entity(owner)
            if lines.arrival[row] < entity.latest:
                raise DataError(f"row {row + 1}: a line of '{owner}' that arrived later is there already.")
            entity.latest = lines.arrival[row]
            line = self._append(lines, row, entity.coded(values[row]))
            entity.make_room()
            self._step(self._lines, self._book(entity), self._spans, line, row, out)
        return out

    def returned(self, who: Any, line: int, when: int) -> None:
        """Record that a line was returned, before lines arrive that know it; a second time changes nothing.

        Args:
            who: The line's entity.
            line: How many lines had been kept before it, of all entities.
            when: Microseconds.
        """
        if self._lines.returned[line] == NEVER and who is not None:
            self._lines.returned[line] = when
            book = self._entities[who].book
            push(book.pending, book.sizes[PENDING], self._lines.returned, line)
            book.sizes[PENDING] += 1

    def _entity(self, who: Any) -> Entity:
        """Return an entity's book; a line without an entity is alone."""
        if who in self._entities:
            return self._entities[who]
        made = Entity(len(self.windows.days))
        if who is not None:
            self._entities[who] = made
        return made

    def _coded_columns(self) -> tuple[str, ...]:
        return self.columns.order, self.columns.sku, self.columns.store, self.columns.channel

    def _append(self, lines: Lines, row: int, codes: list[int]) -> int:
        line, self._size = self._size, self._size + 1
        if self._size > len(self._lines.time):
            self._lines = Lines(*(doubled(values) for values in self._lines))
            self._shared = self._shared._replace(back=doubled(self._shared.back))
        for stored, given in zip(self._lines, lines, strict=True):
            stored[line] = given[row]
        self._lines.codes[line] = codes
        return line

    def _book(self, entity: Entity) -> Book:
        """Return the entity's book with the scratch that all share, as large as the largest needs."""
        book, shared = entity.book, self._shared
        while len(shared.late_last) < len(book.last):
            units, last = doubled(shared.late_units), doubled(shared.late_last, -1)
            shared = shared._replace(late_last=last, late_units=units)
        while shared.late_levels.shape[1] < len(book.ranked):
            shared = shared._replace(late_levels=doubled(shared.late_levels, axis=1))
        self._shared = shared
        return shared._replace(**{name: getattr(book, name) for name in ENTITY_PARTS})


def _empty(lines: int) -> Lines:
    return Lines(
        time=np.zeros(lines, np.int64),
        arrival=np.zeros(lines, np.int64),
        returned=np.zeros(lines, np.int64),
        quantity=np.zeros(lines),
        amount=np.zeros(lines),
        codes=np.zeros((lines, 4), np.int64),
        flags=np.zeros((lines, 4), np.uint8),
    )
