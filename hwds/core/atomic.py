"""Files that are whole or absent, whatever happens while they are written."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

from hwds.core.errors import HwdsError


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to disk, rename it to `path`, and flush the folder.

    Raises:
        HwdsError: The folder cannot be written or the disk is full; nothing is left behind.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(part)
            sync(part)
            part.replace(path)
            sync(path.parent)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise HwdsError(f"{path}: cannot be written: {error.strerror or error}.") from error


def sync(path: Path) -> None:
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
    write_atomically(path, lambda part: _fill(part, content))


def _fill(part: Path, content: bytes) -> None:
    part.write_bytes(content)
