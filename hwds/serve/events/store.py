"""EventStore: the events of a scorer as a durable log, and the state of features it leads to."""

from __future__ import annotations

import base64
import platform
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date
from heapq import heapify, heappop, heappush
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from polars import DataFrame, Series

from hwds.core.errors import ConfigError, DataError, HwdsError, ResumeError
from hwds.core.files import digest
from hwds.core.keys import code_digest
from hwds.core.questions import Json
from hwds.core.recipe import canonical
from hwds.core.serialization import Unserializable
from hwds.frames.features.base import RowFeatures
from hwds.frames.features.none import None_
from hwds.frames.roles import Roles
from hwds.frames.rows import (
    DAY_MICROSECONDS,
    LONG_AGO,
    ByPlace,
    Live,
    RowEvent,
    RowOutcome,
    Value,
    hidden_columns,
    microseconds,
)
from hwds.frames.table import ROW_ID, Table
from hwds.results.event_log import Durable, EventLog, LogEntry
from hwds.results.replayed_state import ReplayedState
from hwds.serve.events.reading import Reader, ReadEvent

# Schema: which columns events have and what roles they play, as a table without rows; it is
# kept beside them.

UNKNOWN_ROLES = ("truth", "label_propensity")
"""Roles that no event has, now or later."""


def schema_of(table: Table) -> Table:
    """Return the columns and roles of events like a table's rows.

    A label has a moment of its own.
    """
    gone = [name for role in UNKNOWN_ROLES for name in table.roles.get(role, ())]
    data = table.data.clear().drop(ROW_ID, *gone, strict=False)
    roles = table.roles.without(*UNKNOWN_ROLES)
    label = table.name("label")
    if label and not roles.get("label_time"):
        roles = roles | {"label_time": f"{label}_time"}
        data = data.with_columns(pl.lit(None, pl.Datetime("us")).alias(f"{label}_time"))
    return Table(data, roles, table.unit)


def schema_in(log: EventLog) -> Table | None:
    """Return the schema of a log's events; None of a new log."""
    schema = log.metadata("schema")
    if schema is None:
        return None
    data = pl.read_ipc(BytesIO(base64.b64decode(schema["columns"])))
    return Table(data, Roles(schema["roles"]), schema["unit"])


def keep_schema(log: EventLog, schema: Table, key: str) -> None:
    """Write the schema into a new log, or check that it is that of the log's events.

    Raises:
        ResumeError: It is another one, with the first difference.
    """
    stored = schema_in(log)
    if stored is None:
        buffer = BytesIO()
        schema.data.write_ipc(buffer)
        columns = base64.b64encode(buffer.getvalue()).decode()
        log.set_metadata(
            "schema",
            {"columns": columns, "roles": dict(schema.roles), "unit": schema.unit, "key": key},
        )
        return
    known_key = log.metadata("schema")["key"]
    if key != known_key:
        raise ResumeError(
            f"{log.path}: its events have their key under '{known_key}', not '{key}'."
        )
    for what, old, new in (
        ("column", _kinds(stored), _kinds(schema)),
        ("role", stored.roles, schema.roles),
    ):
        for name in {**old, **new}:
            if old.get(name) != new.get(name):
                difference = (
                    f"is {_written(old.get(name))} there and {_written(new.get(name))} in this run"
                )
                raise ResumeError(f"{log.path}: holds other events: {what} '{name}' {difference}.")


def with_arrivals(schema: Table) -> Table:
    """Return a schema in which a column says when events arrived."""
    if schema.roles.get("available_at"):
        return schema
    name = "available_at" if "available_at" not in schema.data.columns else "__available_at"
    data = schema.data.with_columns(pl.lit(None, pl.Datetime("us")).alias(name))
    return replace(schema, data=data, roles=schema.roles | {"available_at": (name,)})


def _kinds(schema: Table) -> Json:
    return dict(schema.data.schema)


def _written(value: Any) -> str:
    return (
        "absent" if value is None else ", ".join(value) if isinstance(value, tuple) else str(value)
    )


# Corrections: labels that were reported anew or withdrawn; the earlier labels stay in the log.

CORRECTION = "correction"
"""The kind of an entry that takes the place of an event's label; its id is `2:A-17` for the second
one of event A-17.
"""

WITHDRAWN = ""
"""The content of one after which an event has no label."""


class Corrections:
    """The labels of a log's events, of which the last one counts.

    Args:
        log: The events and their labels.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log

    @property
    def count(self) -> int:
        """The number of them."""
        return self._log.count(CORRECTION)

    def last(self, id: str) -> LogEntry | None:
        """Return the last label of an event, or the correction in its place.

        None where it never had one.
        """
        made = self._make(id)
        return self._log.find(CORRECTION, f"{made}:{id}") if made else self._log.find("label", id)

    def before(self, correction: LogEntry) -> LogEntry | None:
        """Return the label, or the correction, in whose place one came; None where it was
        dropped.
        """
        assert correction.id is not None
        number, _, id = correction.id.partition(":")
        kind, name = ("label", id) if number == "1" else (CORRECTION, f"{int(number) - 1}:{id}")
        return self._log.find(kind, name)

    def entry(self, id: str, place: int, at: int, body: str) -> LogEntry:
        """Return the next correction of an event's label, which is not in the log yet."""
        return LogEntry(CORRECTION, f"{self._make(id) + 1}:{id}", place, at, body)

    def counts(self, entry: LogEntry) -> bool:
        """Return whether a label or a correction is the last of its event and says something."""
        assert entry.id is not None
        if entry.kind == CORRECTION:
            number, _, id = entry.id.partition(":")
            last = self._log.find(CORRECTION, f"{int(number) + 1}:{id}") is None
            return last and entry.body != WITHDRAWN
        return self._log.find(CORRECTION, f"1:{entry.id}") is None

    def _make(self, id: str) -> int:
        """Return how many corrections of an event's label there are."""
        number = 0
        while self._log.find(CORRECTION, f"{number + 1}:{id}") is not None:
            number += 1
        return number


# State: the features of events as they arrive, and the labels that wait for their moment.

FORGETTING = 16
"""Times that what is too old is dropped while the kept time passes."""

WITNESSES = 16
"""Events in a row that must have arrived later before that much time has passed: one wrong clock
drops nothing.
"""

LEAST_KEPT = 180 * DAY_MICROSECONDS
"""The kept time where no other is given, of features with short windows: labels come late."""


def kept_time(live: Live, days: float | None) -> int | None:
    """Return for how many microseconds what has arrived is kept; None for ever.

    Args:
        live: The features.
        days: The days that were asked for; 0 keeps everything. None takes twice the longest
            window, or everything where a column reads all of the past: no answer is another then.

    Raises:
        ConfigError: A window is longer.
    """
    if days is None:
        return max(2 * live.reach, LEAST_KEPT) if live.since_ever == () else None
    kept = round(days * DAY_MICROSECONDS)
    if 0 < kept < live.reach:
        raise ConfigError(
            f"keep: must be 0 for everything, or at least {live.reach / DAY_MICROSECONDS:g} days, "
            f"the longest window of the features, got {days:g}."
        )
    return kept or None


class FeatureState:
    """The state of features after the events that have arrived.

    Events count in the order in which they are handed over; a label or a return from the moment it
    holds from, for events that arrive at or after it.

    Args:
        live: The features before anything has arrived.
        keep: Microseconds for which what has arrived is kept; None for ever.

    Attributes:
        arrival: The arrival of the last event, in microseconds.
        clock: The moment by which what is too old is dropped: `WITNESSES` events in a row said that
            they arrived at it or later.
        forgot: The moment at which that was done the last time.
    """

    changing = ("_live", "_times", "_arrivals", "_said", "_labels", "arrival", "clock", "forgot")

    def __init__(self, live: Live, keep: int | None = None) -> None:
        self._live, self._names, self._keep = live, tuple(live.columns), keep
        self._times, self._arrivals = ByPlace(), ByPlace()
        self._labels: list[tuple[int, int, bool]] = []
        self._said: list[int] = []
        self.arrival = self.clock = self.forgot = LONG_AGO

    @property
    def events(self) -> int:
        """The number of events that have arrived."""
        return self._times.first + len(self._times.items)

    def begin(self, place: int) -> None:
        """Let the first event to arrive be one of a later place: those before were dropped."""
        self._times.first = place

    def knows(self, place: int) -> bool:
        """Return whether an event has arrived and was not dropped."""
        return place in self._times

    def clocks(self, said: Iterable[int]) -> Iterator[int]:
        """Yield the clock before each of several events, by when they say that they arrive."""
        clock, last = self.clock, [*self._said]
        for each in said:
            yield clock
            last = [*last[1 - WITNESSES :], each]
            clock = max(clock, min(last)) if len(last) == WITNESSES else clock

    def arrive(
        self, time: int, arrival: int, values: Json, said: int | None = None
    ) -> Sequence[Value]:
        """Return the features of an event; they are put among its values too.

        Args:
            time: The moment at which it happened.
            arrival: Its arrival, never before the last one.
            values: Its values.
            said: The arrival that it says itself; None for the same.
        """
        while self._labels and self._labels[0][0] <= arrival:
            at, place, positive = heappop(self._labels)
            if self.knows(place):
                self._live.confirm(RowOutcome(place, self._times[place], at, positive))
        event = RowEvent(self.events, time, arrival, values)
        features = self._live.arrive(event)
        values.update(zip(self._names, features, strict=True))
        self._times.put(event.place, time)
        self._arrivals.put(event.place, arrival)
        self.arrival = arrival
        self._said = [*self._said[1 - WITNESSES :], arrival if said is None else said]
        if len(self._said) == WITNESSES:
            self.clock = max(self.clock, min(self._said))
        if self._keep is not None and self.clock - self.forgot >= self._keep // FORGETTING:
            self._forget(self.clock - self._keep)
        return features

    def _forget(self, oldest: int) -> None:
        """Drop what happened before a moment, and places of events that arrived before it."""
        place = self._times.first + bisect_left(self._arrivals.items, oldest)
        self._live.forget(oldest, place)
        self._times.drop_before(place)
        self._arrivals.drop_before(place)
        self.forgot = self.clock

    def label(self, place: int, positive: bool, at: int) -> None:
        """Let the label of an event that is kept hold from a moment on."""
        if self.knows(place):
            heappush(self._labels, (at, place, positive))

    def retract(self, place: int, positive: bool, at: int) -> None:
        """Undo a label that was to hold from a moment on, whether it does already or not."""
        if not self.knows(place):
            return
        if at > self.arrival:
            self._labels.remove((at, place, positive))
            heapify(self._labels)
        else:
            self._live.retract(RowOutcome(place, self._times[place], at, positive), self.arrival)

    def returned(self, place: int, at: int) -> None:
        """Let an event that is kept count as returned from a moment on, which is later than all
        arrivals.
        """
        if self.knows(place):
            self._live.returned(place, at)


def state_changes(live: Any) -> Json:
    """Return the changing state of an object: its attributes that change, those of its parts in
    dicts of their own.

    Raises:
        Unserializable: It does not say what changes.
    """
    if live.changing is None:
        raise Unserializable(f"'{type(live).__name__}' does not say what changes.")
    return {name: _changes(getattr(live, name)) for name in live.changing}


def _changes(value: Any) -> Any:
    if hasattr(value, "changing"):
        return state_changes(value)
    if _parts(value):
        return [state_changes(part) for part in value]
    return (
        dict(value) if isinstance(value, dict) else value
    )  # a dict may know what to do about what is missing


def restore_state(live: Any, changes: Json) -> None:
    """Set the state of a new object to what `state_changes` returned for another one."""
    for name in live.changing:
        current, value = getattr(live, name), changes[name]
        if hasattr(current, "changing"):
            restore_state(current, value)
        elif _parts(current):
            for part, each in zip(current, value, strict=True):
                restore_state(part, each)
        elif isinstance(current, dict):
            current.update(value)
        else:
            setattr(live, name, value)


def _parts(value: Any) -> bool:
    return isinstance(value, tuple) and bool(value) and hasattr(value[0], "changing")


# History: a log as a table, which batch features and training read, and a table's rows as
# entries of a log.


class PastRow(NamedTuple):
    """A row of a table as an event, and its label with the moment from which it holds, where it has
    one.
    """

    read: ReadEvent
    label: tuple[bool, int] | None


def history(log: EventLog, reader: Reader, schema: Table, returned_at: str) -> Table:
    """Return all events that are kept in the order of arrival, with what was reported of them
    since.

    Raises:
        DataError: There is none.
    """
    rows: dict[int, Json] = {}
    schema = with_arrivals(schema)
    names = {role: schema.name(role) for role in ("available_at", "label", "label_time")}
    moments = {names["available_at"], names["label_time"]} - {""}
    for entry in log.entries():
        if entry.kind == "event":
            rows[entry.place] = reader.read(entry.body).values | {names["available_at"]: entry.at}
        elif entry.place not in rows:
            continue
        elif entry.kind in ("label", CORRECTION):
            label = None if entry.body == WITHDRAWN else int(entry.body)
            rows[entry.place] |= {
                names["label"]: label,
                names["label_time"]: None if label is None else entry.at,
            }
        else:
            rows[entry.place][returned_at] = entry.at
    columns = [
        _column(name, kind, [row.get(name) for row in rows.values()], name in moments)
        for name, kind in schema.data.schema.items()
    ]
    return Table.build(DataFrame(columns), schema.roles, schema.unit)


def _column(name: str, kind: Any, values: list[Any], moment: bool) -> Series:
    """Return a column; moments are microseconds of the wall clock, whatever type the column had."""
    if not moment and not isinstance(kind, pl.Datetime):
        return Series(name, values, dtype=kind)
    whole = [
        value if value is None or isinstance(value, int) else microseconds(value)
        for value in values
    ]
    zone = getattr(kind, "time_zone", None)
    moments = Series(name, whole, pl.Int64).cast(pl.Datetime("us"))
    moments = moments.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return moments if moment else moments.cast(kind)


def rows_as_events(table: Table, reader: Reader) -> Iterator[PastRow]:
    """Yield the rows of a table in the order of their arrival.

    Raises:
        DataError: A row is no event, or has a label and no moment of it.
    """
    role = "available_at" if table.roles.get("available_at") else "time"
    arrived = table.column(role)
    label, when = table.name("label"), table.name("label_time")
    hidden = hidden_columns(table)
    plain = [
        name
        for name in table.data.columns
        if name not in hidden and name not in (ROW_ID, reader.key)
    ]
    order = np.argsort(arrived.cast(pl.Datetime("us")).to_physical().to_numpy(), kind="stable")
    ids = table.data[reader.key if reader.key in table.data.columns else ROW_ID]
    for row in table.data.select(*plain, ids.alias("__id"), *hidden)[order].iter_rows(named=True):
        read = reader.read({name: row[name] for name in plain} | {reader.key: row["__id"]})
        positive = row[label] if label else None
        if positive is None:
            yield PastRow(read, None)
            continue
        if not when or row[when] is None:
            raise DataError(
                f"event '{read.id}': has a label, and '{when or 'label_time'}' does not say since "
                f"when."
            )
        yield PastRow(read, (positive == 1, microseconds(row[when])))


# EventStore: the events of a scorer, as a durable log and as the state of features that follows
# from it.

PORTION = 5_000
"""Rows of the past that arrive in one transaction."""

FEWEST = 5_000
"""Entries whose replay is too cheap for a snapshot."""

SHARE = 8
"""The share of the log, 1/8, below which another snapshot costs more than it saves."""


@dataclass(frozen=True)
class EventBehaviour:
    """The rules by which events change the state of features (`eventlog.replayed.Behaviour`)."""

    features: RowFeatures | None_
    schema: Table
    reader: Reader
    corrections: Corrections
    keep: int | None
    undoes: bool

    def new(self) -> FeatureState:
        """Return the state before the first event."""
        return FeatureState(live_of(self.features, self.schema), self.keep)

    def apply(self, state: FeatureState, entry: LogEntry) -> None:
        """Let an event arrive, or its label or return.

        Of labels of one event the last one alone, from its own moment on.
        """
        at = _moment(entry)
        if entry.kind == "event":
            if not state.events:
                state.begin(entry.place)
            read = self.reader.read_stored(entry.body)
            state.arrive(read.time, at, read.values, read.arrival)
        elif entry.kind in ("label", CORRECTION):
            if not self.undoes and not self.corrections.counts(entry):
                return
            before = self.corrections.before(entry) if entry.kind == CORRECTION else None
            if self.undoes and before is not None and before.body != WITHDRAWN:
                state.retract(entry.place, before.body == "1", _moment(before))
            if entry.body != WITHDRAWN:
                state.label(entry.place, entry.body == "1", at)
        else:
            state.returned(entry.place, at)

    def dump(self, state: FeatureState) -> Any:
        """Return the state of the features."""
        return state_changes(state)

    def fill(self, state: FeatureState, dumped: Any) -> None:
        """Set a new state to a dumped one."""
        restore_state(state, dumped)


class EventStore:
    """The events of one scorer.

    Args:
        features: The feature set.
        schema: The events' columns and roles.
        path: The log's file; None keeps everything in memory.
        key: The name under which an event bears its id.
        durable: What the log outlives.
        keep: Days for which events are kept; see `kept_time`.

    Attributes:
        keep: Microseconds for which the state keeps what has arrived; None for ever. The log keeps
            entries for the longest window more, from which the state can be made anew.
        live: The features before anything has arrived, for their names.
        log: The events, which are the record.
        state: The state that follows from the log.
    """

    def __init__(
        self,
        features: RowFeatures | None_,
        schema: Table,
        path: Path | None,
        key: str,
        durable: Durable,
        keep: float | None = None,
    ) -> None:
        self._schema, self.live = schema, live_of(features, schema)
        self.reader = Reader(schema, key, self.live.never_negative)
        self.log = EventLog(path, durable)
        try:
            self.keep, self._dropped = self._kept_time(keep), LONG_AGO
        except BaseException:
            self.log.close()
            raise
        self._corrections = Corrections(self.log)
        self._behaviour = EventBehaviour(
            features, schema, self.reader, self._corrections, self.keep, self.live.undoes
        )
        try:
            keep_schema(self.log, schema, key)
            about = [
                self.log.metadata("schema"),
                canonical(features),
                code_digest([features], "hwds.serve.events.store"),
            ]
            self._about = [*about, platform.python_version(), np.__version__, self.keep]
            self.state = ReplayedState(self.log, self._behaviour, self._key(), partial=True)
            self._snapshot_if_due()
        except BaseException:
            self.log.close()
            raise

    def _kept_time(self, days: float | None) -> int | None:
        """Return for how long what has arrived is kept: everything that lies in a store of a
        version that kept everything, as long as nobody says otherwise.
        """
        if schema_in(self.log) is None:
            self.log.set_metadata("drops", True)
        return kept_time(self.live, 0 if days is None and not self.log.metadata("drops") else days)

    def arrive(self, state: FeatureState, read: ReadEvent) -> tuple[LogEntry, Any]:
        """Let an event arrive, never before the last one.

        Return its entry, which is not in the log yet, and its features.
        """
        arrival = max(read.arrival, state.arrival)
        entry = LogEntry("event", read.id, state.events, arrival, read.body)
        return entry, state.arrive(read.time, arrival, read.values, read.arrival)

    @contextmanager
    def changing(self, read: Sequence[ReadEvent] = ()) -> Iterator[FeatureState]:
        """Give the state, to let something happen that is in the log when the block ends.

        Args:
            read: Events that arrive and are answered.

        Raises:
            DataError: One happened so long ago that what it would read was dropped.
            HwdsError: The disk is full; the state is as it was.
        """
        self.log.require_room()
        self._require_kept(read)
        with self.state.changing() as state:
            yield state

    @property
    def spare(self) -> int | None:
        """Microseconds that an event may come late; None for ever."""
        return None if self.keep is None else self.keep - self.live.reach

    def _require_kept(self, read: Sequence[ReadEvent]) -> None:
        """Refuse events that happened so long ago that what they would read was dropped.

        Raises:
            DataError: One did.
        """
        if self.spare is None:
            return
        clocks = self.state.current().clocks([each.arrival for each in read])
        for each, clock in zip(read, clocks, strict=True):
            if each.time < clock - self.spare:
                raise DataError(
                    f"event '{each.id}': happened {_days(clock - each.time)} days before the last "
                    f"ones arrived, and comes too late from {_days(self.spare)} days on (keep)."
                )

    def drop_old(self) -> None:
        """Drop entries of the log after the state has dropped what is too old: some at a time,
        for an event may wait.
        """
        state = self.state.current()
        if self.keep is None or state.forgot == self._dropped:
            return
        since = state.forgot - self.keep - self.live.reach
        with suppress(HwdsError):  # the event is answered; the next one tries again
            if self.log.drop_before("event", since, PORTION):
                self._dropped = state.forgot

    def _key(self) -> str:
        """Return what the state follows from besides the entries: where labels cannot be undone, a
        correction undoes what a snapshot may hold.
        """
        return digest([*self._about, 0 if self.live.undoes else self._corrections.count])

    def report(
        self, kind: str, id: str, body: str, at: str | date | None, *, correct: bool = False
    ) -> bool:
        """Keep a label or a return, from a moment on that is later than all arrivals.

        Return whether it is news.

        Args:
            kind: `label` or `returned`.
            id: The id of the event.
            body: The label, `1` or `0`; empty to withdraw it.
            at: The time from which on it holds; None for now.
            correct: Whether a label may take the place of another one.

        Raises:
            DataError: There is no such event, or no more; another label was reported of it; or
                events have no label.
        """
        if kind == "label" and not self._schema.roles.get("label"):
            raise DataError(f"event '{id}': events have no label here; set dataset.roles.label.")
        event = self._event(id)
        old = self._corrections.last(str(id)) if kind == "label" else self.log.find(kind, str(id))
        if old is None and body == WITHDRAWN and kind == "label":
            raise DataError(f"event '{id}': has no label to be withdrawn.")
        if old is not None and old.body == body:
            return False
        if (
            kind == "returned"
            and self.reader.read_stored(event.body).values.get(self.live.returned_at) is not None
        ):
            return False
        if old is not None and old.body != WITHDRAWN and not correct:
            raise DataError(
                f"event '{id}': its label was reported as {old.body}, and now as {body};"
                ' set "correct": true if the first was wrong.'
            )
        self.log.require_room()
        state = self.state.current()
        moment = (
            state.arrival + 1
            if at is None
            else max(self.reader.instant(str(id), at), state.arrival + 1)
        )
        self._require_in_time(event, moment, state)
        entry = LogEntry(kind, str(id), event.place, moment, body)
        if old is not None:
            entry = self._corrections.entry(str(id), event.place, moment, body)
        if old is not None and not self.live.undoes:
            self.log.append([entry])
            self.state.rekey(self._key())
            self.state.current()
            return True
        with self.changing() as state:
            self.log.append([entry])
            self._behaviour.apply(state, entry)
        return True

    def backfill(self, rows: Table) -> int:
        """Let rows of a table arrive that are not there yet, with their labels.

        Return how many they were.

        Raises:
            DataError: A row is no event, or arrived before the last that is there.
        """
        past, count = rows_as_events(rows, self.reader), 0
        begin = self._first_arrival()
        while portion := list(islice(past, PORTION)):
            new = [
                row
                for row in portion
                if row.read.arrival >= begin and self.log.find("event", row.read.id) is None
            ]
            with self.changing() as state:
                self.log.append([entry for row in new for entry in self._backfill_row(state, row)])
            self.drop_old()
            count += len(new)
        self._snapshot_if_due()
        return count

    def table(self) -> Table:
        """Return all events that are kept in the order of arrival, with what was reported of
        them since.
        """
        return history(self.log, self.reader, self._schema, self.live.returned_at)

    def _first_arrival(self) -> int:
        """Return the arrival of the first event that is kept where others were dropped before."""
        if self.log.first == 1:
            return LONG_AGO
        events = (entry for entry in self.log.entries() if entry.kind == "event")
        return next((_moment(entry) for entry in events), LONG_AGO)

    def _require_in_time(self, event: LogEntry, at: int, state: FeatureState) -> None:
        """Refuse a label or a return of an event that is not kept any more when it holds.

        Raises:
            DataError: It is not.
        """
        if self.keep is not None and (
            not state.knows(event.place) or at > _moment(event) + self.keep
        ):
            raise DataError(
                f"event '{event.id}': what became of it must be told within {_days(self.keep)} "
                f"days of its arrival (keep)."
            )

    def _backfill_row(self, state: FeatureState, row: PastRow) -> Iterator[LogEntry]:
        """Let a row arrive with its label.

        Yield the entries of both, which are not in the log yet.
        """
        if row.read.arrival < state.arrival:
            raise DataError(f"event '{row.read.id}': arrived before the last that is there.")
        event, _ = self.arrive(state, row.read)
        yield event
        if row.label is not None:
            positive, at = row.label
            label = LogEntry("label", event.id, event.place, at, str(int(positive)))
            self._behaviour.apply(state, label)
            yield label

    def _snapshot_if_due(self) -> None:
        """Write a snapshot where much of the log was replayed; never while an event waits."""
        due = max(FEWEST, (self.log.last - self.log.first + 1) // SHARE)
        if self.log.path is None or self.state.entries_behind() < due:
            return
        with suppress(HwdsError):  # it only saves time, and a full disk must not stop the rest
            self.state.snapshot()

    def _event(self, id: str) -> LogEntry:
        event = self.log.find("event", str(id))
        if event is None:
            kept = "" if self.keep is None else f" in the {_days(self.keep)} days that are kept"
            raise DataError(f"no event '{id}' has arrived{kept}.")
        return event


def live_of(features: RowFeatures | None_, schema: Table) -> Live:
    """Return a feature set's live form, before anything has arrived."""
    live: Live = features.live(with_arrivals(schema))
    return live


def _days(microseconds: int) -> str:
    return f"{microseconds / DAY_MICROSECONDS:.4g}"


def _moment(entry: LogEntry) -> int:
    assert isinstance(entry.at, int)
    return entry.at
