"""A process that mirrors one folder for `subprocess_mirror`, and reports its progress on its standard output.

It reads two lines of JSON, the tracker and then the folder, and writes lines of JSON: `alive`, `step`, then `done` or `failed`.
What libraries print goes to a log, not to the run's terminal.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from threading import Lock, Thread, Timer
from typing import IO, Any

from hwds.core.errors import HwdsError
from hwds.core.secrets import without_secrets

BEAT = 0.25
"""Seconds between two checks whether this process is active."""

WORK = 0.05
"""The share of a beat that an active process spends computing."""

LONGEST = 3600
"""Seconds that one process may live after the run that started it."""


class Channel:
    """The pipe to the run; nothing is written after the run has ended."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream, self._lock, self._open = stream, Lock(), True

    def write(self, **message: Any) -> None:
        """Write one line."""
        with self._lock:
            try:
                if self._open:
                    print(json.dumps(message), file=self._stream, flush=True)
            except OSError:  # the run did not wait
                self._open = False


def main() -> int:
    """Mirror the folder that the standard input names; return 0 where that succeeded."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # a library's prints go to the log
    channel = Channel(stream)
    Thread(target=_beat, args=(channel,), daemon=True).start()
    try:
        message = _mirrored(channel)
    except HwdsError as error:
        channel.write(failed=without_secrets(str(error)))
        return 1
    except Exception as error:  # of a library, which may raise anything
        channel.write(failed=without_secrets(f"{type(error).__name__}: {error}").splitlines()[0][:300])
        raise
    if message:
        channel.write(done=without_secrets(message))
    return 0


def _mirrored(channel: Channel) -> str:
    """Mirror the folder and return its location; empty where the run ended without tables."""
    from hwds.config.build import build
    from hwds.tracking.mirroring import mirror
    from hwds.tracking.trackers.base import Tracker

    line = sys.stdin.readline()
    if not line:
        return ""
    tracker = build("tracker", "tracker", json.loads(line))
    assert isinstance(tracker, Tracker)
    channel.write(step="loading")
    tracker.begin()
    channel.write(step="ready")
    folder = sys.stdin.readline()
    if not folder:
        return ""
    end = Timer(LONGEST, os._exit, (1,))
    end.daemon = True
    end.start()
    return mirror(tracker, Path(json.loads(folder)), send=tracker.sends(), step=lambda word: channel.write(step=word))


def _beat(channel: Channel) -> None:
    """Send `alive` while the process computes, reads or writes; while it waits for a server it does none of these."""
    before = _done()
    while True:
        time.sleep(BEAT)
        now = _done()
        if now[0] - before[0] >= WORK * BEAT or now[1] > before[1]:
            channel.write(alive=round(now[0], 2))
        before = now


def _done() -> tuple[float, int]:
    """Return the seconds of CPU time, and the blocks read from a disk or written to it."""
    used = getrusage(RUSAGE_SELF)
    return time.process_time(), used.ru_inblock + used.ru_oublock


if __name__ == "__main__":
    sys.exit(main())
