"""Journal: what happened to a policy in production, on disk before it is acknowledged.

A folder holds `state.json`, everything up to event n, and `journal.jsonl`, one event a line since then. An event is numbered,
so that one which is in both is counted once; the line that a crash tore was never acknowledged, and is dropped. With a snapshot
the journal begins anew; the old one is kept as `journal-<n>.jsonl`, n its last event, where it is wanted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hwds.errors import HwdsError, ResumeError
from hwds.results.atomic import write_text

Event = dict[str, Any]


class Journal:
    """The folder of one policy, held against a second process until it is closed; the system frees what a dead one held.

    Attributes:
        folder: Where it lies.
        number: Events so far.
        kept: Events in the journal alone.
    """

    def __init__(self, folder: Path, keep: bool = False) -> None:
        """Open the folder, and make it where it is not there.

        Args:
            folder: Where it lies.
            keep: Whether events before a snapshot are kept.

        Raises:
            ResumeError: Another process holds it.
            HwdsError: It cannot be written.
        """
        self.folder, self.keep = folder, keep
        self.number = self.kept = self._size = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = _held(folder)
            self._file = self._opened()
        except OSError as error:
            raise _unwritable(folder, error) from error

    def snapshot(self) -> dict[str, Any] | None:
        """The last one; None in a new folder.

        Raises:
            ResumeError: It is damaged, or a journal has none.
        """
        path = self.folder / "state.json"
        if not path.is_file():
            if os.fstat(self._file).st_size:
                raise ResumeError(f"{self.folder}: has a journal and no state.json.")
            return None
        try:
            data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            self.number = int(data["events"])
        except (ValueError, KeyError, TypeError) as error:
            raise ResumeError(f"{path}: is damaged ({error}).") from error
        return data

    def events(self) -> Iterator[Event]:
        """Those after the snapshot, in order; a torn last line is cut off.

        Raises:
            ResumeError: A line before the last is damaged, or an event is missing.
        """
        path = self.folder / "journal.jsonl"
        place = 0
        lines = path.read_bytes().splitlines(keepends=True)
        for at, line in enumerate(lines):
            event = _read(line)
            if event is None and at < len(lines) - 1:
                raise ResumeError(f"{path}: line {at + 1} is damaged.")
            if event is None:
                break
            place += len(line)
            if event["n"] > self.number + 1:
                raise ResumeError(f"{path}: event {self.number + 1} is missing before line {at + 1}.")
            if event["n"] == self.number + 1:
                self.number, self.kept = self.number + 1, self.kept + 1
                yield event
        self._size = place
        self._cut()

    def append(self, event: Event) -> None:
        """Number an event and bring it to the disk; when this returns, it has happened.

        Raises:
            HwdsError: It cannot be written; then it has not happened.
        """
        line = json.dumps({"n": self.number + 1, **event}, separators=(",", ":")).encode() + b"\n"
        self._cut()
        try:
            written = os.write(self._file, line)
            if written < len(line):
                raise OSError(None, "the disk is full")
            os.fdatasync(self._file)
        except OSError as error:
            self._cut()
            raise _unwritable(self.folder, error) from error
        self.number, self.kept, self._size = self.number + 1, self.kept + 1, self._size + len(line)

    def replace(self, snapshot: dict[str, Any]) -> None:
        """Write a snapshot of everything so far, then empty the journal.

        Raises:
            HwdsError: It cannot be written; the journal is as it was.
        """
        write_text(self.folder / "state.json", json.dumps({"events": self.number, **snapshot}))
        _sync(self.folder)  # the new name must outlive a loss of power before the journal is emptied
        self.kept = 0
        if self.keep:
            self._put_by()
        self._size = 0
        self._cut()

    def all(self) -> Iterator[Event]:
        """Every event that was kept, in order."""
        number = 0
        old = sorted(self.folder.glob("journal-*.jsonl"), key=lambda path: int(path.stem.partition("-")[2]))
        for path in [*old, self.folder / "journal.jsonl"]:
            for line in path.read_bytes().splitlines(keepends=True):
                event = _read(line)
                if event is not None and event["n"] > number:
                    number = event["n"]
                    yield event

    def _opened(self) -> int:
        return os.open(self.folder / "journal.jsonl", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)

    def _put_by(self) -> None:
        """Keep the journal under another name, and begin a new one."""
        if not self._size:
            return
        try:
            (self.folder / "journal.jsonl").replace(self.folder / f"journal-{self.number}.jsonl")
            opened = self._opened()  # before the old one is let go: a number that is free belongs to the next who opens
            os.close(self._file)
            self._file, self._size = opened, 0
            _sync(self.folder)
        except OSError as error:
            raise _unwritable(self.folder, error) from error

    def _cut(self) -> None:
        """Cut off what was written beyond the last event that happened."""
        try:
            if os.fstat(self._file).st_size != self._size:
                os.ftruncate(self._file, self._size)
        except OSError as error:
            raise _unwritable(self.folder, error) from error

    def close(self) -> None:
        """Let the folder go."""
        os.close(self._file)
        self._lock()


def _held(folder: Path) -> Callable[[], None]:
    from filelock import FileLock, Timeout

    lock = FileLock(folder / ".lock", timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise ResumeError(f"{folder}: another process uses this policy; stop it, or take another folder.") from error
    return lock.release


def _read(line: bytes) -> Event | None:
    """The event of a line; None where it is damaged."""
    try:
        event = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("n"), int) else None


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _unwritable(folder: Path, error: OSError) -> HwdsError:
    return HwdsError(f"{folder}: cannot be written: {error.strerror or error}.")
