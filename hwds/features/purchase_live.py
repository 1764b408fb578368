"""Purchases as they arrive: the kernel of the whole table, one line at a time, with a book for each entity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from hwds.compiled import compiled
from hwds.errors import DataError
from hwds.features.live import doubled
from hwds.features.ordered import push
from hwds.features.purchase_book import arrive
from hwds.features.purchase_encoding import Columns, uncoded
from hwds.features.purchase_lines import PENDING, ROWS, Book, Lines, new_book
from hwds.features.purchases import Purchases
from hwds.features.row_columns import LONG_AGO, NEVER
from hwds.frames.table import Table

FEW = 8
"""Lines that an entity has room for at first; the room doubles."""

OWN = ("ranked", "pending", "last", "units", "levels", "start", "totals", "held", "sizes")
"""What of a book is an entity's own; the rest is scratch, or numbered by line."""

NOT_OWN = dict.fromkeys(set(Book._fields) - set(OWN), np.zeros(0))


class Entity:
    """One entity's book, and its codes by column and value."""

    def __init__(self, windows: int) -> None:
        self.book = new_book(0, FEW, FEW, windows)._replace(**NOT_OWN)
        self.codes: dict[tuple[int, Any], int] = {}
        self.latest = LONG_AGO
        """When its last line arrived."""

    def coded(self, values: tuple[Any, ...]) -> list[int]:
        """The codes of a line's order, SKU, store and channel; a line without an order is one of its own."""
        alone = ("", len(self.codes)) if values[0] is None else values[0]
        keys = enumerate((alone, *values[1:]))
        found = [-1 if value is None else self.codes.setdefault((k, value), len(self.codes)) for k, value in keys]
        while len(self.codes) > len(self.book.last):
            self.book = self.book._replace(last=doubled(self.book.last, -1), units=doubled(self.book.units))
        return found

    def make_room(self) -> None:
        """For one line more."""
        book = self.book
        if book.sizes[ROWS] == len(book.ranked):
            self.book = book._replace(
                ranked=doubled(book.ranked), pending=doubled(book.pending), levels=doubled(book.levels, axis=1)
            )


class LivePurchases:
    """The columns of `Purchases` for lines as they arrive: the same bits as of the whole table.

    Args:
        recipe: The features.
        columns: Those that the lines have, `recipe.read_of(table)`.
    """

    changing = ("_entities", "_lines", "_size", "_shared")

    def __init__(self, recipe: Purchases, columns: Columns) -> None:
        self.recipe, self.columns = recipe, columns
        self._spans, self._windows, self._step = recipe.spans, len(recipe.days), compiled(arrive)
        self._entities: dict[Any, Entity] = {}
        self._lines, self._size = _empty(FEW), 0
        self._shared: Book = new_book(FEW, FEW, FEW, self._windows)

    def arrive(self, rows: Table) -> pl.DataFrame:
        """What is known at the arrival of each of some lines, in the order in which they arrived; they are kept.

        Raises:
            DataError: A line arrived before one of its entity that is there already.
        """
        values = [rows.data[name].to_list() if name else [None] * len(rows.data) for name in self._coded_columns()]
        lines = uncoded(rows, self.columns, self.recipe.rules)
        return self.recipe.told(
            self.columns, self.keep(lines, rows.column("entity").to_list(), list(zip(*values, strict=True)))
        )

    def keep(self, lines: Lines, who: Sequence[Any], values: Sequence[tuple[Any, ...]]) -> np.ndarray:
        """As `arrive`, for lines as arrays; what is told stands at the places of `columns.told`.

        Args:
            lines: The lines; their codes are not read.
            who: The entity of each.
            values: Order, SKU, store and channel of each, None where there is none.
        """
        out = self.recipe.room(len(who))
        for row, owner in enumerate(who):
            entity = self._entity(owner)
            if lines.arrival[row] < entity.latest:
                raise DataError(f"row {row + 1}: a line of '{owner}' that arrived later is there already.")
            entity.latest = lines.arrival[row]
            line = self._kept(lines, row, entity.coded(values[row]))
            entity.make_room()
            self._step(self._lines, self._book(entity), self._spans, line, row, out)
        return out

    def returned(self, who: Any, line: int, when: int) -> None:
        """Note that a line was returned, before lines arrive that know it; the second time it is not news.

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
        """Its book; a line without an entity is alone."""
        if who in self._entities:
            return self._entities[who]
        made = Entity(self._windows)
        if who is not None:
            self._entities[who] = made
        return made

    def _coded_columns(self) -> tuple[str, ...]:
        return self.columns.order, self.columns.sku, self.columns.store, self.columns.channel

    def _kept(self, lines: Lines, row: int, codes: list[int]) -> int:
        line, self._size = self._size, self._size + 1
        if self._size > len(self._lines.time):
            self._lines = Lines(*(doubled(values) for values in self._lines))
            self._shared = self._shared._replace(back=doubled(self._shared.back))
        for kept, given in zip(self._lines, lines, strict=True):
            kept[line] = given[row]
        self._lines.codes[line] = codes
        return line

    def _book(self, entity: Entity) -> Book:
        """The entity's own with the scratch of all, which is as large as the largest needs."""
        own, shared = entity.book, self._shared
        while len(shared.late_last) < len(own.last):
            units, last = doubled(shared.late_units), doubled(shared.late_last, -1)
            shared = shared._replace(late_last=last, late_units=units)
        while shared.late_levels.shape[1] < len(own.ranked):
            shared = shared._replace(late_levels=doubled(shared.late_levels, axis=1))
        self._shared = shared
        return shared._replace(**{name: getattr(own, name) for name in OWN})


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
