"""Reading events: from JSON, dicts and Arrow to values of the types that the columns have."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from math import isfinite
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from hwds.core.errors import ConfigError, DataError, nearest
from hwds.core.questions import LONGEST_ID, Fields, Json, parsed_json
from hwds.frames.rows import hidden_columns, microseconds
from hwds.frames.table import ROW_ID, Table

Convert = Callable[[Any], Any]


def shorten_value(value: Any) -> str:
    """Return a value for a message, at most some 80 characters of it."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


@dataclass(frozen=True, slots=True)
class ReadEvent:
    """An event as it was read.

    Attributes:
        id: The name by which the event is known when it comes again.
        time: The moment at which it happened, in microseconds of the clock on the wall.
        arrival: The moment of its arrival, as it says itself; else its time.
        values: The values, by column.
        body: The event as JSON, from which it can be read again.
        arrival_column: The column that says when it arrived; empty where none does.
    """

    id: str
    time: int
    arrival: int
    values: Json
    body: str
    arrival_column: str = ""


class Reader:
    """Reads events of one schema.

    Args:
        schema: A table of the events' columns and roles, without rows.
        key: The field of an event's id; it need not be a column.
        never_negative: Columns of which a number below 0 is refused, as it is of amounts.
        timed: Whether a row must have a time; what is scored by itself, without events before it,
            needs none.

    Raises:
        ConfigError: The schema has no time, or a column that no event can bear.
    """

    def __init__(
        self, schema: Table, key: str, never_negative: Iterable[str] = (), *, timed: bool = True
    ) -> None:
        if timed and not schema.roles.get("time"):
            raise ConfigError("events need the role 'time'; set dataset.roles.time.")
        self._timed = timed
        self.key, self._time, self._arrival = key, schema.name("time"), schema.name("available_at")
        self._never_negative = tuple(
            dict.fromkeys((*schema.roles.get("amount", ()), *never_negative))
        )
        self._hidden = hidden_columns(schema)
        kinds = {
            name: kind
            for name, kind in schema.data.schema.items()
            if name not in self._hidden and name != ROW_ID
        }
        self._convert = {name: _converter(name, kind) for name, kind in kinds.items()}

    def read(self, event: Fields | str | bytes) -> ReadEvent:
        """Read one event; a column that it does not have is not known.

        Raises:
            DataError: It is no JSON object, has no key or no time, or says something that the
                columns cannot hold.
        """
        fields = event if isinstance(event, Mapping) else parse_object(event)
        id = fields.get(self.key)
        if isinstance(id, bool) or not isinstance(id, str | int) or len(str(id)) > LONGEST_ID:
            raise DataError(
                f"event: must have a text or a whole number under '{self.key}', got "
                f"{shorten_value(id)}."
            )
        values = self._values(str(id), fields)
        if self._timed and values.get(self._time) is None:
            raise DataError(f"event '{id}': must have a time under '{self._time}'.")
        for name in self._never_negative:
            if values.get(name, 0) < 0:
                raise DataError(f"event '{id}': '{name}' must be >= 0, got {values[name]}.")
        if not self._timed:
            return ReadEvent(str(id), 0, 0, values, "")
        body = event if isinstance(event, str) else _ENCODER.encode(fields)
        time, arrival = (
            microseconds(values.get(name, values[self._time]))
            for name in (self._time, self._arrival)
        )
        return ReadEvent(str(id), time, arrival, values, body, self._arrival)

    def read_stored(self, body: str) -> ReadEvent:
        """Read an event that was taken once.

        What it says is null need not be a column, and a key may stand twice, for older versions
        took that too.

        Raises:
            DataError: As of `read`.
        """
        fields = json.loads(body)
        return self.read({name: value for name, value in fields.items() if value is not None})

    def instant(self, id: str, value: Any) -> int:
        """Return a moment on the clock of the events' times, from which on something holds of an
        event.

        Raises:
            DataError: It is none.
        """
        return microseconds(self._values(id, {self._time: value})[self._time])

    def _values(self, id: str, fields: Fields) -> Json:
        """Return the values of an event, as the columns hold them."""
        values: Json = {}
        for name, value in fields.items():
            if name not in self._convert:
                if name == self.key or (value is None and name in self._hidden):
                    continue
                self._refuse(id, name)
            if value is None:
                continue
            try:
                values[name] = self._convert[name](value)
            except (TypeError, ValueError, OverflowError) as error:
                raise DataError(
                    f"event '{id}': '{name}' {error}, got {shorten_value(value)}."
                ) from error
        return values

    def _refuse(self, id: str, name: str) -> NoReturn:
        if name in self._hidden:
            raise DataError(
                f"event '{id}': '{name}' is {self._hidden[name]}, which is told later, by `label`."
            )
        raise DataError(
            f"event '{id}': no column '{name}'{nearest(name, [*self._convert, self.key])}"
        )


def check_same(earlier: ReadEvent, again: ReadEvent) -> None:
    """Refuse an event under the id of another one; when it says that it arrived may differ.

    Raises:
        DataError: It has other values.
    """
    for name in dict.fromkeys((*earlier.values, *again.values)):
        old, new = earlier.values.get(name), again.values.get(name)
        if old != new and name != again.arrival_column:
            raise DataError(
                f"event '{again.id}': has come before with other values: '{name}' was {old!r}, "
                f"and is now {new!r}."
            )


def event_rows(events: Any) -> Iterable[Fields | str | bytes]:
    """Return the events of a list, an Arrow table or a polars frame."""
    if hasattr(events, "to_pylist"):  # pyarrow's tables and batches
        return events.to_pylist()
    if isinstance(events, pl.DataFrame):
        return events.iter_rows(named=True)
    return events


def parse_object(text: str | bytes, what: str = "event") -> Fields:
    """Return the fields of a JSON object.

    Args:
        text: The JSON.
        what: Its name in a refusal.

    Raises:
        DataError: It is none, or has texts that are no Unicode.
    """
    try:
        fields = parsed_json(text if isinstance(text, str) else text.decode(), what)
    except UnicodeDecodeError as error:
        raise DataError(f"{what}: is no JSON ({error}).") from error
    if not isinstance(fields, dict):
        raise DataError(f"{what}: must be a JSON object, got {type(fields).__name__}.")
    return fields


def _json_default(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value.item()


_ENCODER = json.JSONEncoder(default=_json_default, separators=(",", ":"))


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
        return _whole_within(np.iinfo(str(kind).lower()))
    if kind.is_float():
        return _number
    raise ConfigError(f"events: column '{name}' holds {kind}, which no event can bear.")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("must be a text")
    return value


def _one_of(texts: frozenset[str]) -> Convert:
    def convert(value: Any) -> str:
        if value not in texts:
            raise ValueError(
                f"must be one of {', '.join(sorted(texts)[:8])}{' ...' if len(texts) > 8 else ''}"
            )
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


def _whole_within(bounds: np.iinfo[Any]) -> Convert:
    def convert(value: Any) -> int:
        value = _number(value) if not isinstance(value, int) or isinstance(value, bool) else value
        if value != int(value):
            raise ValueError("must be a whole number")
        if not bounds.min <= value <= bounds.max:
            raise ValueError(f"must be a whole number of {bounds.bits} bits")
        return int(value)

    return convert


def _day(value: Any) -> date:
    day = _from_text(date, value)
    if not isinstance(day, date) or isinstance(day, datetime):
        raise TypeError("must be a date such as 2024-03-01")
    return day


def _from_text(kind: type[date], value: Any) -> Any:
    """Return the date or instant that a text says.

    None of another text, and anything else as it is.
    """
    try:
        return kind.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return None


def _instant_in(zone: ZoneInfo | None) -> Convert:
    def convert(value: Any) -> datetime:
        instant = _from_text(datetime, value)
        if not isinstance(instant, datetime):
            raise TypeError("must be an instant such as 2024-03-01T12:00:00")
        if (instant.tzinfo is None) != (zone is None):
            raise ValueError(f"must {'have' if zone else 'not have'} a time zone")
        return instant.astimezone(zone) if zone else instant

    return convert
