"""ReplayedState: a state that is what the entries of a log make of a new one, and its snapshot.

A snapshot only saves time: what it covers is not replayed. Where it is damaged or was made under
another key (other code, other features), all is replayed; where the entries that it covers were
dropped, that is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Generic, Protocol, TypeVar

from hwds.core.errors import DataError, HwdsError, ResumeError
from hwds.core.serialization import Unserializable, dumps, loads
from hwds.results.event_log import EventLog, LogEntry

State = TypeVar("State")


class Behaviour(Protocol[State]):
    """The object whose events a log holds."""

    def new(self) -> State:
        """Return the state before anything has happened."""

    def apply(self, state: State, entry: LogEntry) -> None:
        """Let something happen: the same now and when it is replayed."""

    def dump(self, state: State) -> Any:
        """Return the state as a value that can be stored.

        Raises:
            Unserializable: It has no stored form: then everything is replayed, and nothing is
                dropped.
        """

    def fill(self, state: State, dumped: Any) -> None:
        """Let a new state be what `dump` said of another one.

        Raises:
            ValueError: It is of another shape.
        """


class ReplayedState(Generic[State]):
    """A state, its log, and the snapshot in it.

    Args:
        log: The log of what has happened; it is closed with the state, and where the state cannot
            be read.
        behaviour: What an entry does.
        key: What the state follows from besides the entries; a snapshot under another one is not
            read.
        drop: Whether entries are dropped once a snapshot covers them.
        partial: Whether the entries that are kept make the state without those that were dropped.

    Raises:
        ResumeError: The entries that the snapshot covers were dropped, and it cannot be read.
    """

    def __init__(
        self,
        log: EventLog,
        behaviour: Behaviour[State],
        key: str,
        *,
        drop: bool = False,
        partial: bool = False,
    ) -> None:
        self.log, self._behaviour, self._key, self._drop = log, behaviour, key, drop
        self._partial = partial
        self.covered = 0
        self.stored = True
        self._closed = False
        self._state: State | None = None
        try:
            self.current()
        except BaseException:
            log.close()
            raise

    def current(self) -> State:
        """Return the state after all entries.

        Raises:
            HwdsError: It was closed.
        """
        if self._closed:
            raise HwdsError("it was closed; open it again.")
        if self._state is None:
            self._state = self._replay()
        return self._state

    @contextmanager
    def changing(self) -> Iterator[State]:
        """Give the state, to let something happen that is in the log when the block ends.

        If the block fails the state may know more than has happened: it is made anew from the log
        when it is needed.
        """
        state = self.current()
        try:
            yield state
        except BaseException:
            self._state = None
            raise

    def rekey(self, key: str) -> None:
        """Let the state follow from something else too: it is made anew from all entries, and no
        snapshot of before is read.
        """
        self._key, self._state, self.covered = key, None, 0

    def entries_behind(self) -> int:
        """Return how many entries the snapshot does not cover."""
        return self.log.last - self.covered if self.stored else 0

    def snapshot(self) -> None:
        """Keep the state as it is, so that opening the log replays only what comes after.

        Raises:
            HwdsError: It cannot be written; the one before is still there.
        """
        last = self.log.last
        try:
            kept = {
                "key": self._key,
                "covered": last,
                "state": self._behaviour.dump(self.current()),
            }
            data = dumps(kept)
        except Unserializable:
            self.stored = False  # the log has it all
            return
        self.log.write_snapshot(data, drop=self._drop)
        self.covered = last

    def close(self) -> None:
        """Let the log go; what has happened since the last snapshot makes a new one."""
        if not self._closed:
            try:
                if self._state is not None and self.entries_behind():
                    self.snapshot()
            finally:
                self.log.close()
                self._closed, self._state = True, None

    def _replay(self) -> State:
        state = self._behaviour.new()
        self.covered = self._fill(state)
        for entry in self.log.entries(self.covered):
            self._behaviour.apply(state, entry)
        return state

    def _fill(self, state: State) -> int:
        """Fill in a new state from the snapshot.

        How many entries it covers, 0 where there is none to be read.
        """
        data, kept, why = self.log.read_snapshot(), None, "is missing"
        if data is not None:
            try:
                kept, why = loads(data, "the snapshot"), "is of another state"
            except DataError:
                why = "is damaged or of another version"
        if kept is not None and kept["key"] == self._key and self._leads_on(kept["covered"]):
            self._behaviour.fill(state, kept["state"])
            return int(kept["covered"])
        if self.log.first > 1 and not self._partial:
            raise ResumeError(
                f"{self.log.path}: its snapshot {why}, and the entries before it are gone; take "
                f"another file."
            )
        return 0

    def _leads_on(self, covered: int) -> bool:
        """Return whether all entries after those that a snapshot covers are kept."""
        return self.log.first - 1 <= covered <= self.log.last
