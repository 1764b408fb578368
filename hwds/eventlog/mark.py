"""Mark: a small file beside a log that bears witness to it: which entry was the last, and how the closed log looked.

It is written after each entry without waiting for the disk, so that it outlives the process, not a loss of power. A log whose
last entry is an earlier one has lost some; a log with another digest than when it was closed is verified before it is used.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from zlib import crc32

NOT_SEALED = "-" * 32
"""Stands for the digest of a log that is open, or was not closed."""

_LINE = re.compile(rb"(\d{16}) ([0-9a-f]{32}|-{32}) ([0-9a-f]{8})\n")


class Mark:
    """The witness of one log.

    Args:
        path: Its file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def read(self) -> tuple[int, str]:
        """Return the number of the last entry and the digest of the closed log; 0 and none of a file absent or damaged."""
        match = _LINE.fullmatch(self.path.read_bytes()) if self.path.is_file() else None
        if match is None or match[3] != b"%08x" % crc32(match[0][:49]):
            return 0, NOT_SEALED
        return int(match[1]), match[2].decode()

    def open(self, last: int) -> None:
        """Begin to bear witness to a log that is open.

        Raises:
            OSError: The file cannot be written.
        """
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.write(self._file, _line(last, NOT_SEALED))

    def set(self, last: int) -> None:
        """Note the last entry; a file that cannot be written any more is removed, for it would bear false witness."""
        if self._file is None:
            return
        try:
            os.pwrite(self._file, _line(last, NOT_SEALED), 0)
        except OSError:
            self._end()
            self.path.unlink(missing_ok=True)

    def close(self, last: int, digest: str) -> None:
        """Note how the closed log looks."""
        if self._file is not None:
            os.pwrite(self._file, _line(last, digest), 0)
            self._end()

    def _end(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _line(last: int, digest: str) -> bytes:
    text = b"%016d %b" % (last, digest.encode())
    return text + b" %08x\n" % crc32(text)
