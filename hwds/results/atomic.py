"""Files that are whole or absent, whatever happens while they are written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from hwds.errors import HwdsError


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a file beside `path`, bring it to the disk, then put it in place in one step.

    Raises:
        HwdsError: The folder cannot be written or the disk is full; nothing is left behind.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(beside)
            with beside.open("rb+") as file:
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise HwdsError(f"{path}: cannot be written: {error.strerror or error}.") from error


def write_text(path: Path, text: str) -> None:
    """Write text atomically."""
    write_atomically(path, lambda part: _fill(part, text))


def _fill(part: Path, text: str) -> None:
    part.write_text(text, encoding="utf-8")
