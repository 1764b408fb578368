"""Locks between processes: of a folder that one writes, of a cache that many read and one cleans; a dead owner frees them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from hwds.errors import HwdsError

LOCK = ".lock"

PATIENCE = 0.25
"""Seconds that a run waits for its folder, so that who only asks whether it is in use does not stand in its way."""


@contextmanager
def alone(folder: Path, patience: float = PATIENCE) -> Iterator[bool]:
    """Hold a folder as the only one; False where another process has it.

    Raises:
        OSError: The folder cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK, timeout=patience)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def in_use(folder: Path) -> bool:
    """Whether a process holds a folder now."""
    if not (folder / LOCK).is_file():
        return False
    try:
        with alone(folder, 0) as free:
            return not free
    except OSError:  # not ours to lock: then nobody can tell
        return True


@contextmanager
def reading(cache: Path) -> Iterator[None]:
    """Hold a cache as one of many; waits while another process cleans it.

    Raises:
        HwdsError: The folder cannot be written.
    """
    import fcntl

    with _lock_of(cache) as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextmanager
def cleaning(cache: Path) -> Iterator[bool]:
    """Hold a cache that nobody reads; False where somebody does. Readers wait until it is given back.

    Raises:
        HwdsError: The folder cannot be written.
    """
    import fcntl

    with _lock_of(cache) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _lock_of(cache: Path) -> TextIO:
    """The file by which a cache is held, open."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        return (cache / LOCK).open("a")
    except OSError as error:
        raise HwdsError(f"{cache}: cannot be written: {error.strerror or error}.") from error
