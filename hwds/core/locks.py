"""Locks between processes and threads, by the system's `flock`, which releases those of a process that dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hwds.core.errors import HwdsError

LOCK = ".lock"

PATIENCE = 0.25
"""Seconds that a run waits for its folder, so that a process that only asks whether it is in use does not block it."""

PAUSE = 0.02
"""Seconds between two attempts."""


@contextmanager
def alone(folder: Path, patience: float = PATIENCE) -> Iterator[bool]:
    """Lock a folder; yields False where another process has locked it.

    Raises:
        OSError: The folder cannot be written.
    """
    with locked(folder / LOCK, patience) as free:
        yield free


def in_use(folder: Path) -> bool:
    """Return whether a process has locked a folder."""
    if not (folder / LOCK).is_file():
        return False
    try:
        with alone(folder, 0) as free:
            return not free
    except OSError:  # without the right to lock it nobody can tell
        return True


@contextmanager
def reading(cache: Path) -> Iterator[None]:
    """Lock a cache for reading, together with other readers; waits while another process cleans it.

    Raises:
        HwdsError: The folder cannot be written.
    """
    with _cache_locked(cache, fcntl.LOCK_SH):
        yield


@contextmanager
def cleaning(cache: Path) -> Iterator[bool]:
    """Lock a cache that nobody reads; yields False where somebody does. Readers wait until it is released.

    Raises:
        HwdsError: The folder cannot be written.
    """
    with _cache_locked(cache, fcntl.LOCK_EX | fcntl.LOCK_NB) as free:
        yield free


@contextmanager
def making(path: Path) -> Iterator[None]:
    """Lock a path for the one process that creates it; waits while another does.

    The lock file is deleted at the end; a process that waited for it locks a new one.

    Raises:
        HwdsError: The folder cannot be written.
    """
    lock = path.with_name(f".{path.name}.lock")
    handle = _opened_below(lock)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        while not _is_at(handle, lock):
            os.close(handle)
            handle = _opened_below(lock)
            fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)
    finally:
        os.close(handle)


@contextmanager
def locked(path: Path, patience: float = 0) -> Iterator[bool]:
    """Lock a file; yields False where another process has it locked for so many seconds.

    Raises:
        OSError: It cannot be written.
    """
    handle, deadline = _opened(path), time.monotonic() + patience
    try:
        free = _taken(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        while not free and time.monotonic() < deadline:
            time.sleep(PAUSE)
            free = _taken(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield free
    finally:
        os.close(handle)


@contextmanager
def _cache_locked(cache: Path, how: int) -> Iterator[bool]:
    handle = _opened_below(cache / LOCK)
    try:
        yield _taken(handle, how)
    finally:
        os.close(handle)


def _opened_below(path: Path) -> int:
    """Open the file of a lock, in a folder that is created for it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return _opened(path)
    except OSError as error:
        raise HwdsError(f"{path.parent}: cannot be written: {error.strerror or error}.") from error


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)


def _taken(handle: int, how: int) -> bool:
    try:
        fcntl.flock(handle, how)
    except BlockingIOError:
        return False
    return True


def _is_at(handle: int, path: Path) -> bool:
    """Return whether an open file is the one at a path now."""
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(handle), there)
