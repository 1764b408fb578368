"""Sink: where alerts are sent besides the file that has all of them, one after the other and at least once."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Protocol
from zlib import crc32

from hwds.core.errors import HwdsError, ResumeError
from hwds.core.hashing import digest

FIRST, LONGEST = 0.2, 10.0
"""Seconds before the second attempt, and at most before a later one."""

SIZE = 30
"""Bytes of a note of how many alerts were taken."""


class NotSent(Exception):
    """An alert that was not taken, and why; it is tried again."""


class Sink(Protocol):
    """A place where alerts are sent.

    Attributes:
        name: Its address, without secrets.
    """

    name: str

    def send(self, alert: str, id: str) -> None:
        """Send an alert, and return when it was taken.

        Args:
            alert: A JSON object.
            id: By which the receiver knows it again when it comes twice.

        Raises:
            NotSent: It was not taken.
        """

    def close(self) -> None:
        """Let it go."""


class Delivery:
    """A sink, and how many alerts it has taken, which outlives the process.

    Args:
        sink: The sink.
        folder: Of the stream.
        written: The alerts that there are; a new sink begins after them.
        patience: The seconds for which an alert is tried.

    Raises:
        ResumeError: The note of how many it has taken is damaged.
    """

    def __init__(self, sink: Sink, folder: Path, written: int, patience: float) -> None:
        self._sink, self._patience = sink, patience
        path = folder / f"sent-{digest([sink.name])[:16]}"
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        known = os.read(self._file, SIZE)
        self.sent = written if not known else int(known[:20]) if known[:20].isdigit() else -1
        if known and known != _noted(self.sent):
            os.close(self._file)
            raise ResumeError(f"{path}: is damaged; where it is deleted {sink.name} is sent what comes from now on.")
        self._note()

    def send(self, number: int, alert: str, id: str, stop: threading.Event) -> None:
        """Send an alert, again and again until it is taken or patience ends.

        Raises:
            HwdsError: It is not taken; the stream has to end, for alerts after it must not overtake it.
        """
        pause, waited = FIRST, 0.0
        while True:
            try:
                self._sink.send(alert, id)
            except NotSent as why:
                if waited >= self._patience or stop.wait(pause):
                    refused = f"stream: --to {self._sink.name}: alert {number} was not taken ({why})"
                    raise HwdsError(f"{refused}; nothing is lost, and the same command sends it again.") from why
                waited, pause = waited + pause, min(2 * pause, LONGEST)
            else:
                self.sent = number
                self._note()
                return

    def close(self) -> None:
        """Let the sink go."""
        self._sink.close()
        os.close(self._file)

    def _note(self) -> None:
        os.pwrite(self._file, _noted(self.sent), 0)


def _noted(number: int) -> bytes:
    """Return a number with its checksum."""
    text = b"%020d" % number
    return b"%b %08x\n" % (text, crc32(text))
