"""Files whole or absent, their digests, locks between processes, and the folder of all outputs."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from hwds.core.errors import HwdsError

# Digests of settings and bytes, of which cache keys and the names of run folders are made.


def digest(data: Any) -> str:
    """Return the digest of plain data (16 hexadecimal digits).

    The order of keys does not matter.
    """
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def digest_bytes(parts: Iterable[bytes | memoryview]) -> str:
    """Return the digest of a sequence of byte strings (32 hexadecimal digits)."""
    hasher = hashlib.blake2b(digest_size=16)
    for part in parts:
        hasher.update(part)
    return hasher.hexdigest()


def digest_file(path: Path) -> str:
    """Return the digest of the content of a file, as of `digest_bytes`, without loading all of
    it.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


# The folder of all outputs.

OUTPUTS = Path(os.environ.get("HWDS_OUTPUTS") or "outputs")
"""`outputs/` below the current folder, or `$HWDS_OUTPUTS`, for a checkout that cannot be written.
"""


class Displayed:
    """Mixin of classes whose objects a notebook shows as a page does."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        shown: str = sys.modules["hwds"].html_of(self)  # no import: what is shown makes no number
        return shown


class Readable(Protocol):
    """The part of `Path` by which stored objects are read; files in memory have it too."""

    def __truediv__(self, name: str, /) -> Readable:
        """Return a file or folder in this folder."""

    def is_file(self) -> bool:
        """Return whether this is a file."""

    def read_bytes(self) -> bytes:
        """Return the content of this file."""


# Files that are whole or absent, whatever happens while they are written.


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to disk, rename it to `path`, and
    flush the folder.

    Raises:
        HwdsError: The folder cannot be written or the disk is full; nothing is left behind.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(part)
            flush_to_disk(part)
            part.replace(path)
            flush_to_disk(path.parent)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise HwdsError(f"{path}: cannot be written: {error.strerror or error}.") from error


def flush_to_disk(path: Path) -> None:
    """Flush a file, or the names in a folder, to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write text atomically."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes atomically."""
    write_atomically(path, lambda part: part.write_bytes(content))


# Locks between processes and threads, by the system's `flock`, which releases those of a
# process that dies.

LOCK = ".lock"

LOCK_PATIENCE = 0.25
"""Seconds that a run waits for its folder, so that a process that only asks whether it is in use
does not block it.
"""

LOCK_PAUSE = 0.02
"""Seconds between two attempts."""


@contextmanager
def lock_folder(folder: Path, patience: float = LOCK_PATIENCE) -> Iterator[bool]:
    """Lock a folder; yields False where another process has locked it.

    Raises:
        OSError: The folder cannot be written.
    """
    with lock_file(folder / LOCK, patience) as free:
        yield free


def in_use(folder: Path) -> bool:
    """Return whether a process has locked a folder."""
    if not (folder / LOCK).is_file():
        return False
    try:
        with lock_folder(folder, 0) as free:
            return not free
    except OSError:  # without the right to lock it nobody can tell
        return True


def lock_for_reading(cache: Path) -> AbstractContextManager[bool]:
    """Lock a cache for reading, together with other readers; waits while another process cleans it.

    Raises:
        HwdsError: The folder cannot be written.
    """
    return _lock_cache(cache, fcntl.LOCK_SH)


def lock_for_cleaning(cache: Path) -> AbstractContextManager[bool]:
    """Lock a cache that nobody reads.

    Yields False where somebody does. Readers wait until it is released.

    Raises:
        HwdsError: The folder cannot be written.
    """
    return _lock_cache(cache, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def lock_for_making(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Lock a path for the one process that creates it.

    While another one does, it waits, or yields False. The lock file is deleted at the end; a
    process that waited for it locks a new one.

    Raises:
        HwdsError: The folder cannot be written.
    """
    lock = path.with_name(f".{path.name}.lock")
    handle = _lock_at(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    if handle is None:
        yield False
        return
    try:
        yield True
    finally:
        lock.unlink(missing_ok=True)
        os.close(handle)


@contextmanager
def lock_file(path: Path, patience: float = 0) -> Iterator[bool]:
    """Lock a file; yields False where another process has it locked for so many seconds.

    Raises:
        OSError: It cannot be written.
    """
    handle, deadline = _open_lock(path), time.monotonic() + patience
    try:
        free = _try_lock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        while not free and time.monotonic() < deadline:
            time.sleep(LOCK_PAUSE)
            free = _try_lock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield free
    finally:
        os.close(handle)


@contextmanager
def _lock_cache(cache: Path, how: int) -> Iterator[bool]:
    handle = _open_lock_below(cache / LOCK)
    try:
        yield _try_lock(handle, how)
    finally:
        os.close(handle)


def _open_lock_below(path: Path) -> int:
    """Open the file of a lock, in a folder that is created for it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return _open_lock(path)
    except OSError as error:
        raise HwdsError(f"{path.parent}: cannot be written: {error.strerror or error}.") from error


def _lock_at(path: Path, how: int) -> int | None:
    """Return the open and locked file of a path; None where another process has locked it."""
    while True:
        with ExitStack() as stack:
            handle = _open_lock_below(path)
            stack.callback(os.close, handle)
            if not _try_lock(handle, how):
                return None
            if _is_at(handle, path):  # else its owner has deleted it meanwhile
                stack.pop_all()
                return handle


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)


def _try_lock(handle: int, how: int) -> bool:
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


# What a process behind walls (`core.walls`) may write. It is told here, because every run writes
# files and most run without walls.

WRITABLE: list[Path] = []
"""The folders of a sealed process; empty in every other."""


def is_sealed() -> bool:
    """Return whether this process is behind walls."""
    return bool(WRITABLE)


def may_keep(folder: Path) -> bool:
    """Return whether this process may leave something for others in a folder, as walls see it."""
    return not WRITABLE or any(folder.is_relative_to(place) for place in WRITABLE)
