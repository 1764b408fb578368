"""Features of rows: the columns that they read, instants and labels, and rows that arrive
singly.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy import ndarray
from polars import Series

from hwds.core.errors import ConfigError, DataError, nearest
from hwds.core.serialization import Serializable
from hwds.frames.roles import ROLES
from hwds.frames.table import Table

# Columns of a table as features of rows read them: absent ones, instants as numbers, values as
# codes.

NEVER = np.iinfo(np.int64).max
"""An instant after all others, in microseconds."""

LONG_AGO = np.iinfo(np.int64).min
"""An instant before all others."""

DAY_MICROSECONDS = 86_400_000_000
"""Microseconds."""

HIDDEN_ROLES = tuple(role.name for role in ROLES.values() if role.known == "never")
"""Roles of what is not known at a row's own moment."""


def hidden_columns(table: Table) -> dict[str, str]:
    """Return the columns that are not known at a row's own moment, each with its role."""
    return {name: role for role in HIDDEN_ROLES for name in table.roles.get(role, ())}


def optional_column(table: Table, field: str, name: str, default: str = "") -> str:
    """Return the name of a column that a field names, empty where there is none.

    The default and no name may be absent.

    Raises:
        ConfigError: A name that the user chose is absent, or the column is not known at a row's own
            moment.
    """
    if role := hidden_columns(table).get(name):
        raise ConfigError(
            f"features.{field}: '{name}' is {role}, which is not known at the moment of its row."
        )
    if name in table.data.columns:
        return name
    if name in (default, ""):
        return ""
    raise ConfigError(f"features.{field}: no column '{name}'{nearest(name, table.data.columns)}")


def optional_number_column(table: Table, field: str, name: str, default: str = "") -> str:
    """Return the same as `optional_column`, for a column of numbers.

    Raises:
        ConfigError: The column holds others.
    """
    column = optional_column(table, field, name, default)
    require_numbers(table, field, column)
    return column


def require_role(table: Table, kind: str, *roles: str) -> None:
    """Refuse a table in which no column plays a role.

    Raises:
        ConfigError: With the role.
        DataError: Several columns play it, or the times are none.
    """
    for role in roles:
        if not table.roles.get(role):
            raise ConfigError(
                f"features: '{kind}' needs the role '{role}'; set dataset.roles.{role}."
            )
        table.column(role)
    if "time" in roles:
        event_times(table)
        arrival_times(table)


def require_numbers(table: Table, field: str, name: str) -> None:
    """Refuse a column that holds no numbers; no name is fine.

    Raises:
        ConfigError: With what it holds.
    """
    if name and not (table.data.schema[name].is_numeric() or table.data.schema[name] == pl.Boolean):
        raise ConfigError(
            f"features.{field}: column '{name}' must hold numbers, it holds "
            f"{table.data.schema[name]}."
        )


def require_not_negative(table: Table, field: str, name: str) -> None:
    """Refuse a column with a number below 0; no name is fine.

    Raises:
        DataError: With the first row that has one.
    """
    if not name:
        return
    bad = (table.data[name] < 0).fill_null(False).arg_true()
    if len(bad):
        raise DataError(
            f"features.{field}: column '{name}' must be >= 0, row {bad[0] + 1} has "
            f"{table.data[name][bad[0]]}."
        )


def wall_microseconds(values: Series, where: str) -> ndarray:
    """Return microseconds of the clock on the wall; a null is `NEVER`.

    Args:
        values: Dates or instants.
        where: What in the config names the column.

    Raises:
        DataError: The column holds no dates and no instants.
    """
    if not (values.dtype == pl.Date or isinstance(values.dtype, pl.Datetime)):
        raise DataError(
            f"{where}: column '{values.name}' must hold dates or instants, it holds {values.dtype}."
        )
    return wall_instants(values).cast(pl.Int64).fill_null(NEVER).to_numpy()


def wall_instants(values: Series) -> Series:
    """Return dates or instants as instants without a zone."""
    plain = values.dt.replace_time_zone(None) if isinstance(values.dtype, pl.Datetime) else values
    return plain.cast(pl.Datetime("us"))


def event_times(table: Table) -> ndarray:
    """Return when each row happened, in microseconds.

    Raises:
        DataError: No single column has the role `time`, it holds no instants, or a row has none.
    """
    column = table.column("time")
    time = wall_microseconds(column, "dataset.roles.time")
    if column.null_count():
        row = int(column.is_null().arg_true()[0]) + 1
        raise DataError(f"dataset.roles.time: column '{column.name}' has no instant in row {row}.")
    return time


def arrival_times(table: Table) -> ndarray:
    """Return when each row became known, in microseconds: its `available_at` (`NEVER` where null),
    or else its `time`.
    """
    role = "available_at" if table.roles.get("available_at") else "time"
    return wall_microseconds(table.column(role), f"dataset.roles.{role}")


# Outcomes that come late: rows whose outcome the end of a log cut off, and the weights of others.

LEAST_OPEN = 0.01
"""The share of rows without a known outcome from which rows are weighted."""

LEAST_OLD = 0.05
"""The share of rows that must be as old as the largest delay that counts: no weight exceeds 20."""


@dataclass(frozen=True, eq=False, slots=True)
class LateOutcomes:
    """The rows of a log whose outcome was not known at its end.

    Attributes:
        weight: The weight of each row's outcome, 0 if it was not known, shape (n,).
        is_open: Whether a row's outcome was not known, shape (n,).
        remark: What was done, in words.
    """

    weight: ndarray
    is_open: ndarray
    remark: str

    def filled(self, table: Table) -> Table:
        """Return the table with 0 for outcomes that are missing because they were not known."""
        return self._with(table, pl.when(Series(self.is_open)).then(pl.all().fill_null(0)))

    def weighted(self, table: Table) -> Table:
        """Return the table with outcomes times their weights."""
        return self._with(self.filled(table), pl.when(True).then(pl.all() * Series(self.weight)))

    @staticmethod
    def _with(table: Table, value: Any) -> Table:
        names = [*table.roles.get("outcome", ()), *table.roles.get("amount", ())]
        changed = table.data.select(names).select(value.otherwise(pl.all()).name.keep())
        return replace(table, data=table.data.with_columns(changed))


def late_outcomes(table: Table, by: ndarray | None = None) -> LateOutcomes | None:
    """Return the weights of outcomes that the end of a log cut off, by the roles `time` and
    `available_at`; None if (nearly) all outcomes were known.

    An outcome is not known if its `available_at` is null or after the end of the log. The end is
    the last `time`, or the last `available_at` if outcomes other than 0 came clearly later.

    Args:
        table: A row for each unit or decision.
        by: The number of the group (an arm) within which ages are compared, shape (n,).

    Raises:
        DataError: An outcome other than 0 has no `available_at`.
    """
    if not all(table.roles.get(role) for role in ("time", "available_at", "outcome")):
        return None
    if not all(table.data[name].dtype.is_numeric() for name in table.roles["outcome"]):
        return None
    start, known = _clock(table.column("time")), _clock(table.column("available_at"))
    values = [table.data[name] for name in table.roles["outcome"]]
    came = np.any([(each != 0).fill_null(value=False).to_numpy() for each in values], axis=0)
    if np.any(came & np.isnan(known)):
        row = int(np.argmax(came & np.isnan(known))) + 1
        raise DataError(
            f"dataset.roles.available_at: row {row} has an outcome and no time at which it was "
            f"known."
        )
    if not came.any():
        return None
    first, last, latest = np.nanmin(start), np.nanmax(start), np.nanmax(known[came])
    waited = latest > last + LEAST_OPEN * (last - first)
    end = np.nanmax(known) if waited else max(last, latest)
    is_open = ~(known <= end)
    if is_open.mean() < LEAST_OPEN:
        return None
    delay = np.where(is_open, np.inf, np.maximum(known - start, 0.0))
    weight, longest = late_weights(end - start, delay, by)
    shown = longest / DAY_MICROSECONDS if table.column("time").dtype.is_temporal() else longest
    remark = (
        f"{is_open.sum():,} of {len(start):,} rows have no known outcome at the end of the log. "
        f"Each known outcome is divided by the share of rows that are old enough to show it. "
        f"Outcomes that take longer than {shown:.3g} days do not count."
    )
    return LateOutcomes(weight, is_open, remark)


def late_weights(age: ndarray, delay: ndarray, by: ndarray | None = None) -> tuple[ndarray, float]:
    """Return weights by which known outcomes have the mean of all, and the largest delay that
    counts.

    An outcome counts 1 / P(age >= delay), by the inverse probability of censoring (Robins and
    Rotnitzky 1992). The ages of all rows are known, so nothing is estimated. Delays must not
    depend on the time of a row.

    Args:
        age: The time from each row to the end of the log, shape (n,).
        delay: The time from each row to its outcome, infinite if not known, shape (n,).
        by: The number of the group within which ages are compared, shape (n,).
    """
    groups = np.zeros(len(age), np.int64) if by is None else by
    ages = [np.sort(age[groups == group]) for group in range(int(groups.max()) + 1)]
    longest = min(each[int((1 - LEAST_OLD) * (len(each) - 1))] for each in ages if len(each))
    weight = np.zeros(len(age))
    for group, own in enumerate(ages):
        rows = (groups == group) & (delay <= longest)
        weight[rows] = len(own) / (len(own) - np.searchsorted(own, delay[rows]))
    return weight, float(longest)


def _clock(values: Series) -> ndarray:
    """Return dates, instants or numbers as floats, NaN where there is none."""
    numbers = wall_instants(values).cast(pl.Int64) if values.dtype.is_temporal() else values
    return numbers.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def as_floats(values: Series) -> ndarray:
    """Return numbers, NaN where there is none."""
    return values.cast(pl.Float64).to_numpy()


def codes_of(values: Series) -> ndarray:
    """Return for each distinct value a number from 0, in order of first appearance; -1 for null."""
    frame = values.alias("value").to_frame().with_row_index("row")
    first = (
        pl.when(pl.col("value").is_not_null())
        .then(pl.col("row").first().over("value").cast(pl.Int64))
        .fill_null(-1)
    )
    place = frame.select(first).to_series().to_numpy()
    present = place >= 0
    rank = np.zeros(len(place), np.int64)
    rank[place[present]] = 1
    rank = np.cumsum(rank) - 1
    return np.where(present, rank[place], -1)


def codes_apart(values: Series) -> ndarray:
    """Return the same as `codes_of`, but each null is a value of its own."""
    codes = codes_of(values)
    unknown = np.flatnonzero(codes < 0)
    codes[unknown] = codes.max(initial=-1) + 1 + np.arange(len(unknown))
    return codes


def column_floats(table: Table, name: str) -> ndarray:
    """Return a column as floats, NaN where there is none."""
    return np.array(as_floats(table.data[name]))  # a copy, which can be written to


def require_known_columns(table: Table, field: str, names: Sequence[str]) -> None:
    """Refuse names of columns that are not there, or are not known at the moment of their row.

    Raises:
        ConfigError: With the nearest right name.
    """
    for name in names:
        optional_column(table, field, name)


def require_number_columns(table: Table, field: str, names: Sequence[str]) -> None:
    """Refuse names of columns that are not there, or hold no numbers.

    Raises:
        ConfigError: With the nearest right name, or what the column holds.
    """
    for name in names:
        optional_number_column(table, field, name)


def entity_of(table: Table, field: str, name: str | None) -> str:
    """Return the column that says whose a row is: the one that is named, or else the one with the
    role `entity`.

    Raises:
        ConfigError: It is not there, or no column is named and none plays the role alone.
    """
    if name is not None:
        require_known_columns(table, field, [name])
        return name
    names = table.roles.get("entity", ())
    if len(names) != 1:
        raise ConfigError(
            f"features.{field}: must name a column unless exactly one has the role 'entity', got "
            f"null."
        )
    return names[0]


# Moments: when the rows of a table happened and arrived, and when their labels did.


@dataclass(frozen=True, slots=True, eq=False)
class Instants:
    """The moments of rows in microseconds, each array of shape (n,).

    Attributes:
        time: The moment of each event.
        arrival: The moment at which each became known; `NEVER` where that is unknown.
        order: The rows in the order of their arrival, those of one instant as they stand in the
            table.
        place: The place of each row in that order: row j had arrived before row i where `place[j] <
            place[i]`.
    """

    time: ndarray
    arrival: ndarray
    order: ndarray
    place: ndarray

    def first_place(self, at: ndarray) -> ndarray:
        """Return the place of the first row that arrived at or after each instant.

        N where there is none.
        """
        return np.searchsorted(self.arrival[self.order], at, side="left")


@dataclass(frozen=True, slots=True, eq=False)
class LabelArrivals:
    """The labels that arrive at all, in the order of their arrival, each array of shape
    (n_labels,).

    Attributes:
        row: The row that each is the label of.
        value: 0 or 1.
        time: The moment at which it became known, in microseconds.
        enters: The place of the first row that knows it: one that arrived after the label's row,
            and not before the label.
    """

    row: ndarray
    value: ndarray
    time: ndarray
    enters: ndarray


def instants_of(table: Table) -> Instants:
    """Return the moments of a table's rows, by its roles `time` and `available_at` (`time` where
    that is not played).

    Raises:
        DataError: No column has the role `time`, it holds no instants, or a row has none.
    """
    time, arrival = event_times(table), arrival_times(table)
    order = np.argsort(arrival, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return Instants(time, arrival, order, place)


def label_arrivals_of(table: Table, moments: Instants) -> LabelArrivals:
    """Return the labels of a table's rows, by its roles `label` and `label_time`.

    Raises:
        ConfigError: No column says when labels arrived.
        DataError: The times are none.
    """
    if not table.roles.get("label_time"):
        raise ConfigError(
            "features: labels that arrive need the role 'label_time'; set dataset.roles.label_time."
        )
    label = table.column("label").cast(pl.Float64).fill_nan(None)
    when = wall_microseconds(table.column("label_time"), "dataset.roles.label_time")
    there = np.flatnonzero(label.is_not_null().to_numpy() & (when < NEVER))
    row = there[np.argsort(when[there], kind="stable")]
    time = when[row]
    enters = np.maximum(moments.place[row] + 1, moments.first_place(time))
    return LabelArrivals(row, (label.to_numpy()[row] == 1).astype(np.int64), time, enters)


# Live: the columns of rows that arrive one at a time, the same as of the whole table.

EPOCH, MICROSECOND = datetime(1970, 1, 1), timedelta(microseconds=1)

Value = float | int | Any | None
"""A computed value of a row: a number, an array of numbers, None where it is not known."""


@dataclass(slots=True)
class RowEvent:
    """A row that has just arrived.

    Attributes:
        place: The number of rows that arrived before it.
        time: The moment at which it happened, in microseconds of the clock on the wall.
        arrival: The moment of its arrival, no earlier than that of the row before.
        values: The values by column, None where there is none; features add theirs, so that later
            ones can read them.
    """

    place: int
    time: int
    arrival: int
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """The label of an earlier row, which has just become known.

    Attributes:
        place: The row's.
        time: The moment at which the row happened.
        at: The moment at which the label became known.
        positive: Whether it is 1.
    """

    place: int
    time: int
    at: int
    positive: bool


class Live(ABC):
    """Features of rows as they arrive: `RowFeatures.live` makes one, and it keeps what it needs of
    what has arrived.

    Rows are handed over in the order of arrival. A label is handed over once, after its own row and
    before the first row that knows it; a return likewise, when it becomes known.
    """

    columns: Mapping[str, Any] = {}
    """Name and type of each column, in the order in which `arrive` returns them."""

    returned_at: str = ""
    """The column that says when a row was returned, which becomes known later; empty where none is
    read.
    """

    never_negative: tuple[str, ...] = ()
    """Columns of which a number below 0 is refused before the row arrives, as `RowFeatures.check`
    refuses it in a table.
    """

    changing: tuple[str, ...] | None = None
    """The attributes that change as rows arrive, of which a snapshot is made: plain values, arrays,
    containers and records of them, or objects that have `changing` themselves; None where they are
    not known, and no snapshot is made.
    """

    reach: int = 0
    """Microseconds of the longest window: no column but those of `since_ever` reads a row that
    happened, or a label that came, longer before a row than that.
    """

    since_ever: tuple[str, ...] | None = None
    """Columns that read all of the past, however long ago; None for all columns."""

    @abstractmethod
    def arrive(self, event: RowEvent) -> Sequence[Value]:
        """Return the features at the arrival of a row, and store the row."""

    def confirm(self, outcome: RowOutcome) -> None:
        """Take a label that becomes known; most features read none."""
        return

    def retract(self, outcome: RowOutcome, now: int) -> None:
        """Undo `confirm` of a label that was wrong, `now` being the last arrival: columns of
        later rows are those without it.
        """
        return

    def returned(self, place: int, at: int) -> None:
        """Take the return of a row at a moment later than all arrivals; most features read none."""
        return

    def forget(self, oldest: int, place: int) -> None:
        """Drop what no column but those of `since_ever` will read.

        Args:
            oldest: Rows to come read no row that happened before it, and no label that came before.
            place: The first row of which a label or a return may still be told.
        """
        return

    @property
    def undoes(self) -> bool:
        """Whether `retract` undoes all that `confirm` does."""
        kind = type(self)
        return kind.retract is not Live.retract or kind.confirm is Live.confirm


class LiveNothing(Live):
    """No columns."""

    changing = ()
    since_ever = ()

    def arrive(self, event: RowEvent) -> Sequence[Value]:
        """Return no values."""
        return ()


class LiveTogether(Live):
    """Several live features in order.

    Args:
        parts: The states of the parts, in the order in which rows are handed to them.
    """

    changing = ("_parts",)

    def __init__(self, parts: Sequence[Live]) -> None:
        self._parts, self._names = tuple(parts), [tuple(part.columns) for part in parts]
        self.columns = {name: kind for part in parts for name, kind in part.columns.items()}
        self.returned_at = next((part.returned_at for part in parts if part.returned_at), "")
        self.never_negative = tuple(
            dict.fromkeys(name for part in parts for name in part.never_negative)
        )
        self.reach = max(part.reach for part in parts)
        self.since_ever = tuple(
            name
            for part in parts
            for name in (part.columns if part.since_ever is None else part.since_ever)
        )

    def arrive(self, event: RowEvent) -> Sequence[Value]:
        """Return the columns of all parts."""
        values: list[Value] = []
        for part, names in zip(self._parts, self._names, strict=True):
            part_values = part.arrive(event)
            event.values.update(zip(names, part_values, strict=True))
            values += part_values
        return values

    def confirm(self, outcome: RowOutcome) -> None:
        """Hand over to each part."""
        for part in self._parts:
            part.confirm(outcome)

    def retract(self, outcome: RowOutcome, now: int) -> None:
        """Hand over to each part."""
        for part in self._parts:
            part.retract(outcome, now)

    def returned(self, place: int, at: int) -> None:
        """Hand over to each part."""
        for part in self._parts:
            part.returned(place, at)

    def forget(self, oldest: int, place: int) -> None:
        """Hand over to each part."""
        for part in self._parts:
            part.forget(oldest, place)

    @property
    def undoes(self) -> bool:
        """Whether all parts undo a label."""
        return all(part.undoes for part in self._parts)


class PastItems(Serializable):
    """Items in the order of their times, those of one time in the order in which they came."""

    __slots__ = ("items", "times")

    def __init__(self) -> None:
        self.times: list[int] = []
        self.items: list[Any] = []

    def put(self, time: int, item: Any) -> int:
        """Insert an item; return its place."""
        if not self.times or self.times[-1] <= time:
            self.times.append(time)
            self.items.append(item)
            return len(self.times) - 1
        place = bisect_right(self.times, time)
        self.times.insert(place, time)
        self.items.insert(place, item)
        return place

    def upto(self, time: int) -> int:
        """Return how many items are of no later time."""
        if not self.times or self.times[-1] <= time:
            return len(self.times)
        return bisect_right(self.times, time)

    def drop_before(self, time: int) -> None:
        """Drop the items of earlier times."""
        gone = bisect_left(self.times, time)
        if gone:
            del self.times[:gone], self.items[:gone]


def drop_past(past: dict[Any, PastItems], oldest: int) -> None:
    """Drop the items before a time, and the keys that have none left."""
    for key in list(past):
        items = past[key]
        if items.times and items.times[-1] >= oldest:
            items.drop_before(oldest)
        else:
            del past[key]


class ByPlace(Serializable):
    """What is kept of rows, by their places, but for the first ones, which were dropped."""

    __slots__ = ("first", "items")

    def __init__(self) -> None:
        self.first = 0
        self.items: list[Any] = []

    def put(self, place: int, item: Any) -> None:
        """Append the item of the next row."""
        if not self.items:
            self.first = place
        self.items.append(item)

    def __getitem__(self, place: int) -> Any:
        return self.items[place - self.first]

    def __contains__(self, place: int) -> bool:
        return self.first <= place < self.first + len(self.items)

    def drop_before(self, place: int) -> None:
        """Drop the items of the rows before one."""
        gone = min(place - self.first, len(self.items))
        if gone > 0:
            del self.items[:gone]
            self.first += gone


def double_room(values: ndarray, fill: int = 0, axis: int = 0) -> ndarray:
    """Return an array with room for as much again."""
    return np.concatenate([values, np.full_like(values, fill)], axis=axis)


def as_float(value: Any) -> float:
    """Return a value as a float, NaN where there is none."""
    return math.nan if value is None else float(value)


def known_float(value: float) -> float | None:
    """Return the number, None where it is NaN."""
    return None if math.isnan(value) else value


def known_floats(values: ndarray) -> list[float | None]:
    """Return numbers as floats, None where one is NaN."""
    cells: list[float | None] = values.tolist()
    for place in np.flatnonzero(np.isnan(values)).tolist():
        cells[place] = None
    return cells


def floats_of(names: Sequence[str]) -> dict[str, Any]:
    """Return columns of floats."""
    return dict.fromkeys(names, pl.Float64)


def microseconds(value: date | None) -> int:
    """Return a date or an instant in microseconds of the clock on the wall; None is never."""
    if value is None:
        return NEVER
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    return (value.replace(tzinfo=None) - EPOCH) // MICROSECOND
