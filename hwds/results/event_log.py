"""EventLog: what has happened, in order, in an SQLite file that outlives the process."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple
from zlib import crc32

from hwds.core.errors import DataError, HwdsError, ResumeError
from hwds.core.files import digest_file

# Signs of damage in a log: values with checksums, and the words for entries that are not there.

_WITH_CHECKSUM = re.compile("[0-9a-f]{8} ")
"""The beginning of a value with its checksum."""


def with_checksum(name: str, value: Any) -> str:
    """Return a named value as JSON with a checksum in front."""
    content = json.dumps(value)
    return f"{_value_checksum(name, content)} {content}"


def checked_value(name: str, text: str) -> Any:
    """Return the value that `with_checksum` was given; those of earlier versions have no checksum.

    Raises:
        ValueError: It is damaged.
    """
    checksum, _, content = text.partition(" ") if _WITH_CHECKSUM.match(text) else ("", "", text)
    if checksum and checksum != _value_checksum(name, content):
        raise ValueError("another checksum")
    return json.loads(content)


def lost_entries(first: int, last: int) -> str:
    """Return `3 acknowledged entries are lost (7 to 9)`."""
    if first == last:
        return f"acknowledged entry {first} is lost"
    return f"{last - first + 1:,} acknowledged entries are lost ({first} to {last})"


def missing_entries(first: int, last: int) -> str:
    """Return `entry 7 is missing`, or `entries 7 to 9 are missing`."""
    return (
        f"entry {first} is missing" if last <= first else f"entries {first} to {last} are missing"
    )


def _value_checksum(name: str, content: str) -> str:
    return f"{crc32(f'{name} {content}'.encode('utf-8', 'surrogatepass')):08x}"


# Entry: one thing that happened, and the row of the database that keeps it.


class LogEntry(NamedTuple):
    """One thing that happened.

    Attributes:
        kind: What it is, such as `event`, `label` or `decision`.
        id: Tells it from all others of its kind; None where each is another one.
        place: The number of what it is or is about, from 0; -1 of none.
        at: The moment at which it happened, or from which it holds, in the unit of the log; None
            where that does not matter.
        body: Its content.
        reply: The answer; None where none was needed.
        data: Numbers that belong to the reply.
    """

    kind: str
    id: str | None
    place: int
    at: float | None
    body: str
    reply: str | None = None
    data: bytes | None = None


ENTRY_COLUMNS = "number, kind, id, place, at, body, reply, data, checksum"
INSERT_ENTRY = "insert into entries values (?, ?, ?, ?, ?, ?, ?, ?, ?)"


def entry_row(number: int, entry: LogEntry) -> tuple[Any, ...]:
    """Return the row of an entry, in the order of `ENTRY_COLUMNS`."""
    return (number, *entry, entry_checksum(number, entry))


def entry_checksum(number: int, entry: LogEntry) -> int:
    """Return the checksum of an entry and its number."""
    data = entry.data or b""
    return crc32(
        data, crc32(repr((number, *entry[:6], len(data))).encode("utf-8", "surrogatepass"))
    )


# Mark: a small file beside a log that bears witness to it: which entry was the last, and how
# the closed log looked.
# It is written after each entry without waiting for the disk, so that it outlives the process,
# not a loss of power. A log whose last entry is an earlier one has lost some; a log with
# another digest than when it was closed is verified before it is used.

NOT_SEALED = "-" * 32
"""Stands for the digest of a log that is open, or was not closed."""

_MARK_LINE = re.compile(rb"(\d{16}) ([0-9a-f]{32}|-{32}) ([0-9a-f]{8})\n")


class Mark:
    """The witness of one log.

    Args:
        path: Its file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def read(self) -> tuple[int, str]:
        """Return the number of the last entry and the digest of the closed log.

        0 and none of a file absent or damaged.
        """
        match = _MARK_LINE.fullmatch(self.path.read_bytes()) if self.path.is_file() else None
        if match is None or match[3] != b"%08x" % crc32(match[0][:49]):
            return 0, NOT_SEALED
        return int(match[1]), match[2].decode()

    def open(self, last: int) -> None:
        """Begin to bear witness to a log that is open.

        Raises:
            OSError: The file cannot be written.
        """
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o644)
        line = _mark_line(last, NOT_SEALED)
        os.pwrite(self._file, line, 0)  # in place, which needs no room on a full disk
        os.ftruncate(self._file, len(line))

    def set(self, last: int) -> None:
        """Note the last entry; a file that cannot be written any more is removed, for it would bear
        false witness.
        """
        if self._file is None:
            return
        try:
            os.pwrite(self._file, _mark_line(last, NOT_SEALED), 0)
        except OSError:
            self._end()
            self.path.unlink(missing_ok=True)

    def close(self, last: int, digest: str) -> None:
        """Note how the closed log looks."""
        if self._file is not None:
            os.pwrite(self._file, _mark_line(last, digest), 0)
            self._end()

    def _end(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _mark_line(last: int, digest: str) -> bytes:
    text = b"%016d %b" % (last, digest.encode())
    return text + b" %08x\n" % crc32(text)


# SharedSyncs: threads that wait for the disk at once share a wait of one of them.

ALL_WAITERS = 1 << 30
"""More threads than there are: all who wait."""


class SharedSyncs:
    """The waits of several threads for the entries of one log.

    While one thread waits for the disk, the others wait for it, or for the next, which begins when
    this one has ended and has all that was appended meanwhile. A thread is woken once its own
    entries are there, and one of those that are left to begin the next; to wake all of them each
    time would cost more than their decisions do.

    After a failure all are refused for good: a later sync may succeed though the disk lacks what
    the failed one was for.
    """

    def __init__(self) -> None:
        lock = threading.Lock()
        self._lock, self._covered, self._left = (
            lock,
            threading.Condition(lock),
            threading.Condition(lock),
        )
        self._done = self._covers = 0
        self._running = False
        self._error: OSError | None = None

    def wait(self, number: int, appended: Callable[[], int], sync: Callable[[], None]) -> None:
        """Return once the disk has the entries up to a number.

        Args:
            number: The number of the last entry that is waited for.
            appended: Returns the number of the last entry of all.
            sync: Brings to the disk what was appended before the call.

        Raises:
            OSError: The disk has them perhaps not.
        """
        with self._lock:
            if not self._leads(number):
                return
            self._running, self._covers = True, appended()
            self._covered, self._left = self._left, self._covered
        done = self._done
        try:
            sync()
            done = self._covers
        except OSError as error:
            self._error = error
            raise
        finally:
            with self._lock:
                self._running, self._done = False, max(self._done, done)
                self._covered.notify_all()
                self._left.notify(1 if self._error is None else ALL_WAITERS)

    def _leads(self, number: int) -> bool:
        """Wait until the entries are there, and return False.

        Or until nobody brings them there, and return True.

        Raises:
            OSError: A sync has failed.
        """
        was_left = False
        while self._done < number and self._running and self._error is None:
            was_left = number > self._covers
            (self._left if was_left else self._covered).wait()
        if self._error is not None:
            raise self._error
        if self._done < number:
            return True
        if (
            was_left and not self._running
        ):  # woken to lead, and there is no need: another one may have it
            self._left.notify()
        return False

    @contextmanager
    def hold_off(self) -> Iterator[None]:
        """Hold off all syncs within the block, once the one that runs has ended."""
        with self._lock:
            while self._running:
                self._covered.wait()
            yield


# The tail of a log of an earlier version: its last entries, a line each, which a process that died
# had not yet moved into the database. The line that a crash tore was never acknowledged.


def _tail_rows(path: Path) -> list[list[Any]]:
    """Return the number and the fields of each entry of a tail.

    Raises:
        ResumeError: A line before the last is damaged.
    """
    lines = path.read_bytes().split(b"\n") if path.is_file() else []
    rows = []
    for number, line in enumerate(lines, 1):
        checksum, _, text = line.partition(b" ")
        if checksum == b"%08x" % crc32(text):
            rows.append(json.loads(text))
        elif any(lines[number:]):
            raise ResumeError(f"{path}: line {number} is damaged.")
    return rows


# EventLog: what has happened, in order, in an SQLite file that outlives the process.
# An entry is written before it is acknowledged: after `kill -9` at any moment everything
# acknowledged is there, and nothing is there by half (SQLite's write-ahead log has checksums).
# Whether it also outlives a loss of power is a choice, for that waits for the disk: SQLite itself
# waits for it only before it brings the write-ahead log into the file, and the log waits for each
# entry, by a sync that threads share. The snapshot of the state that follows from the entries lies
# in the same file.

Durable = Literal["process", "power"]
"""The failure that an acknowledged entry outlives: the end of the process, or a loss of power too.
"""

FORMAT = 2
CHECKPOINT: dict[Durable, int] = {"process": 16_384, "power": 256}
"""Pages after which the write-ahead log is brought into the file and written again from its begin:
few entries wait for it.

Where each entry waits for the disk the log is short, for a sync is cheaper where a file does not
grow.
"""

SNAPSHOT_PART = 1 << 26
"""Bytes of a row of a snapshot; SQLite holds no more than a billion in one."""

ROOM = 1 << 20
"""Bytes on the disk below which nothing is taken: SQLite writes whole pages, and an index."""

PROBE = 1 << 16
"""Bytes that must be written after a failure before anything is taken again."""

CREATE_ABOUT = "create table if not exists about (name text primary key, value text not null)"
CREATE_TABLES = """
create table if not exists entries (
    number integer primary key, kind text not null, id text, place integer not null, at,
    body text not null, reply text, data blob, checksum integer not null
);
create unique index if not exists entries_by_id on entries (kind, id) where id is not null;
create table if not exists snapshot (part integer primary key, data blob not null);
"""


class EventLog:
    """The files of one state, held against a second process until it is closed; the system frees
    what a dead one held.

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
        self._mark = Mark(path.with_name(f"{path.name}-last")) if path is not None else None
        self._wal: int | None = None
        self._syncs = SharedSyncs()
        self._has_failed = False
        with self._plain_errors():
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            intact = self._is_as_it_was_closed()
            self._db = sqlite3.connect(
                path or ":memory:", timeout=0.5, isolation_level=None, check_same_thread=False
            )
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
        self._db.execute(CREATE_ABOUT)
        row = self._db.execute("select * from about where name = 'format'").fetchone()
        if row is not None and (format := self._checked_metadata(*row)) != FORMAT:
            raise ResumeError(
                f"{self.path}: is of format {format}, this version reads {FORMAT}; take another "
                f"file."
            )
        self._db.executescript(CREATE_TABLES)
        if row is None:
            self.set_metadata("format", FORMAT)
        first, last = self._db.execute("select min(number), max(number) from entries").fetchone()
        dropped = self.metadata("dropped") or 0
        self.last = int(last or dropped)
        self.first = int(first or dropped + 1)
        if self.first != dropped + 1:
            raise ResumeError(f"{self.path}: {missing_entries(dropped + 1, self.first - 1)}.")
        if self.path is not None:
            self._take_up_tail(self.path.with_name(f"{self.path.name}-tail"))
            if durable == "power":
                self._wal = os.open(self.path.with_name(f"{self.path.name}-wal"), os.O_RDWR)
        self._db.execute("pragma synchronous=normal")

    def _is_as_it_was_closed(self) -> bool:
        """Return whether the files are those of a log that was closed, to the bit.

        Before SQLite opens them.
        """
        if self.path is None or self._mark is None or not self.path.is_file():
            return True
        others = (self.path.with_name(f"{self.path.name}{end}") for end in ("-wal", "-tail"))
        return (
            not any(path.is_file() for path in others)
            and digest_file(self.path) == self._mark.read()[1]
        )

    def _require_whole(self, intact: bool) -> None:
        """Refuse a log that has lost entries, or that is damaged.

        Verify every entry unless it is as it was closed.

        Raises:
            ResumeError: It has or is, with the numbers of the entries.
        """
        if self._mark is None:
            return
        noted, _ = self._mark.read()
        if noted > self.last:
            raise ResumeError(
                f"{self.path}: {lost_entries(self.last + 1, noted)}; to go on without, delete "
                f"{self._mark.path.name}."
            )
        if not intact:
            (found,) = self._db.execute("pragma integrity_check(1)").fetchone()
            if found != "ok":
                raise ResumeError(f"{self.path}: is damaged ({' '.join(str(found).split())}).")
            for _ in self._read(self.first - 1):
                pass
        self._mark.open(self.last)

    def _take_up_tail(self, tail: Path) -> None:
        """Move the entries that a process of an earlier version has left in the tail, but for those
        that it had moved already.
        """
        rows = []
        for number, *fields in _tail_rows(tail):
            if number > self.last + 1:
                raise ResumeError(f"{self.path}: {missing_entries(self.last + 1, number - 1)}.")
            if number == self.last + 1:
                rows.append(entry_row(number, LogEntry(*fields)))
                self.last = number
        self._insert_rows(rows)
        tail.unlink(missing_ok=True)

    def metadata(self, name: str) -> Any:
        """Return something that holds of the whole log; None where it was not set."""
        with self._plain_errors():
            row = self._db.execute("select value from about where name = ?", (name,)).fetchone()
        return self._checked_metadata(name, row[0]) if row else None

    def set_metadata(self, name: str, value: Any) -> None:
        """Keep something that holds of the whole log."""
        with self._plain_errors():
            self._db.execute(
                "insert or replace into about values (?, ?)", (name, with_checksum(name, value))
            )
            self._flush()

    def _checked_metadata(self, name: str, text: str) -> Any:
        try:
            return checked_value(name, text)
        except ValueError as error:
            raise ResumeError(
                f"{self.path}: what holds of the whole log ('{name}') is damaged."
            ) from error

    def append(self, entries: Iterable[LogEntry], *, wait: bool = True) -> int:
        """Keep entries: when this returns all of them have happened, and when it raises none has,
        unless the disk fails to say that it has them; then the log takes no more.

        Without `wait` they outlive the process, and wait for the disk until `sync`.

        An entry of the kind, id and content of an earlier one is that one, and counts once.

        Returns:
            How many were new.

        Raises:
            DataError: An earlier one of its kind and id has another content.
            HwdsError: They cannot be written.
        """
        given = list(entries)
        rows = [entry_row(number, entry) for number, entry in enumerate(given, self.last + 1)]
        try:
            self._insert_rows(rows)
        except sqlite3.IntegrityError as error:
            fresh = self._fresh(given)
            if len(fresh) == len(given):
                raise self._plain_error(error) from error
            return self.append(fresh, wait=wait)
        except sqlite3.DatabaseError as error:
            self._has_failed = True
            raise self._plain_error(error) from error
        self.last += len(rows)
        if self._wal is None:
            self._note(self.last)
        elif wait:
            self.sync(self.last)
        return len(rows)

    def require_room(self) -> None:
        """Refuse at once what the disk has no room for, before anything is made of it.

        Raises:
            HwdsError: The disk is full, or could not be written the last time and still cannot.
        """
        if self.path is None:
            return
        with self._plain_errors():
            disk = os.statvfs(self.path)
        if disk.f_bavail * disk.f_frsize < ROOM:
            raise HwdsError(f"{self.path}: cannot be written: no space left on the disk.")
        if self._has_failed:
            self.set_metadata("room", "-" * PROBE)
            self.set_metadata("room", "")
            self._has_failed = False

    def drop_before(self, kind: str, at: float, most: int) -> bool:
        """Drop the entries before the first of a kind that is of a moment or later, so many at
        most; SQLite writes later entries where they were.

        Returns:
            Whether no such entry is left.

        Raises:
            HwdsError: They cannot be dropped; they are still there.
        """
        with self._plain_errors():
            row = self._db.execute(
                "select number from entries where kind = ? and at >= ? order by number limit 1",
                (kind, at),
            ).fetchone()
            first = self.first if row is None else min(row[0], self.first + most)
            if first > self.first:
                with self._transaction():
                    self._db.execute("delete from entries where number < ?", (first,))
                    self._set_dropped(first - 1)
                self.first = first
        return row is None or first == row[0]

    def _set_dropped(self, last: int) -> None:
        self._db.execute(
            "insert or replace into about values ('dropped', ?)", (with_checksum("dropped", last),)
        )

    def _insert_rows(self, rows: list[tuple[Any, ...]]) -> None:
        if len(rows) == 1:  # a transaction by itself
            self._insert.execute(INSERT_ENTRY, rows[0])
        else:
            with self._transaction():
                self._insert.executemany(INSERT_ENTRY, rows)

    def _note(self, last: int) -> None:
        if self._mark is not None:
            self._mark.set(last)

    def sync(self, number: int) -> None:
        """Wait until the disk has all entries up to a number.

        Those who wait at once share the wait of one of them.

        Raises:
            HwdsError: The disk has them perhaps not: what follows from them must not be relied on.
        """
        try:
            self._syncs.wait(number, lambda: self.last, self._bring_to_disk)
        except OSError as error:
            raise self._plain_error(error) from error

    def _bring_to_disk(self) -> None:
        last = self.last
        self._flush()
        self._note(last)

    def _flush(self) -> None:
        """Wait until the disk has all that was written before the call."""
        if self._wal is not None:
            os.fdatasync(self._wal)

    def _fresh(self, entries: list[LogEntry]) -> list[LogEntry]:
        """Return those that are not there yet, each once."""
        bodies: dict[tuple[str, str], str] = {}
        fresh = []
        for entry in entries:
            if entry.id is not None:
                key = entry.kind, entry.id
                earlier = self.find(*key)
                body = bodies.get(key) if earlier is None else earlier.body
                if body is not None and body != entry.body:
                    raise DataError(
                        f"{entry.kind} '{entry.id}': has come before with another content."
                    )
                if body is not None:
                    continue
                bodies[key] = entry.body
            fresh.append(entry)
        return fresh

    def find(self, kind: str, id: str) -> LogEntry | None:
        """Return the entry of a kind and id."""
        with self._plain_errors():
            row = self._db.execute(
                f"select {ENTRY_COLUMNS} from entries where kind = ? and id = ?", (kind, id)
            ).fetchone()
        return self._check(row) if row else None

    def count(self, kind: str) -> int:
        """Return how many entries of a kind have an id."""
        with self._plain_errors():
            (number,) = self._db.execute(
                "select count(*) from entries where kind = ? and id is not null", (kind,)
            ).fetchone()
        return int(number)

    def entries(self, after: int = 0) -> Iterator[LogEntry]:
        """Yield all of them that are kept but for the first so many, in the order in which they
        happened.

        Raises:
            ResumeError: One is damaged or missing.
        """
        yield from self._read(max(after, self.first - 1))

    def _read(self, number: int) -> Iterator[LogEntry]:
        """Yield the entries after a number, each verified."""
        with self._plain_errors():
            for row in self._db.execute(
                f"select {ENTRY_COLUMNS} from entries where number > ? order by number", (number,)
            ):
                number += 1
                if row[0] != number:
                    raise ResumeError(f"{self.path}: {missing_entries(number, row[0] - 1)}.")
                yield self._check(row)

    def write_snapshot(self, data: bytes, *, drop: bool = False) -> None:
        """Keep the state that all entries have come to in place of the one before.

        Optionally drop these entries.

        Raises:
            HwdsError: It cannot be written; the one before is still there, and so are the entries.
        """
        with self._plain_errors():
            with self._transaction():
                self._db.execute("delete from snapshot")
                parts = (
                    (number, data[begin : begin + SNAPSHOT_PART])
                    for number, begin in enumerate(range(0, len(data), SNAPSHOT_PART))
                )
                self._db.executemany("insert into snapshot values (?, ?)", parts)
                if drop:
                    self._db.execute("delete from entries")
                    self._set_dropped(self.last)
            self._flush()
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
            with self._syncs.hold_off():
                wal, self._wal = self._wal, None
            if wal is not None:
                os.close(wal)
            self._insert.close()  # its statement would hold the file
            self._db.close()
            if self._mark is not None and self.path is not None:
                self._mark.close(self.last, digest_file(self.path))

    def _check(self, row: tuple[Any, ...]) -> LogEntry:
        entry = LogEntry(*row[1:-1])
        if not isinstance(entry.data, bytes | None) or row[-1] != entry_checksum(row[0], entry):
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
        except (
            sqlite3.DatabaseError,
            OSError,
            UnicodeDecodeError,
        ) as error:  # SQLite's words may quote a damaged name
            raise self._plain_error(error) from error

    def _plain_error(
        self, error: sqlite3.DatabaseError | OSError | UnicodeDecodeError
    ) -> HwdsError:
        if isinstance(error, OSError):
            return HwdsError(f"{self.path}: cannot be written: {error.strerror or error}.")
        if "locked" in str(error):
            return ResumeError(
                f"{self.path}: another process uses it; stop that, or take another file."
            )
        if isinstance(error, sqlite3.OperationalError | sqlite3.ProgrammingError):
            return HwdsError(f"{self.path}: cannot be used: {error}.")
        return ResumeError(f"{self.path}: is damaged, or no log of events ({error}).")
