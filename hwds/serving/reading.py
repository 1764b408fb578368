"""Reading events: from JSON, dicts and Arrow to values of the types that the columns have."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from math import isfinite
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

import polars as pl

from hwds.errors import ConfigError, DataError, nearest
from hwds.features.live import microseconds
from hwds.features.row_columns import HIDDEN
from hwds.frames.table import ROW_ID, Table

Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Read:
    """An event as it was read.

    Attributes:
        id: By which the same event is known when it comes again.
        time: When it happened, in microseconds of the clock on the wall.
        arrival: When it says that it arrived; when it happened where it does not.
        values: By column.
        body: The same as JSON, from which it can be read again.
    """

    id: str
    time: int
    arrival: int
    values: dict[str, Any]
    body: str


class Reader:
    """Reads events of one schema.

    Args:
        schema: A table of the events' columns and roles, without rows.
        key: What in an event tells it from all others; it need not be a column.
        never_negative: Columns of which a number below 0 is refused, as it is of amounts.

    Raises:
        ConfigError: The schema has no time, or a column that no event can bear.
    """

    def __init__(self, schema: Table, key: str, never_negative: Iterable[str] = ()) -> None:
        if not schema.roles.get("time"):
            raise ConfigError("events need the role 'time'; set dataset.roles.time.")
        self.key, self._time, self._arrival = key, schema.name("time"), schema.name("available_at")
        self._never_negative = tuple(dict.fromkeys((*schema.roles.get("amount", ()), *never_negative)))
        self._hidden = {name: role for role in HIDDEN for name in schema.roles.get(role, ())}
        kinds = {name: kind for name, kind in schema.data.schema.items() if name not in self._hidden and name != ROW_ID}
        self._convert = {name: _converter(name, kind) for name, kind in kinds.items()}

    def read(self, event: Mapping[str, Any] | str | bytes) -> Read:
        """One event; what it does not say is not known.

        Raises:
            DataError: It is no JSON object, has no key or no time, or says something that the columns cannot hold.
        """
        told = event if isinstance(event, Mapping) else _parsed(event)
        id = told.get(self.key)
        if id is None or isinstance(id, bool | float):
            raise DataError(f"event: must have a text or a whole number under '{self.key}', got {id!r}.")
        values = self._values(str(id), told)
        if values.get(self._time) is None:
            raise DataError(f"event '{id}': must have a time under '{self._time}'.")
        for name in self._never_negative:
            if values.get(name, 0) < 0:
                raise DataError(f"event '{id}': '{name}' must be >= 0, got {values[name]}.")
        body = event if isinstance(event, str) else _ENCODER.encode(told)
        time, arrival = (microseconds(values.get(name, values[self._time])) for name in (self._time, self._arrival))
        return Read(str(id), time, arrival, values, body)

    def instant(self, id: str, value: Any) -> int:
        """A moment on the clock of the events' times, from which on something holds of an event.

        Raises:
            DataError: It is none.
        """
        return microseconds(self._values(id, {self._time: value})[self._time])

    def _values(self, id: str, told: Mapping[str, Any]) -> dict[str, Any]:
        """What is told, as the columns hold it."""
        values: dict[str, Any] = {}
        for name, value in told.items():
            if value is None or (name == self.key and name not in self._convert):
                continue
            if name not in self._convert:
                self._refuse(id, name)
            try:
                values[name] = self._convert[name](value)
            except (TypeError, ValueError, OverflowError) as error:
                raise DataError(f"event '{id}': '{name}' {error}, got {value!r}.") from error
        return values

    def _refuse(self, id: str, name: str) -> NoReturn:
        if name in self._hidden:
            raise DataError(f"event '{id}': '{name}' is {self._hidden[name]}, which is told later, by `label`.")
        raise DataError(f"event '{id}': no column '{name}'{nearest(name, [*self._convert, self.key])}")


def rows_of(events: Any) -> Iterable[Mapping[str, Any] | str | bytes]:
    """The events of a list, an Arrow table or a polars frame."""
    if hasattr(events, "to_pylist"):  # pyarrow's tables and batches
        return events.to_pylist()
    if isinstance(events, pl.DataFrame):
        return events.iter_rows(named=True)
    return events


def _parsed(text: str | bytes) -> Mapping[str, Any]:
    try:
        told = json.loads(text)
    except ValueError as error:
        raise DataError(f"event: is no JSON ({error}).") from error
    if not isinstance(told, dict):
        raise DataError(f"event: must be a JSON object, got {type(told).__name__}.")
    return told


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value.item()


_ENCODER = json.JSONEncoder(default=_plain, separators=(",", ":"))


def _converter(name: str, kind: Any) -> Convert:
    if isinstance(kind, pl.Datetime):
        return _instant_in(ZoneInfo(kind.time_zone) if kind.time_zone else None)
    if isinstance(kind, pl.Enum):
        return _one_of(frozenset(kind.categories.to_list()))
    if kind in (pl.String, pl.Categorical):
        return _text
    for kinds, convert in ((pl.Boolean, _flag), (pl.Date, _day)):
        if kind == kinds:
            return convert
    if kind.is_integer():
        return _whole
    if kind.is_float():
        return _number
    raise ConfigError(f"events: column '{name}' holds {kind}, which no event can bear.")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("must be a text")
    return value


def _one_of(known: frozenset[str]) -> Convert:
    def convert(value: Any) -> str:
        if value not in known:
            raise ValueError(f"must be one of {', '.join(sorted(known)[:8])}{' ...' if len(known) > 8 else ''}")
        return str(value)

    return convert


def _flag(value: Any) -> bool:
    value = value.item() if hasattr(value, "item") else value
    if not isinstance(value, bool):
        raise TypeError("must be true or false")
    return value


def _number(value: Any) -> float:
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise TypeError("must be a finite number")
    return float(value)


def _whole(value: Any) -> int:
    value = _number(value) if not isinstance(value, int) or isinstance(value, bool) else value
    if value != int(value):
        raise ValueError("must be a whole number")
    return int(value)


def _day(value: Any) -> date:
    if isinstance(value, str):
        return date.fromisoformat(value)
    if not isinstance(value, date) or isinstance(value, datetime):
        raise TypeError("must be a date")
    return value


def _instant_in(zone: ZoneInfo | None) -> Convert:
    def convert(value: Any) -> datetime:
        found = datetime.fromisoformat(value) if isinstance(value, str) else value
        if not isinstance(found, datetime):
            raise TypeError("must be an instant such as 2024-03-01T12:00:00")
        if (found.tzinfo is None) != (zone is None):
            raise ValueError(f"must {'have' if zone else 'not have'} a time zone")
        return found.astimezone(zone) if zone else found

    return convert
