"""Log: what has arrived, in order, in an SQLite file that outlives the process.

An entry is on its way to the disk before it is acknowledged: after `kill -9` at any moment everything acknowledged is there,
and nothing is there by half (SQLite's write-ahead log has checksums). Whether it also outlives a loss of power is a choice,
for that waits for the disk.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple
from uuid import uuid4

from hwds.errors import HwdsError, ResumeError

Durable = Literal["process", "power"]
"""What an acknowledged entry outlives: the end of the process, or a loss of power too."""

FORMAT = 1
CHECKPOINT = 16_384
"""Pages after which the write-ahead log is brought into the file: 64 MiB, so that few events wait for it."""

TABLES = """
create table if not exists about (name text primary key, told text not null);
create table if not exists entries (
    number integer primary key,
    kind text not null,
    id text not null,
    place integer not null,
    at integer not null,
    body text not null,
    answer text,
    layout text,
    features blob,
    unique (kind, id)
);
"""


class Entry(NamedTuple):
    """One thing that happened.

    Attributes:
        kind: `event`, `label` or `returned`.
        id: Of the event that it is, or is about.
        place: Of that event: how many events came before it.
        at: When it arrived, or holds from, in microseconds.
        body: The event as JSON; of a label its value.
        answer: What was said of the event, as JSON; None where it was not asked.
        layout: Under which name the log tells what its features are called.
        features: Their values, as doubles.
    """

    kind: str
    id: str
    place: int
    at: int
    body: str
    answer: str | None = None
    layout: str | None = None
    features: bytes | None = None


class Log:
    """The file of one scorer, held against a second process until it is closed; the system frees what a dead one held.

    Args:
        path: The file; None keeps everything in memory.
        durable: What an entry outlives.

    Raises:
        ResumeError: Another process holds it, it is damaged, or of another version.
        HwdsError: It cannot be written.
    """

    def __init__(self, path: Path | None, durable: Durable = "process") -> None:
        self.path = path
        with self._plain_errors():
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path or ":memory:", timeout=0.5, isolation_level=None, check_same_thread=False)
            try:
                self._begin("full" if durable == "power" else "normal")
            except BaseException:
                self._db.close()
                raise

    def _begin(self, synchronous: str) -> None:
        for pragma in (
            "locking_mode=exclusive",
            "journal_mode=wal",
            f"synchronous={synchronous}",
            f"wal_autocheckpoint={CHECKPOINT}",
        ):
            self._db.execute(f"pragma {pragma}")
        self._db.executescript(TABLES)
        found = self.about("format")
        if found is None:
            self.tell("format", FORMAT)
        elif found != FORMAT:
            raise ResumeError(f"{self.path}: is of format {found}, this version reads {FORMAT}.")
        if self.about("identity") is None:
            self.tell("identity", uuid4().hex)

    def about(self, name: str) -> Any:
        """Something that holds of the whole log; None where it was not told."""
        with self._plain_errors():
            row = self._db.execute("select told from about where name = ?", (name,)).fetchone()
        return json.loads(row[0]) if row else None

    def tell(self, name: str, told: Any) -> None:
        """Keep something that holds of the whole log."""
        with self._plain_errors():
            self._db.execute("insert or replace into about values (?, ?)", (name, json.dumps(told)))

    def append(self, entries: Iterable[Entry]) -> None:
        """Keep entries: when this returns all of them have happened, and when it raises none has."""
        with self._plain_errors():
            self._db.execute("begin")
            try:
                self._db.executemany(
                    "insert into entries (kind, id, place, at, body, answer, layout, features) values (?, ?, ?, ?, ?, ?, ?, ?)",
                    entries,
                )
                self._db.execute("commit")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("rollback")
                raise

    def find(self, kind: str, id: str) -> Entry | None:
        """The entry of a kind about an event."""
        with self._plain_errors():
            row = self._db.execute(f"select {_COLUMNS} from entries where kind = ? and id = ?", (kind, id)).fetchone()
        return Entry(*row) if row else None

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """All of them but for the first so many, in the order in which they happened."""
        with self._plain_errors():
            for row in self._db.execute(f"select {_COLUMNS} from entries where number > ? order by number", (after,)):
                yield Entry(*row)

    def upto(self, number: int, most: int) -> list[Entry]:
        """The last ones up to the one of a number, counted from 1."""
        asked = f"select {_COLUMNS} from entries where number <= ? order by number desc limit ?"
        with self._plain_errors():
            return [Entry(*row) for row in self._db.execute(asked, (number, most))]

    @property
    def last(self) -> int:
        """The number of the last entry: how many there are."""
        with self._plain_errors():
            return int(self._db.execute("select coalesce(max(number), 0) from entries").fetchone()[0])

    def close(self) -> None:
        """Let the file go."""
        with self._plain_errors():
            self._db.close()

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            if "locked" in str(error):
                raise ResumeError(f"{self.path}: another process uses it; stop that, or take another file.") from error
            if isinstance(error, sqlite3.OperationalError | sqlite3.ProgrammingError):
                raise HwdsError(f"{self.path}: cannot be used: {error}.") from error
            raise ResumeError(f"{self.path}: is damaged, or no log of events ({error}).") from error
        except OSError as error:
            raise HwdsError(f"{self.path}: cannot be written: {error.strerror or error}.") from error


_COLUMNS = "kind, id, place, at, body, answer, layout, features"
