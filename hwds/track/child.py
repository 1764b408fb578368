"""A process that mirrors one folder for `subprocess_mirror`, and reports its progress on its
standard output.

It reads lines of JSON: the tracker, the folder, and when the run has ended whether it has results.
While the run computes it shows what is new once a second. It writes lines of JSON: `alive`, `step`,
then `done` or `failed`. What libraries print goes to a log, not to the run's terminal.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from queue import Empty, SimpleQueue
from resource import RUSAGE_SELF, getrusage
from threading import Lock, Thread, Timer
from typing import IO, Any

from hwds.core.errors import HwdsError
from hwds.core.secrets import without_secrets

BEAT_SECONDS = 0.25
"""Seconds between two checks whether this process is active."""

WORK_SHARE = 0.05
"""The share of a beat that an active process spends computing."""

LOOK_SECONDS = 1.0
"""Seconds between two looks at a run that computes."""

LONGEST_SECONDS = 3600
"""Seconds that one process may live after the run that started it."""


class ProgressChannel:
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
    channel = ProgressChannel(stream)
    Thread(target=_beat, args=(channel,), daemon=True).start()
    try:
        message = _mirror_folder(channel)
    except HwdsError as error:
        channel.write(failed=without_secrets(str(error)))
        return 1
    except Exception as error:  # of a library, which may raise anything
        channel.write(
            failed=without_secrets(f"{type(error).__name__}: {error}").splitlines()[0][:300]
        )
        raise
    if message:
        channel.write(done=without_secrets(message))
    return 0


def _mirror_folder(channel: ProgressChannel) -> str:
    """Mirror the folder and return its location; empty where the run ended without tables."""
    from hwds.core.config import build
    from hwds.track.mirroring import Follower, mirror
    from hwds.track.trackers.base import Tracker

    lines = InputLines(sys.stdin)
    tracker = build("tracker", "tracker", lines.take() or {})
    assert isinstance(tracker, Tracker)
    folder = Path(str(lines.take()))
    channel.write(step="loading")
    tracker.begin()
    channel.write(step="ready")
    follower = Follower(tracker, folder)
    while (whole := lines.take(LOOK_SECONDS)) is NO_LINE_YET:
        follower.look()
    if not whole:
        follower.abandon()
        return ""
    end = Timer(LONGEST_SECONDS, os._exit, (1,))
    end.daemon = True
    end.start()
    step, following = (lambda word: channel.write(step=word)), follower.following
    return (
        mirror(tracker, folder, send=tracker.sends(), step=step, following=following)
        + follower.remark
    )


NO_LINE_YET = object()
"""Stands for a line that has not come yet."""


class InputLines:
    """The lines of a stream as they come.

    Args:
        stream: Whose lines are JSON.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._lines: SimpleQueue[str] = SimpleQueue()
        Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self._lines.put(line)
        self._lines.put("")

    def take(self, seconds: float | None = None) -> Any:
        """Return the value of the next line, None at the end.

        `NO_LINE_YET` where none has come within so many seconds.
        """
        try:
            line = self._lines.get(timeout=seconds)
        except Empty:
            return NO_LINE_YET
        return json.loads(line) if line else None


def _beat(channel: ProgressChannel) -> None:
    """Send `alive` while the process computes, reads or writes.

    While it waits for a server it does none of these.
    """
    before = _work_done()
    while True:
        time.sleep(BEAT_SECONDS)
        now = _work_done()
        if now[0] - before[0] >= WORK_SHARE * BEAT_SECONDS or now[1] > before[1]:
            channel.write(alive=round(now[0], 2))
        before = now


def _work_done() -> tuple[float, int]:
    """Return the seconds of CPU time, and the blocks read from a disk or written to it."""
    used = getrusage(RUSAGE_SELF)
    return time.process_time(), used.ru_inblock + used.ru_oublock


if __name__ == "__main__":
    sys.exit(main())
