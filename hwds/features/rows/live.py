"""Live: the columns of rows that arrive one at a time, the same as of the whole table."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from hwds.core.serialization import Serializable
from hwds.features.rows.columns import NEVER

EPOCH, MICROSECOND = datetime(1970, 1, 1), timedelta(microseconds=1)

Value = float | int | Any | None
"""A computed value of a row: a number, an array of numbers, None where it is not known."""


@dataclass(slots=True)
class Event:
    """A row that has just arrived.

    Attributes:
        place: How many arrived before it.
        time: When it happened, in microseconds of the clock on the wall.
        arrival: When it arrived, no earlier than the row before.
        values: By column, None where there is none; features add theirs, so that later ones can read them.
    """

    place: int
    time: int
    arrival: int
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The label of an earlier row, which has just become known.

    Attributes:
        place: The row's.
        time: When the row happened.
        at: When the label became known.
        positive: Whether it is 1.
    """

    place: int
    time: int
    at: int
    positive: bool


class Live(ABC):
    """Features of rows as they arrive: `RowFeatures.live` makes one, and it keeps what it needs of what has arrived.

    Rows are handed over in the order of arrival. A label is handed over once, after its own row and before the first row that
    knows it; a return likewise, when it becomes known.
    """

    columns: Mapping[str, Any] = {}
    """Name and type of each column, in the order in which `arrive` returns them."""

    returned_at: str = ""
    """The column that says when a row was returned, which becomes known later; empty where none is read."""

    never_negative: tuple[str, ...] = ()
    """Columns of which a number below 0 is refused before the row arrives, as `RowFeatures.check` refuses it in a table."""

    changing: tuple[str, ...] | None = None
    """The attributes that change as rows arrive, of which a snapshot is made: plain values, arrays, containers and records of
    them, or objects that have `changing` themselves; None where they are not known, and no snapshot is made."""

    @abstractmethod
    def arrive(self, event: Event) -> Sequence[Value]:
        """Return the features at the arrival of a row, and store the row."""

    def confirm(self, outcome: Outcome) -> None:
        """Take a label that becomes known; most features read none."""
        return

    def returned(self, place: int, at: int) -> None:
        """Take the return of a row at a moment later than all arrivals; most features read none."""
        return


class LiveNothing(Live):
    """No columns."""

    changing = ()

    def arrive(self, event: Event) -> Sequence[Value]:
        """Return no values."""
        return ()


class LiveTogether(Live):
    """Several live features in order.

    Args:
        parts: In the order in which rows are handed to them.
    """

    changing = ("_parts",)

    def __init__(self, parts: Sequence[Live]) -> None:
        self._parts, self._names = tuple(parts), [tuple(part.columns) for part in parts]
        self.columns = {name: kind for part in parts for name, kind in part.columns.items()}
        self.returned_at = next((part.returned_at for part in parts if part.returned_at), "")
        self.never_negative = tuple(dict.fromkeys(name for part in parts for name in part.never_negative))

    def arrive(self, event: Event) -> Sequence[Value]:
        """Return the columns of all parts."""
        values: list[Value] = []
        for part, names in zip(self._parts, self._names, strict=True):
            part_values = part.arrive(event)
            event.values.update(zip(names, part_values, strict=True))
            values += part_values
        return values

    def confirm(self, outcome: Outcome) -> None:
        """Hand over to each part."""
        for part in self._parts:
            part.confirm(outcome)

    def returned(self, place: int, at: int) -> None:
        """Hand over to each part."""
        for part in self._parts:
            part.returned(place, at)


class Past(Serializable):
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


def doubled(values: np.ndarray, fill: int = 0, axis: int = 0) -> np.ndarray:
    """Return an array with room for as much again."""
    return np.concatenate([values, np.full_like(values, fill)], axis=axis)


def number(value: Any) -> float:
    """Return a value as a float, NaN where there is none."""
    return math.nan if value is None else float(value)


def known(value: float) -> float | None:
    """Return the number, None where it is NaN."""
    return None if math.isnan(value) else value


def all_known(values: np.ndarray) -> list[float | None]:
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
