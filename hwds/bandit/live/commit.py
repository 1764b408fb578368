"""Commit: when what was written is on the disk, and how long a call waits for that."""

from __future__ import annotations

import threading
import time

from hwds.core.errors import HwdsError
from hwds.eventlog.log import EventLog


class Commit:
    """Brings the entries of a log to the disk: each before its call returns, or within so many milliseconds.

    Calls of several threads that wait at once share one wait for the disk. An end of the process alone, such as `kill -9`,
    loses nothing of what was acknowledged either way; the milliseconds are those that a loss of power may take.

    Args:
        log: The log.
        lose: The milliseconds; 0 waits for the disk in each call.
    """

    def __init__(self, log: EventLog, lose: float) -> None:
        self._log, self._lose = log, lose / 1000.0
        self._failed: HwdsError | None = None
        self._ended = threading.Event()
        self._since = time.monotonic()
        self._writer = threading.Thread(target=self._write, name="hwds-commit", daemon=True) if lose else None
        if self._writer is not None:
            self._writer.start()

    def check(self) -> None:
        """Refuse to go on where the disk may lack what was acknowledged.

        Raises:
            HwdsError: It could not be written.
        """
        if self._failed is not None:
            raise HwdsError(f"{self._failed} Begin the policy again with Policy.live.")

    def settle(self, number: int) -> None:
        """Wait until the disk has the entries up to a number, or until none that is older than the bound waits.

        Raises:
            HwdsError: It could not be written: the policy must be begun again.
        """
        if self._writer is None or time.monotonic() - self._since > self._lose:
            self._sync(number)
        self.check()

    def close(self) -> None:
        """Bring all entries to the disk, and end."""
        self._ended.set()
        if self._writer is not None:
            self._writer.join()
        if self._failed is None:
            self._sync(self._log.last)
        self.check()

    def _write(self) -> None:
        while not self._ended.wait(self._lose / 2) and self._failed is None:
            self._sync(self._log.last)

    def _sync(self, number: int) -> None:
        begun = time.monotonic()
        try:
            self._log.sync(number)
        except HwdsError as error:
            self._failed = error
            return
        self._since = max(self._since, begun)
