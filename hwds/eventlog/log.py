"""EventLog: what has happened, in order, in an SQLite file that outlives the process.

An entry is written before it is acknowledged: after `kill -9` at any moment everything acknowledged is there, and nothing is
there by half (SQLite's write-ahead log has checksums). Whether it also outlives a loss of power is a choice, for that waits for
the disk: an entry then waits as a line of a second file, the tail, and is moved into the first with others. An
entry is numbered, so that one that a crash leaves in both files counts once. The snapshot of the state that follows from the
entries lies in the first file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import starmap
from pathlib import Path
from typing import Any, Literal

from hwds.core.errors import DataError, HwdsError, ResumeError
from hwds.core.hashing import digest_file
from hwds.eventlog.damage import checked_value, lost, missing, with_checksum
from hwds.eventlog.entry import COLUMNS, INSERT, Entry, checksum_of, row_of
from hwds.eventlog.mark import Mark
from hwds.eventlog.syncs import SharedSyncs
from hwds.eventlog.tail import Tail

Durable = Literal["process", "power"]
"""The failure that an acknowledged entry outlives: the end of the process, or a loss of power too."""

FORMAT = 2
CHECKPOINT: dict[Durable, int] = {"process": 16_384, "power": 256}
"""Pages after which the write-ahead log is brought into the file and written again from its begin: few entries wait for it.

Where each entry waits for the disk the log is short, for a sync is cheaper where a file does not grow.
"""

WAITING = 1_000
"""Entries of the tail at which they are moved: that takes about as long as a sync."""

PART = 1 << 26
"""Bytes of a row of a snapshot; SQLite holds no more than a billion in one."""

ABOUT = "create table if not exists about (name text primary key, value text not null)"
TABLES = """
create table if not exists entries (
    number integer primary key, kind text not null, id text, place integer not null, at, body text not null, reply text,
    data blob, checksum integer not null
);
create unique index if not exists entries_by_id on entries (kind, id) where id is not null;
create table if not exists snapshot (part integer primary key, data blob not null);
"""


class EventLog:
    """The files of one state, held against a second process until it is closed; the system frees what a dead one held.

    Args:
        path: The file; None keeps everything in memory.
        durable: What an entry outlives.

    Attributes:
        last: The number of the last entry, counted from 1.
        first: The number of the first one that is kept; `last + 1` where none is.

    Raises:
        ResumeError: Another process holds it, it is damaged, or of another version.
        HwdsError: It cannot be written.
    """

    def __init__(self, path: Path | None, durable: Durable = "process") -> None:
        self.path = path
        self._tail = Tail(path.with_name(f"{path.name}-tail")) if path is not None else None
        self._mark = Mark(path.with_name(f"{path.name}-last")) if path is not None else None
        self._by_lines = self._tail is not None and durable == "power"
        self._waiting: list[Entry] = []
        self._named = dict[tuple[str, str], Entry]()  # of those that wait, the ones with an id
        self._syncs = SharedSyncs()
        with self._plain_errors():
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            intact = self._is_as_it_was_closed()
            self._db = sqlite3.connect(path or ":memory:", timeout=0.5, isolation_level=None, check_same_thread=False)
            self._insert = self._db.cursor()
            try:
                self._begin(durable)
                self._require_whole(intact)
            except BaseException:
                self._db.close()
                raise

    def _begin(self, durable: Durable) -> None:
        for pragma in (
            "locking_mode=exclusive",
            "journal_mode=wal",
            "synchronous=full",
            f"wal_autocheckpoint={CHECKPOINT[durable]}",
        ):
            self._db.execute(f"pragma {pragma}")
        self._db.execute(ABOUT)
        row = self._db.execute("select * from about where name = 'format'").fetchone()
        if row is not None and (format := self._about(*row)) != FORMAT:
            raise ResumeError(f"{self.path}: is of format {format}, this version reads {FORMAT}; take another file.")
        self._db.executescript(TABLES)
        if row is None:
            self.set_about("format", FORMAT)
        first, last = self._db.execute("select min(number), max(number) from entries").fetchone()
        dropped = self.about("dropped") or 0
        self.last = int(last or dropped)
        self.first = int(first or dropped + 1)
        if self.first != dropped + 1:
            raise ResumeError(f"{self.path}: {missing(dropped + 1, self.first - 1)}.")
        self._take_up_tail()
        if durable == "process":
            self._db.execute("pragma synchronous=normal")

    def _is_as_it_was_closed(self) -> bool:
        """Return whether the files are those of a log that was closed, to the bit; before SQLite opens them."""
        if self.path is None or self._mark is None or not self.path.is_file():
            return True
        beside = (self.path.with_name(f"{self.path.name}{end}") for end in ("-wal", "-tail"))
        return not any(path.is_file() for path in beside) and digest_file(self.path) == self._mark.read()[1]

    def _require_whole(self, intact: bool) -> None:
        """Refuse a log that has lost entries, or that is damaged; verify every entry unless it is as it was closed.

        Raises:
            ResumeError: It has or is, with the numbers of the entries.
        """
        if self._mark is None:
            return
        noted, _ = self._mark.read()
        if noted > self.last:
            raise ResumeError(f"{self.path}: {lost(self.last + 1, noted)}; to go on without, delete {self._mark.path.name}.")
        if not intact:
            (found,) = self._db.execute("pragma integrity_check(1)").fetchone()
            if found != "ok":
                raise ResumeError(f"{self.path}: is damaged ({' '.join(str(found).split())}).")
            for _ in self._read(self.first - 1):
                pass
        self._mark.open(self.last)

    def _take_up_tail(self) -> None:
        """Move the entries that a process which died has left in the tail, but for those that it had moved already."""
        if self._tail is not None:
            for number, *fields in self._tail.rows():
                if number > self.last + 1:
                    raise ResumeError(f"{self.path}: {missing(self.last + 1, number - 1)}.")
                if number == self.last + 1:
                    self._waiting.append(Entry(*fields))
                    self.last = number
            self._move()
            self._tail.close(remove=True)

    def about(self, name: str) -> Any:
        """Return something that holds of the whole log; None where it was not set."""
        with self._plain_errors():
            row = self._db.execute("select value from about where name = ?", (name,)).fetchone()
        return self._about(name, row[0]) if row else None

    def set_about(self, name: str, value: Any) -> None:
        """Keep something that holds of the whole log."""
        with self._plain_errors():
            self._db.execute("insert or replace into about values (?, ?)", (name, with_checksum(name, value)))

    def _about(self, name: str, text: str) -> Any:
        try:
            return checked_value(name, text)
        except ValueError as error:
            raise ResumeError(f"{self.path}: what holds of the whole log ('{name}') is damaged.") from error

    def append(self, entries: Iterable[Entry], *, wait: bool = True) -> int:
        """Keep entries: when this returns all of them have happened, and when it raises none has.

        Without `wait` a single one outlives the process, and waits for the disk until `sync`.

        An entry of the kind, id and content of an earlier one is that one, and counts once.

        Returns:
            How many were new.

        Raises:
            DataError: An earlier one of its kind and id has another content.
            HwdsError: They cannot be written.
        """
        given = list(entries)
        try:
            if self._by_lines and len(given) == 1 and self._is_line(given[0], wait):
                self._append_line(given[0], wait)
                if wait:
                    self._note(self.last)
                return 1
            self._move()
            rows = [row_of(number, entry) for number, entry in enumerate(given, self.last + 1)]
            if len(rows) == 1:  # a transaction by itself
                self._insert.execute(INSERT, rows[0])
            else:
                with self._transaction():
                    self._insert.executemany(INSERT, rows)
        except sqlite3.IntegrityError as error:
            fresh = self._fresh(given)
            if len(fresh) == len(given):
                raise self._plain_error(error) from error
            return self.append(fresh)
        except (sqlite3.DatabaseError, OSError) as error:
            raise self._plain_error(error) from error
        self.last += len(rows)
        self._note(self.last)
        return len(rows)

    def _note(self, last: int) -> None:
        if self._mark is not None:
            self._mark.set(last)

    def sync(self, number: int) -> None:
        """Wait until the disk has all entries up to a number; those who wait at once share the wait of one of them.

        Raises:
            HwdsError: The disk has them perhaps not: what follows from them must not be relied on.
        """
        try:
            self._syncs.wait(number, lambda: self.last, self._bring_to_disk)
        except OSError as error:
            raise self._plain_error(error) from error

    def _bring_to_disk(self) -> None:
        last = self.last
        if self._tail is not None:
            self._tail.sync()
        self._note(last)

    def _is_line(self, entry: Entry, wait: bool) -> bool:
        """Return whether an entry may wait as a line: it has no id, or one that no other has and that nobody waits for."""
        if entry.id is None or entry.data is not None:
            return entry.data is None
        return not wait and self.find(entry.kind, entry.id) is None

    def _append_line(self, entry: Entry, wait: bool = True) -> None:
        assert self._tail is not None
        if len(self._waiting) >= WAITING:
            self._move()
        self._tail.append([self.last + 1, *entry], wait=wait)
        self._waiting.append(entry)
        if entry.id is not None:
            self._named[entry.kind, entry.id] = entry
        self.last += 1

    def _move(self) -> None:
        """Move the entries of the tail into the database; the tail is emptied when they are there."""
        if self._waiting and self._tail is not None:
            with self._transaction():
                first = self.last - len(self._waiting) + 1
                self._insert.executemany(INSERT, starmap(row_of, enumerate(self._waiting, first)))
            self._waiting = []
            self._named.clear()
            self._syncs.reached(self.last)  # a transaction waits for the disk
            self._tail.clear()

    def _fresh(self, entries: list[Entry]) -> list[Entry]:
        """Return those that are not there yet, each once."""
        known: dict[tuple[str, str], str] = {}
        fresh = []
        for entry in entries:
            if entry.id is not None:
                key = entry.kind, entry.id
                earlier = self.find(*key)
                body = known.get(key) if earlier is None else earlier.body
                if body is not None and body != entry.body:
                    raise DataError(f"{entry.kind} '{entry.id}': has come before with another content.")
                if body is not None:
                    continue
                known[key] = entry.body
            fresh.append(entry)
        return fresh

    def find(self, kind: str, id: str) -> Entry | None:
        """Return the entry of a kind and id."""
        if waiting := self._named.get((kind, id)):
            return waiting
        with self._plain_errors():
            row = self._db.execute(f"select {COLUMNS} from entries where kind = ? and id = ?", (kind, id)).fetchone()
        return self._checked(row) if row else None

    def count(self, kind: str) -> int:
        """Return how many entries of a kind have an id."""
        with self._plain_errors():
            self._move()
            (number,) = self._db.execute("select count(*) from entries where kind = ? and id is not null", (kind,)).fetchone()
        return int(number)

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """Yield all of them that are kept but for the first so many, in the order in which they happened.

        Raises:
            ResumeError: One is damaged or missing.
        """
        yield from self._read(max(after, self.first - 1))

    def _read(self, number: int) -> Iterator[Entry]:
        """Yield the entries after a number, each verified."""
        with self._plain_errors():
            self._move()
            for row in self._db.execute(f"select {COLUMNS} from entries where number > ? order by number", (number,)):
                number += 1
                if row[0] != number:
                    raise ResumeError(f"{self.path}: {missing(number, row[0] - 1)}.")
                yield self._checked(row)

    def write_snapshot(self, data: bytes, *, drop: bool = False) -> None:
        """Keep the state that all entries have come to in place of the one before; optionally drop these entries.

        Raises:
            HwdsError: It cannot be written; the one before is still there, and so are the entries.
        """
        with self._plain_errors():
            self._move()
            with self._transaction():
                self._db.execute("delete from snapshot")
                parts = ((number, data[begin : begin + PART]) for number, begin in enumerate(range(0, len(data), PART)))
                self._db.executemany("insert into snapshot values (?, ?)", parts)
                if drop:
                    self._db.execute("delete from entries")
                    self._db.execute(
                        "insert or replace into about values ('dropped', ?)", (with_checksum("dropped", self.last),)
                    )
        if drop:
            self.first = self.last + 1

    def read_snapshot(self) -> bytes | None:
        """Return the last snapshot; None where there is none."""
        with self._plain_errors():
            parts = [row[0] for row in self._db.execute("select data from snapshot order by part")]
        whole = all(isinstance(part, bytes) for part in parts)
        return b"".join(parts if whole else [b"damaged"]) if parts else None

    def close(self) -> None:
        """Let the files go."""
        with self._plain_errors():
            try:
                self._move()
            finally:
                self._release()

    def _release(self) -> None:
        if self._tail is not None:
            with self._syncs.none():
                self._tail.close(remove=not self._waiting)
        self._insert.close()  # its statement would hold the file
        self._db.close()
        if self._mark is not None and self.path is not None:
            self._mark.close(self.last, digest_file(self.path))

    def _checked(self, row: tuple[Any, ...]) -> Entry:
        entry = Entry(*row[1:-1])
        if not isinstance(entry.data, bytes | None) or row[-1] != checksum_of(row[0], entry):
            raise ResumeError(f"{self.path}: entry {row[0]} is damaged.")
        return entry

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("begin")
        try:
            yield
            self._db.execute("commit")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("rollback")
            raise

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.DatabaseError, OSError, UnicodeDecodeError) as error:  # SQLite's words may quote a damaged name
            raise self._plain_error(error) from error

    def _plain_error(self, error: sqlite3.DatabaseError | OSError | UnicodeDecodeError) -> HwdsError:
        if isinstance(error, OSError):
            return HwdsError(f"{self.path}: cannot be written: {error.strerror or error}.")
        if "locked" in str(error):
            return ResumeError(f"{self.path}: another process uses it; stop that, or take another file.")
        if isinstance(error, sqlite3.OperationalError | sqlite3.ProgrammingError):
            return HwdsError(f"{self.path}: cannot be used: {error}.")
        return ResumeError(f"{self.path}: is damaged, or no log of events ({error}).")
