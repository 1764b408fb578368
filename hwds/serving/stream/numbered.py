"""NumberedLines: a file of numbered lines, to which each line is written once, however often the process is killed."""

from __future__ import annotations

import json
import os
from pathlib import Path

from hwds.core.errors import HwdsError, ResumeError

BLOCK = 1 << 16


class NumberedLines:
    """A file whose lines are JSON objects that begin with their number, counted from 1 on.

    A line that a crash tore is cut off when the file is opened. A line whose number is there already is not written again: who
    makes the lines anew after a crash need not know how far the file had come.

    Args:
        path: The file; it is made when the first line is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None
        self.last = self._whole() if path.is_file() else 0

    def write(self, lines: list[tuple[int, str]]) -> list[tuple[int, str]]:
        """Write lines that are not there yet, and return them.

        Raises:
            ResumeError: Lines before them are missing.
            HwdsError: The file cannot be written; it ends with a whole line.
        """
        new = [(number, text) for number, text in lines if number > self.last]
        if not new:
            return []
        if new[0][0] != self.last + 1:
            raise ResumeError(f"{self.path}: its lines {self.last + 1} to {new[0][0] - 1} are missing.")
        self._append("".join(f"{text}\n" for _, text in new).encode())
        self.last = new[-1][0]
        return new

    def require(self, written: int) -> None:
        """Refuse a file that has other lines than so many were made.

        Raises:
            ResumeError: With how many it has.
        """
        if self.last != written:
            raise ResumeError(f"{self.path}: ends with line {self.last}, where {written} were written; take another folder.")

    def sync(self) -> None:
        """Wait until the disk has all lines."""
        if self._file is not None:
            os.fsync(self._file)

    def after(self, number: int) -> list[tuple[int, str]]:
        """Return the lines after a number."""
        if not self.path.is_file():
            return []
        with self.path.open(encoding="utf-8") as file:
            numbered = ((place, line.rstrip("\n")) for place, line in enumerate(file, 1))
            return [(place, line) for place, line in numbered if place > number]

    def close(self) -> None:
        """Let the file go."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _append(self, data: bytes) -> None:
        try:
            if self._file is None:
                self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            size = os.fstat(self._file).st_size
            written = 0
            while written < len(data):
                written += os.write(self._file, memoryview(data)[written:])
        except OSError as error:
            if self._file is not None:
                os.ftruncate(self._file, size)
            raise HwdsError(f"{self.path}: cannot be written: {error.strerror or error}.") from error

    def _whole(self) -> int:
        """Cut a torn line off the end; return the number of the last whole one.

        Raises:
            ResumeError: It has no number.
        """
        with self.path.open("rb+") as file:
            size = file.seek(0, os.SEEK_END)
            tail, start = b"", size
            while start > 0 and tail.count(b"\n") < 2:
                step = min(BLOCK, start)
                start -= step
                file.seek(start)
                tail = file.read(step) + tail
            whole = tail.rpartition(b"\n")
            if whole[2]:
                file.truncate(size - len(whole[2]))
        last = whole[0].rpartition(b"\n")[2]
        try:
            return int(json.loads(last)["number"]) if last else 0
        except (ValueError, LookupError, TypeError) as error:
            raise ResumeError(f"{self.path}: its last line has no number; take another folder.") from error
