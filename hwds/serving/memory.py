"""Memory: what has arrived, as a log that counts and as the state of features that follows from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

from hwds.errors import DataError, HwdsError
from hwds.features.live import Live
from hwds.frames.table import Table
from hwds.serving.history import Told, history, rows_told
from hwds.serving.log import Durable, Entry, Log
from hwds.serving.reading import Read, Reader
from hwds.serving.schema import keep_schema, with_arrivals
from hwds.serving.snapshot import Snapshots
from hwds.serving.state import State

PORTION = 5_000
"""Rows that are remembered in one transaction."""


class Memory:
    """The events of one scorer.

    Args:
        features: The feature set.
        schema: The events' columns and roles.
        path: The log's file; None keeps everything in memory.
        key: Under which an event says what tells it from all others.
        durable: What the log outlives.

    Attributes:
        live: The features, before anything has arrived: what they are called.
        log: What counts.
    """

    def __init__(self, features: Any, schema: Table, path: Path | None, key: str, durable: Durable) -> None:
        self._features, self._schema = features, schema
        self.live = self._fresh()
        self.reader = Reader(schema, key, self.live.never_negative)
        self.log = Log(path, durable)
        self._state: State | None = None
        self._closed = False
        try:
            keep_schema(self.log, schema, key)
            self._snapshots = Snapshots.of(self.log, features)
            self._ready()
            self._keep_when_due()
        except BaseException:
            self.log.close()
            raise

    @contextmanager
    def changing(self) -> Iterator[State]:
        """The state, to let something arrive that is in the log when the block ends.

        If the block fails the state may know more than has happened: it is made anew from the log when it is needed.
        """
        state = self._ready()
        try:
            yield state
        except BaseException:
            self._state = None
            raise

    def arrive(self, state: State, read: Read) -> tuple[Entry, Any]:
        """Let an event arrive, never before the last one; its entry, which is not in the log yet, and its features."""
        arrival = max(read.arrival, state.arrival)
        entry = Entry("event", read.id, state.events, arrival, read.body)
        return entry, state.arrive(read.time, arrival, read.values)

    def tell(self, kind: str, id: str, body: str, at: str | date | None) -> bool:
        """Note a label or a return, from a moment on that is later than all arrivals; whether it is news.

        Raises:
            DataError: There is no such event, another label was told of it, or events have no label.
        """
        if kind == "label" and not self._schema.roles.get("label"):
            raise DataError(f"event '{id}': events have no label here; set dataset.roles.label.")
        event, known = self._event(id), self.log.find(kind, str(id))
        if known is not None:
            if known.body != body:
                raise DataError(f"event '{id}': its {kind} was told to be {known.body}, and now {body}.")
            return False
        if kind == "returned" and self.reader.read(event.body).values.get(self.live.returned_at) is not None:
            return False
        with self.changing() as state:
            moment = state.arrival + 1 if at is None else max(self.reader.instant(str(id), at), state.arrival + 1)
            entry = Entry(kind, str(id), event.place, moment, body)
            self.log.append([entry])
            _apply(state, entry)
        return True

    def remember(self, rows: Table) -> int:
        """Let rows of a table arrive that are not there yet, with their labels; how many they were.

        Raises:
            DataError: A row is no event, or arrived before the last that is there.
        """
        told, count = rows_told(rows, self.reader), 0
        while portion := list(islice(told, PORTION)):
            new = [each for each in portion if self.log.find("event", each.read.id) is None]
            with self.changing() as state:
                self.log.append([entry for each in new for entry in self._remembered(state, each)])
            count += len(new)
        self._keep_when_due()
        return count

    def snapshot(self) -> None:
        """Keep the state as it is, so that opening the log replays only what comes after."""
        if self._snapshots.behind:
            self._snapshots.write(self._ready())

    def table(self) -> Table:
        """All events in the order of arrival, with what was told of them since."""
        return history(self.log, self.reader, self._schema, self.live.returned_at)

    def close(self) -> None:
        """Let the log go; what has happened since the last snapshot makes a new one."""
        if not self._closed:
            if self._state is not None:
                self.snapshot()
            self.log.close()
        self._closed, self._state = True, None

    def _remembered(self, state: State, told: Told) -> Iterator[Entry]:
        """Let a row arrive with its label; the entries of both, which are not in the log yet."""
        if told.read.arrival < state.arrival:
            raise DataError(f"event '{told.read.id}': arrived before the last that is there.")
        event, _ = self.arrive(state, told.read)
        yield event
        if told.label is not None:
            positive, at = told.label
            label = Entry("label", event.id, event.place, at, str(int(positive)))
            _apply(state, label)
            yield label

    def _keep_when_due(self) -> None:
        """A snapshot, where so much was read that it would be a pity to read it again; never while an event waits."""
        if self._snapshots.due:
            self.snapshot()

    def _event(self, id: str) -> Entry:
        found = self.log.find("event", str(id))
        if found is None:
            raise DataError(f"no event '{id}' has arrived.")
        return found

    def _fresh(self) -> Live:
        live: Live = self._features.live(with_arrivals(self._schema))
        return live

    def _ready(self) -> State:
        """The state after all that is in the log."""
        if self._closed:
            raise HwdsError("the scorer was closed; open it again.")
        if self._state is None:
            state = State(self._fresh())
            self._snapshots.read(state)
            for entry in self.log.entries(self._snapshots.covered):
                if entry.kind == "event":
                    read = self.reader.read(entry.body)
                    state.arrive(read.time, entry.at, read.values)
                else:
                    _apply(state, entry)
            self._state = state
        return self._state


def _apply(state: State, entry: Entry) -> None:
    """What was told of an event."""
    if entry.kind == "label":
        state.label(entry.place, entry.body == "1", entry.at)
    else:
        state.returned(entry.place, entry.at)
