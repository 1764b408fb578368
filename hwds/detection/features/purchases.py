"""Purchases: the purchases of an entity in the days before each of its order lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

import numpy as np
import polars as pl
from annotated_types import MinLen
from numpy import ndarray
from polars import DataFrame, Series

from hwds.core.compiling import compiled
from hwds.core.errors import ConfigError, DataError
from hwds.core.recipe import Days, Once, Positive
from hwds.core.serialization import Serializable
from hwds.detection.kernels.order_lines import (
    LINE_VALUES,
    PENDING,
    ROWS,
    SUMS,
    Book,
    OrderLines,
    fill_lines,
    fill_one_line,
    new_book,
)
from hwds.frames.features.base import RowFeatures
from hwds.frames.kernels import push
from hwds.frames.rows import (
    DAY_MICROSECONDS,
    LONG_AGO,
    NEVER,
    ByPlace,
    Live,
    RowEvent,
    Value,
    arrival_times,
    as_float,
    as_floats,
    codes_apart,
    codes_of,
    double_room,
    event_times,
    floats_of,
    known_floats,
    microseconds,
    optional_column,
    optional_number_column,
    require_not_negative,
    require_role,
    wall_microseconds,
)
from hwds.frames.table import Table

# Order lines of a table as arrays, and the columns that can be computed from them.

NEEDS = {
    "quantity": "quantity",
    "skus": "sku",
    "stores": "store",
    "channels": "channel",
    "cross_channel": "channel",
    "promoted_share": "promotion",
    "over_tier_share": "quantity",
    "return_rate": "returned_at",
    "sku_concentration": "sku",
    "quantity_ratio": "quantity",
}
"""Values that need a column."""

SINCE_EVER = ("tenure_days", "order_gap_days")
"""Values of all lines, not of a window."""


@dataclass(frozen=True, slots=True)
class LineRules:
    """The rules that flag a line.

    Attributes:
        tiers: Quantities from which on a unit costs less.
        quarter_end: The number of last days of a quarter that count as its end.
    """

    tiers: tuple[float, ...]
    quarter_end: int


@dataclass(frozen=True, slots=True)
class LineWindows:
    """The windows that end with a line.

    Attributes:
        days: The lengths of the windows.
        rules: The rules that flag a line.
    """

    days: tuple[int, ...]
    rules: LineRules

    @property
    def spans(self) -> ndarray:
        """Their lengths in microseconds, rising."""
        return np.array(sorted(self.days)) * DAY_MICROSECONDS

    def room(self, rows: int) -> ndarray:
        """Return the empty array that the kernel writes to, shape (rows, values)."""
        return np.empty((rows, len(SUMS) * len(self.days) + len(LINE_VALUES)))

    def frame(self, columns: LineColumns, out: ndarray) -> DataFrame:
        """Return the kernel's array as columns; NaN becomes null."""
        return DataFrame(
            {
                name: Series(np.ascontiguousarray(out[:, at]), nan_to_null=True)
                for name, at in self.places(columns).items()
            }
        )

    def places(self, columns: LineColumns) -> dict[str, int]:
        """Return the features that can be computed from some columns, and where the kernel writes
        each.
        """
        days = sorted(self.days)
        names = [(word, f"{word}_{window}d") for window in days for word in SUMS]
        names += [
            (word, word if word in SINCE_EVER else f"{word}_{days[-1]}d") for word in LINE_VALUES
        ]
        return {
            name: place
            for place, (word, name) in enumerate(names)
            if columns.knows(word) and (self.rules.tiers or word != "over_tier_share")
        }


@dataclass(frozen=True, slots=True)
class LineColumns:
    """The columns of a table that are read, each empty where there is none."""

    order: str
    sku: str
    store: str
    channel: str
    quantity: str
    unit_price: str
    amount: str
    promotion: str
    returned_at: str

    @property
    def code_columns(self) -> tuple[str, ...]:
        """The columns whose values are codes of a line."""
        return self.order, self.sku, self.store, self.channel

    def knows(self, word: str) -> bool:
        """Return whether a value can be computed."""
        if word in ("amount", "amount_ratio"):
            return bool(self.amount or (self.quantity and self.unit_price))
        return word not in NEEDS or bool(getattr(self, NEEDS[word]))


def sort_lines(table: Table) -> tuple[ndarray, ndarray]:
    """Return the rows by entity and arrival, and where each entity begins, with the end.

    A row without entity is alone.
    """
    entity = codes_apart(table.column("entity"))
    arrived = np.argsort(arrival_times(table), kind="stable")
    order = arrived[np.argsort(entity[arrived], kind="stable")]
    return order, np.concatenate([[0], np.cumsum(np.bincount(entity))])


def order_lines_of(
    table: Table, columns: LineColumns, rules: LineRules, order: ndarray
) -> tuple[OrderLines, int]:
    """Return the rows of a table in an order as lines, and how many codes they have."""
    coded, many = np.empty((len(order), 4), np.int64), 0
    for column, column_codes in enumerate(_codes(table.data, columns)):
        coded[:, column] = np.where(column_codes < 0, -1, column_codes + many)
        many += int(column_codes.max(initial=-1)) + 1
    lines = lines_without_codes(table, columns, rules)._replace(codes=coded)
    return OrderLines(*(values[order] for values in lines)), many


def lines_without_codes(table: Table, columns: LineColumns, rules: LineRules) -> OrderLines:
    """Return the rows of a table as lines that have no codes yet."""
    data, rows = table.data, len(table.data)
    quantity = as_floats(data[columns.quantity]) if columns.quantity else np.ones(rows)
    amount = np.full(rows, np.nan)
    if columns.amount:
        amount = as_floats(data[columns.amount])
    elif columns.unit_price:
        amount = quantity * as_floats(data[columns.unit_price])
    returned = np.full(rows, NEVER)
    if columns.returned_at:
        returned = wall_microseconds(data[columns.returned_at], "features.returned_at")
    time = event_times(table)
    promoted = as_floats(data[columns.promotion]) if columns.promotion else np.zeros(rows)
    return OrderLines(
        time=time,
        arrival=arrival_times(table),
        returned=returned,
        quantity=quantity,
        amount=amount,
        codes=np.full((rows, 4), -1),
        flags=flags_of(time, quantity, promoted, rules),
    )


def flags_of(time: ndarray, quantity: ndarray, promoted: ndarray, rules: LineRules) -> ndarray:
    """Return the flags of lines.

    Args:
        time: Microseconds.
        quantity: NaN where not known.
        promoted: A number above 0 for each line that was promoted.
        rules: The tiers, and the end of a quarter.
    """
    day = time // DAY_MICROSECONDS
    month = day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    quarter_start = (month // 3 * 3 + 3).astype("datetime64[M]").astype("datetime64[D]")
    days_left = quarter_start.astype(np.int64) - day
    over = np.zeros(len(time), bool)
    for tier in rules.tiers:
        over |= (quantity >= tier) & (10 * (quantity - tier) < tier)
    weekend = (day + 3) % 7 >= 5  # 1970 began on a Thursday
    late = days_left <= rules.quarter_end
    return np.column_stack([promoted > 0, weekend, over, late]).astype(np.uint8)


def _codes(data: DataFrame, columns: LineColumns) -> Iterator[ndarray]:
    """Yield the codes of order, SKU, store and channel.

    A line without an order is one of its own.
    """
    yield codes_apart(data[columns.order]) if columns.order else np.arange(len(data))
    for name in (columns.sku, columns.store, columns.channel):
        yield codes_of(data[name]) if name else np.full(len(data), -1)


# Purchases as they arrive: the kernel of the whole table, one line at a time, with a book for
# each entity.

FIRST_ROOM = 8
"""Lines that an entity has room for at first; the room doubles."""

ENTITY_PARTS = ("ranked", "pending", "last", "units", "levels", "start", "totals", "held", "sizes")
"""The parts of a book that are an entity's own; the rest is scratch, or numbered by line."""

SHARED_PARTS = dict.fromkeys(set(Book._fields) - set(ENTITY_PARTS), np.zeros(0))


class EntityBook(Serializable):
    """One entity's book, and its codes by column and value."""

    def __init__(self, windows: int) -> None:
        self.book = new_book(0, FIRST_ROOM, FIRST_ROOM, windows)._replace(**SHARED_PARTS)
        self.codes: dict[tuple[int, Any], int] = {}
        self.alone = 0
        """Lines without an order."""
        self.latest = LONG_AGO
        """The arrival of its last line."""

    def line_codes(self, values: tuple[Any, ...]) -> list[int]:
        """Return the codes of a line's order, SKU, store and channel.

        A line without an order is one of its own.
        """
        self.alone += values[0] is None
        alone = ("", self.alone) if values[0] is None else values[0]
        keys = enumerate((alone, *values[1:]))
        codes = [
            -1 if value is None else self.codes.setdefault((k, value), len(self.codes))
            for k, value in keys
        ]
        while len(self.codes) > len(self.book.last):
            self.book = self.book._replace(
                last=double_room(self.book.last, -1), units=double_room(self.book.units)
            )
        return codes

    def drop_lines(self, lines: OrderLines, first: int) -> None:
        """Drop the lines before one and the codes that no other has; number the rest from 0.

        Args:
            lines: All lines, still as they were numbered.
            first: The first line that stays; those before it have left all windows.
        """
        book, pending = self.book, self.book.pending[: self.book.sizes[PENDING]]
        ranked = book.ranked[: book.sizes[ROWS]]
        stays, pending = ranked >= first, pending[pending >= first]
        pending = pending[np.argsort(lines.returned[pending], kind="stable")]
        for window, start in enumerate(book.start.tolist()):
            book.start[window] = np.count_nonzero(stays[:start])
        ranked = ranked[stays]
        book.sizes[ROWS], book.sizes[PENDING] = len(ranked), len(pending)
        room = max(FIRST_ROOM, 1 << (len(ranked) - 1).bit_length())
        self.book = book._replace(
            ranked=_with_room(ranked - first, room),
            pending=_with_room(pending - first, room),
            levels=book.levels[:, :room].copy(),
        )
        self._drop_codes(lines, ranked, first)

    def _drop_codes(self, lines: OrderLines, ranked: ndarray, first: int) -> None:
        alive = self.book.last >= first
        number = np.where(alive, np.cumsum(alive) - 1, -1)
        room, many = FIRST_ROOM, int(alive.sum())
        while room < many:
            room *= 2
        last, units = np.full(room, -1, np.int64), np.zeros(room)
        last[:many], units[:many] = self.book.last[alive] - first, self.book.units[alive]
        self.book = self.book._replace(last=last, units=units)
        lines.codes[ranked] = np.where(lines.codes[ranked] < 0, -1, number[lines.codes[ranked]])
        self.codes = {
            key: int(number[code]) for key, code in self.codes.items() if number[code] >= 0
        }

    def make_room(self) -> None:
        """Make room for one line more."""
        book = self.book
        if book.sizes[ROWS] == len(book.ranked):
            self.book = book._replace(
                ranked=double_room(book.ranked),
                pending=double_room(book.pending),
                levels=double_room(book.levels, axis=1),
            )


class PurchaseBooks:
    """The columns of `Purchases` for lines as they arrive: the same bits as of the whole table.

    Args:
        windows: The windows that end with a line.
        columns: The columns that the lines have.
    """

    changing = ("_entities", "_lines", "_size", "_first", "_shared")

    def __init__(self, windows: LineWindows, columns: LineColumns) -> None:
        self.windows, self.columns = windows, columns
        self._spans, self._step = windows.spans, compiled(fill_one_line)
        self._entities: dict[Any, EntityBook] = {}
        self._lines, self._size, self._first = _empty(FIRST_ROOM), 0, 0
        self._shared: Book = new_book(FIRST_ROOM, FIRST_ROOM, FIRST_ROOM, len(windows.days))

    @property
    def lines(self) -> int:
        """The number of lines that have been stored, dropped ones included."""
        return self._first + self._size

    def append(self, line: OrderLines, who: Any, values: tuple[Any, ...]) -> ndarray:
        """Return the features of a line at its arrival, and store it.

        Features stand at the places of `windows.places`.

        Args:
            line: The one line; its codes are not read.
            who: The entity of the line.
            values: Order, SKU, store and channel, None where there is none.

        Raises:
            DataError: A line of the entity that arrived later is there already.
        """
        out, entity = self.windows.room(1), self._entity(who)
        if line.arrival[0] < entity.latest:
            raise DataError(f"a line of '{who}' that arrived later is there already.")
        entity.latest = line.arrival[0]
        place = self._store(line, entity.line_codes(values))
        entity.make_room()
        self._step(self._lines, self._book(entity), self._spans, place, 0, out)
        return out[0]

    def returned(self, who: Any, line: int, when: int) -> None:
        """Record that a line was returned, before lines arrive that know it.

        A second time changes nothing.

        Args:
            who: The line's entity.
            line: The number of lines of all entities that had been stored before it.
            when: Microseconds.
        """
        line -= self._first
        if line >= 0 and self._lines.returned[line] == NEVER and who in self._entities:
            self._lines.returned[line] = when
            book = self._entities[who].book
            push(book.pending, book.sizes[PENDING], self._lines.returned, line)
            book.sizes[PENDING] += 1

    def forget(self, oldest: int) -> None:
        """Drop entities without a line since a moment, and lines that are older by more than the
        longest window, once they are half of all.
        """
        lines, size = self._lines, self._size
        for who, entity in list(self._entities.items()):
            if lines.time[entity.book.ranked[entity.book.sizes[ROWS] - 1]] < oldest:
                del self._entities[who]
        stays = np.maximum(lines.arrival[:size], lines.time[:size]) >= oldest - self._spans[-1]
        first = int(np.argmax(stays)) if stays.any() else size
        if 2 * first < size or not first:
            return
        for entity in self._entities.values():
            entity.drop_lines(lines, first)
        self._first, self._size = self._first + first, size - first
        room = max(FIRST_ROOM, 2 * self._size)
        self._lines = OrderLines(*(_with_room(values[first:size], room) for values in lines))
        self._shared.late_last[:] = -1
        self._shared = self._shared._replace(back=_with_room(self._shared.back[first:size], room))

    def _entity(self, who: Any) -> EntityBook:
        """Return an entity's book; a line without an entity is alone."""
        if who in self._entities:
            return self._entities[who]
        made = EntityBook(len(self.windows.days))
        if who is not None:
            self._entities[who] = made
        return made

    def _store(self, line: OrderLines, codes: list[int]) -> int:
        """Return the place of a new line among all."""
        place, self._size = self._size, self._size + 1
        if self._size > len(self._lines.time):
            self._lines = OrderLines(*(double_room(values) for values in self._lines))
            self._shared = self._shared._replace(back=double_room(self._shared.back))
        for stored, given in zip(self._lines, line, strict=True):
            stored[place] = given[0]
        self._lines.codes[place] = codes
        return place

    def _book(self, entity: EntityBook) -> Book:
        """Return the entity's book with the scratch that all share, as large as the largest
        needs.
        """
        book, shared = entity.book, self._shared
        while len(shared.late_last) < len(book.last):
            units, last = double_room(shared.late_units), double_room(shared.late_last, -1)
            shared = shared._replace(late_last=last, late_units=units)
        while shared.late_levels.shape[1] < len(book.ranked):
            shared = shared._replace(late_levels=double_room(shared.late_levels, axis=1))
        self._shared = shared
        return shared._replace(**{name: getattr(book, name) for name in ENTITY_PARTS})


def _with_room(values: ndarray, room: int) -> ndarray:
    """Return values in an array of so many, zeros behind them."""
    whole = np.zeros((room, *values.shape[1:]), values.dtype)
    whole[: len(values)] = values
    return whole


def _empty(lines: int) -> OrderLines:
    return OrderLines(
        time=np.zeros(lines, np.int64),
        arrival=np.zeros(lines, np.int64),
        returned=np.zeros(lines, np.int64),
        quantity=np.zeros(lines),
        amount=np.zeros(lines),
        codes=np.zeros((lines, 4), np.int64),
        flags=np.zeros((lines, 4), np.uint8),
    )


# Purchases of one event at a time: from values by column to the line that `PurchaseBooks`
# keeps.


class PurchaseEvents(Live):
    """The columns of `Purchases` for events.

    Args:
        windows: The windows that end with a line.
        columns: The columns that the events have.
        entity: The column that says whose a line is.
    """

    changing = ("_live", "_owners", "_begin")
    since_ever = SINCE_EVER

    def __init__(self, windows: LineWindows, columns: LineColumns, entity: str) -> None:
        self._columns, self._rules, self._entity = columns, windows.rules, entity
        self._live = PurchaseBooks(windows, columns)
        self._owners, self._begin = ByPlace(), 0
        self.reach = int(windows.spans[-1])
        places = windows.places(columns)
        self.columns, self._places = floats_of(tuple(places)), list(places.values())
        self.returned_at = self._columns.returned_at
        self.never_negative = (self._columns.quantity,) if self._columns.quantity else ()

    def arrive(self, event: RowEvent) -> Sequence[Value]:
        """Return the windows that end with the event."""
        names, values = self._columns, event.values
        coded = tuple(values.get(name) if name else None for name in names.code_columns)
        if not self._live.lines:
            self._begin = event.place
        self._owners.put(event.place, values.get(self._entity))
        features = self._live.append(self._line(event), values.get(self._entity), coded)
        return known_floats(features[self._places])

    def returned(self, place: int, at: int) -> None:
        """Let a return count from the first arrival at or after that moment."""
        self._live.returned(self._owners[place], place - self._begin, at)

    def forget(self, oldest: int, place: int) -> None:
        """Drop entities without a line since then, and old lines."""
        self._owners.drop_before(place)
        self._live.forget(oldest)

    def _line(self, event: RowEvent) -> OrderLines:
        names, values = self._columns, event.values
        quantity = as_float(values.get(names.quantity)) if names.quantity else 1.0
        promoted = as_float(values.get(names.promotion)) > 0 if names.promotion else False
        returned = microseconds(values.get(names.returned_at)) if names.returned_at else NEVER
        amount = float("nan")
        if names.amount:
            amount = as_float(values.get(names.amount))
        elif names.unit_price:
            amount = quantity * as_float(values.get(names.unit_price))
        fields: dict[str, Any] = {  # sequences of one serve as well as arrays, and cost less
            "time": (event.time,),
            "arrival": (event.arrival,),
            "returned": (returned,),
            "quantity": (quantity,),
            "amount": (amount,),
            "codes": ((-1, -1, -1, -1),),
            "flags": (self._flags(event.time // DAY_MICROSECONDS, quantity, promoted),),
        }
        return OrderLines(**fields)

    def _flags(self, day: int, quantity: float, promoted: bool) -> tuple[int, int, int, int]:
        weekend, quarter_end = _calendar_flags(day, self._rules)
        over = any(quantity >= tier and 10 * (quantity - tier) < tier for tier in self._rules.tiers)
        return int(promoted), weekend, int(over), quarter_end


@lru_cache(maxsize=4096)
def _calendar_flags(day: int, rules: LineRules) -> tuple[int, int]:
    """Return the flags that depend on the day alone: weekend and end of a quarter."""
    flags = flags_of(np.array([day * DAY_MICROSECONDS]), np.ones(1), np.zeros(1), rules)[0].tolist()
    return flags[1], flags[3]


# Purchases: the purchases of an entity in the days before each of its order lines.

USUAL_NAMES = ("order", "sku", "store", "channel", "returned_at")
USUAL_NUMBERS = ("quantity", "unit_price", "promotion")
"""The columns that are used where a table has them; any other name is the user's own and must be
there.
"""


class Purchases(RowFeatures):
    """The purchases of an entity in the days up to each order line: units, orders, spread over
    stores, and habits.

    A window of W days ends with the line itself and has the lines of the same entity that happened
    less than W days before it and had arrived. Of each window: `quantity_30d`, `orders_30d`
    (different ones; each line is an order where there is no such column), `amount_30d`, `skus_30d`,
    `stores_30d`, `channels_30d` (different ones). Of the longest window: `cross_channel_90d` (1 if
    there is more than one channel), the shares of lines that were promoted (`promoted_share_90d`),
    on a weekend (`weekend_share_90d`), just over a tier (`over_tier_share_90d`), in the last days
    of a quarter (`quarter_end_share_90d`), and returned by then (`return_rate_90d`);
    `sku_concentration_90d` (Herfindahl: the sum of squared shares of units, or of lines, by SKU);
    `quantity_ratio_90d` and `amount_ratio_90d`, the line's own over the median of the lines before
    it. Of all lines: `tenure_days` since the first one and `order_gap_days` since the order before.
    Null is what cannot be known.

    Attributes:
        days: The lengths of the windows, in days.
        order: The column of the order that a line is of; '' for none.
        sku: The column of what was bought; '' for none.
        store: The column of the store; '' for none.
        channel: The column of the channel; '' for none.
        quantity: The column of the units; '' for none.
        unit_price: The column of the price of a unit; '' for none.
        amount: The column of what a line cost; '' takes quantity times unit price, or where one of
            them is absent the column with the role `amount`.
        promotion: The column that says whether a line was promoted; '' for none.
        returned_at: The column that says when a line was returned; '' for none.
        tiers: Quantities from which on a unit costs less; a line is just over one if it exceeds it
            by less than a tenth.
        quarter_end: The number of last days of a quarter that count as its end.
    """

    days: Annotated[tuple[Days, ...], MinLen(1), Once] = (1, 7, 30, 90)
    order: str = "order"
    sku: str = "sku"
    store: str = "store"
    channel: str = "channel"
    quantity: str = "quantity"
    unit_price: str = "unit_price"
    amount: str = ""
    promotion: str = "promotion"
    returned_at: str = "returned_at"
    tiers: Annotated[tuple[Positive, ...], Once] = (10, 50, 100)
    quarter_end: Days = 10

    def check(self, table: Table) -> None:
        """Refuse a table without entity and time, without a column that the user named, or with a
        quantity below 0.
        """
        require_role(table, "purchases", "entity", "time")
        require_not_negative(table, "quantity", self.read_of(table).quantity)

    def absent(self, table: Table) -> tuple[str, ...]:
        """Return the columns of that name that the table lacks.

        What they would tell is not computed.
        """
        return tuple(
            name
            for name, column in vars(self).items()
            if name in (*USUAL_NAMES, *USUAL_NUMBERS)
            and column == name
            and name not in table.data.columns
        )

    def live(self, schema: Table) -> Live:
        """Return the same for rows as they arrive."""
        self.check(schema)
        return PurchaseEvents(self.windows, self.read_of(schema), schema.name("entity"))

    def compute(self, table: Table) -> DataFrame:
        """Return the columns that can be computed from the table.

        Raises:
            DataError: A row has no time.
        """
        self.check(table)
        columns, windows = self.read_of(table), self.windows
        order, bounds = sort_lines(table)
        lines, codes = order_lines_of(table, columns, windows.rules, order)
        book = new_book(len(order), int(np.diff(bounds).max()), codes, len(self.days))
        out = windows.room(len(order))
        compiled(fill_lines)(lines, book, windows.spans, bounds, order, out)
        return windows.frame(columns, out)

    @property
    def windows(self) -> LineWindows:
        """The windows, and the rules that flag a line."""
        return LineWindows(self.days, LineRules(self.tiers, self.quarter_end))

    def read_of(self, table: Table) -> LineColumns:
        """Return the columns of a table that are read.

        Raises:
            ConfigError: A name that the user chose is absent, or holds what it must not.
        """
        numbers = {
            name: optional_number_column(table, name, getattr(self, name), name)
            for name in USUAL_NUMBERS
        }
        amount = optional_number_column(table, "amount", self.amount)
        priced = numbers["quantity"] and numbers["unit_price"]
        if not (amount or priced) and len(table.roles.get("amount", ())) == 1:
            amount = optional_number_column(table, "amount", table.name("amount"))
        columns = {
            name: optional_column(table, name, getattr(self, name), name) for name in USUAL_NAMES
        }
        _must_be_instants(table, columns["returned_at"])
        return LineColumns(**columns, **numbers, amount=amount)


def _must_be_instants(table: Table, name: str) -> None:
    kind = table.data.schema[name] if name else pl.Date()
    if not (kind == pl.Date or isinstance(kind, pl.Datetime)):
        raise ConfigError(
            f"features.returned_at: column '{name}' must hold dates or instants, it holds {kind}."
        )
