"""Tail: the last entries of a log, a line each, until they are moved into its database.

A line costs less to bring to the disk than a page of a database. It begins with its checksum: the line that a crash tore was
never acknowledged, and is no line.
"""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any
from zlib import crc32

from hwds.core.errors import ResumeError

Row = list[Any]
"""The number of an entry and its fields: texts, numbers and None."""

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Tail:
    """A file of lines that outlive a loss of power; it is there from the first line on until it is removed.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self._size = 0

    def rows(self) -> list[Row]:
        """Return the rows of a file that another process left behind.

        Raises:
            ResumeError: A line before the last is damaged.
        """
        lines = self._path.read_bytes().split(b"\n") if self._path.is_file() else []
        rows = []
        for number, line in enumerate(lines, 1):
            row = _decoded(line)
            if row is not None:
                rows.append(row)
            elif any(lines[number:]):
                raise ResumeError(f"{self._path}: line {number} is damaged.")
        return rows

    def append(self, row: Row, *, wait: bool = True) -> None:
        """Write a row and wait for the disk, unless `sync` will.

        Raises:
            OSError: It cannot be written; it is not there.
        """
        if self._file is None:
            self._file = self._opened()
        text = _encode(row).encode()
        line = b"%08x %b\n" % (crc32(text), text)
        try:
            if os.pwrite(self._file, line, self._size) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if wait:
                os.fdatasync(self._file)
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(line)

    def sync(self) -> None:
        """Wait until the disk has all rows that were written before the call.

        Raises:
            OSError: It has them perhaps not.
        """
        if self._file is not None:
            os.fdatasync(self._file)

    def clear(self) -> None:
        """Empty the file, once its rows are elsewhere."""
        if self._file is not None:
            os.ftruncate(self._file, 0)
            self._size = 0

    def close(self, *, remove: bool) -> None:
        """Let the file go; remove it where its rows are elsewhere."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if remove:
            self._path.unlink(missing_ok=True)

    def _opened(self) -> int:
        """Return a new file, whose name outlives a loss of power."""
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            os.fsync(folder)
        finally:
            os.close(folder)
        return file


def _decoded(line: bytes) -> Row | None:
    """Return the row of a line; None where it is damaged."""
    checksum, _, text = line.partition(b" ")
    return list(json.loads(text)) if checksum == b"%08x" % crc32(text) else None
