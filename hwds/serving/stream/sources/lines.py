"""JSON lines of a file, which goes on where it was read to, or of the standard input."""

from __future__ import annotations

import os
import select
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar
from zlib import crc32

from hwds.core.errors import HwdsError, ResumeError
from hwds.serving.stream.readings import LONGEST
from hwds.serving.stream.sources.base import Batch, plain_lines

BLOCK = 1 << 18
PAUSE = 0.2
"""Seconds after which a file that had no more is read again, and a stop is noticed."""

WITNESS = 64
"""Bytes before a position by which a file is known again."""


class JsonLines:
    """Lines of a file or of the standard input.

    A position is a number of bytes. The output of a pipe cannot be read again.

    Args:
        path: The file; None for the standard input.
        follow: Whether to wait for more lines at the end of the file.

    Raises:
        HwdsError: There is no such file.
    """

    ends: ClassVar[bool] = True

    def __init__(self, path: Path | None, *, follow: bool = False) -> None:
        self._path, self._follow = path, follow
        self.name = str(path.resolve()) if path is not None else "-"
        try:
            self._file = 0 if path is None else os.open(path, os.O_RDONLY)
        except OSError as error:
            raise HwdsError(f"stream: --from {path}: {error.strerror}.") from error
        self._regular = stat.S_ISREG(os.fstat(self._file).st_mode)

    def batches(self, position: Any, most: int, stop: threading.Event) -> Iterator[Batch]:
        """Yield lines as they come; as many together as are there."""
        offset = self._sought(position)
        cutter = _Cutter()
        while not stop.is_set():
            ready = self._regular or bool(select.select([self._file], [], [], PAUSE)[0])
            data = os.read(self._file, BLOCK) if ready else None
            if data:
                cutter.feed(data)
            ended = data == b"" and not self._follow
            for lines, used in cutter.cut(most, whole=ended):
                offset += used
                yield Batch(lines, self._position(offset))
                if stop.is_set():
                    return
            if ended:
                return
            if not data:
                yield Batch([], self._position(offset))
                if ready:
                    stop.wait(PAUSE)

    def close(self) -> None:
        """Close the file."""
        if self._path is not None:
            os.close(self._file)

    def _sought(self, position: Any) -> int:
        """Go to a position; return how many bytes are before it.

        Raises:
            ResumeError: The file is not the one that it is a position of.
        """
        if position is None or not self._regular:
            return 0
        offset, witness = position
        if os.fstat(self._file).st_size < offset or self._witness(offset) != witness:
            raise ResumeError(f"stream: --from {self._path}: is not the file of which {offset:,} bytes were read.")
        os.lseek(self._file, offset, os.SEEK_SET)
        return int(offset)

    def _position(self, offset: int) -> list[int] | None:
        return [offset, self._witness(offset)] if self._regular else None

    def _witness(self, offset: int) -> int:
        first = max(0, offset - WITNESS)
        return crc32(os.pread(self._file, offset - first, first))


class _Cutter:
    """Bytes as lines; of one that is too long the beginning."""

    def __init__(self) -> None:
        self._rest = b""
        self._skipped = 0

    def feed(self, data: bytes) -> None:
        """Let bytes come."""
        self._rest += data
        if len(self._rest) > 2 * LONGEST + BLOCK and b"\n" not in self._rest[LONGEST:]:
            kept = self._rest[: LONGEST + 1]
            self._skipped += len(self._rest) - len(kept)
            self._rest = kept

    def cut(self, most: int, *, whole: bool) -> Iterator[tuple[list[str], int]]:
        """Yield lines that have ended, at most so many together, each time with how many bytes they were.

        Args:
            most: Of one time.
            whole: Whether the rest is a line too.
        """
        *parts, rest = self._rest.split(b"\n")
        if whole and rest:
            parts, rest = [*parts, rest], b""
        ended = len(self._rest) - len(rest)
        self._rest = rest
        for first in range(0, len(parts), most):
            some = parts[first : first + most]
            used = min(sum(map(len, some)) + len(some), ended)
            ended -= used
            if self._skipped:
                used, self._skipped = used + self._skipped, 0
            yield [line for part in some for line in plain_lines(part)], used
