"""EventStore: the events of a scorer, as a durable log and as the state of features that follows from it."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from hwds.core.code_digest import code_digest
from hwds.core.errors import DataError
from hwds.core.hashing import digest
from hwds.core.recipe import canonical
from hwds.eventlog.entry import Entry
from hwds.eventlog.log import Durable, EventLog
from hwds.eventlog.replayed import ReplayedState
from hwds.features.base import RowFeatures
from hwds.features.none import None_
from hwds.features.rows.live import Live
from hwds.frames.table import Table
from hwds.serving.corrections import CORRECTION, WITHDRAWN, Corrections
from hwds.serving.history import PastRow, history, past_rows
from hwds.serving.reading import Read, Reader
from hwds.serving.schema import keep_schema, with_arrivals
from hwds.serving.state import State, changes_of, fill

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

    def new(self) -> State:
        """Return the state before the first event."""
        return State(live_of(self.features, self.schema))

    def apply(self, state: State, entry: Entry) -> None:
        """Let an event arrive, or its label or return; of labels of one event the last one alone, from its own moment on."""
        at = _moment(entry)
        if entry.kind == "event":
            read = self.reader.again(entry.body)
            state.arrive(read.time, at, read.values)
        elif entry.kind in ("label", CORRECTION):
            if self.corrections.counts(entry):
                state.label(entry.place, entry.body == "1", at)
        else:
            state.returned(entry.place, at)

    def dump(self, state: State) -> Any:
        """Return the state of the features."""
        return changes_of(state)

    def fill(self, state: State, dumped: Any) -> None:
        """Set a new state to a dumped one."""
        fill(state, dumped)


class EventStore:
    """The events of one scorer.

    Args:
        features: The feature set.
        schema: The events' columns and roles.
        path: The log's file; None keeps everything in memory.
        key: The name under which an event bears its id.
        durable: What the log outlives.

    Attributes:
        live: The features before anything has arrived, for their names.
        log: The events, which are the record.
        state: The state that follows from the log.
    """

    def __init__(self, features: RowFeatures | None_, schema: Table, path: Path | None, key: str, durable: Durable) -> None:
        self._schema, self.live = schema, live_of(features, schema)
        self.reader = Reader(schema, key, self.live.never_negative)
        self.log = EventLog(path, durable)
        self._corrections = Corrections(self.log)
        self._behaviour = EventBehaviour(features, schema, self.reader, self._corrections)
        try:
            keep_schema(self.log, schema, key)
            about = [self.log.about("schema"), canonical(features), code_digest([features], "hwds.serving.event_store")]
            self._about = [*about, platform.python_version(), np.__version__]
            self.state = ReplayedState(self.log, self._behaviour, self._key())
            self._snapshot_if_due()
        except BaseException:
            self.log.close()
            raise

    def arrive(self, state: State, read: Read) -> tuple[Entry, Any]:
        """Let an event arrive, never before the last one; return its entry, which is not in the log yet, and its features."""
        arrival = max(read.arrival, state.arrival)
        entry = Entry("event", read.id, state.events, arrival, read.body)
        return entry, state.arrive(read.time, arrival, read.values)

    def _key(self) -> str:
        """Return what the state follows from besides the entries: a correction undoes what a snapshot may hold."""
        return digest([*self._about, self._corrections.count])

    def report(self, kind: str, id: str, body: str, at: str | date | None, *, correct: bool = False) -> bool:
        """Keep a label or a return, from a moment on that is later than all arrivals; return whether it is news.

        Args:
            kind: `label` or `returned`.
            id: Of the event.
            body: The label, `1` or `0`; empty to withdraw it.
            at: From when on it holds; None for now.
            correct: Whether a label may take the place of another one.

        Raises:
            DataError: There is no such event, another label was reported of it, or events have no label.
        """
        if kind == "label" and not self._schema.roles.get("label"):
            raise DataError(f"event '{id}': events have no label here; set dataset.roles.label.")
        event = self._event(id)
        known = self._corrections.last(str(id)) if kind == "label" else self.log.find(kind, str(id))
        if known is None and body == WITHDRAWN and kind == "label":
            raise DataError(f"event '{id}': has no label to be withdrawn.")
        if known is not None and known.body == body:
            return False
        if kind == "returned" and self.reader.again(event.body).values.get(self.live.returned_at) is not None:
            return False
        if known is not None and known.body != WITHDRAWN and not correct:
            raise DataError(
                f"event '{id}': its label was reported as {known.body}, and now as {body};"
                ' say "correct": true where the first was wrong.'
            )
        state = self.state.current()
        moment = state.arrival + 1 if at is None else max(self.reader.instant(str(id), at), state.arrival + 1)
        if known is not None:
            self.log.append([self._corrections.entry(str(id), event.place, moment, body)])
            self.state.rekeyed(self._key())
            self.state.current()
            return True
        with self.state.changing() as state:
            entry = Entry(kind, str(id), event.place, moment, body)
            self.log.append([entry])
            self._behaviour.apply(state, entry)
        return True

    def backfill(self, rows: Table) -> int:
        """Let rows of a table arrive that are not there yet, with their labels; return how many they were.

        Raises:
            DataError: A row is no event, or arrived before the last that is there.
        """
        past, count = past_rows(rows, self.reader), 0
        while portion := list(islice(past, PORTION)):
            new = [row for row in portion if self.log.find("event", row.read.id) is None]
            with self.state.changing() as state:
                self.log.append([entry for row in new for entry in self._backfilled(state, row)])
            count += len(new)
        self._snapshot_if_due()
        return count

    def table(self) -> Table:
        """Return all events in the order of arrival, with what was reported of them since."""
        return history(self.log, self.reader, self._schema, self.live.returned_at)

    def _backfilled(self, state: State, row: PastRow) -> Iterator[Entry]:
        """Let a row arrive with its label; yield the entries of both, which are not in the log yet."""
        if row.read.arrival < state.arrival:
            raise DataError(f"event '{row.read.id}': arrived before the last that is there.")
        event, _ = self.arrive(state, row.read)
        yield event
        if row.label is not None:
            positive, at = row.label
            label = Entry("label", event.id, event.place, at, str(int(positive)))
            self._behaviour.apply(state, label)
            yield label

    def _snapshot_if_due(self) -> None:
        """Write a snapshot where much of the log was replayed; never while an event waits."""
        if self.log.path is not None and self.state.behind() >= max(FEWEST, self.log.last // SHARE):
            self.state.snapshot()

    def _event(self, id: str) -> Entry:
        event = self.log.find("event", str(id))
        if event is None:
            raise DataError(f"no event '{id}' has arrived.")
        return event


def live_of(features: RowFeatures | None_, schema: Table) -> Live:
    """Return a feature set's live form, before anything has arrived."""
    live: Live = features.live(with_arrivals(schema))
    return live


def _moment(entry: Entry) -> int:
    assert isinstance(entry.at, int)
    return entry.at
