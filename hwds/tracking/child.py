"""The other side of `beside`: a process that mirrors one folder, and says how it goes on its standard output.

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

from hwds.errors import HwdsError
from hwds.results.secrets import without_secrets

BEAT = 0.25
"""Seconds between two looks at whether this process does anything."""

WORK = 0.05
"""The share of a beat in which a process that is not stuck computes."""

LONGEST = 3600
"""Seconds that one process may live after the run that started it."""


class Voice:
    """The line to the run; one that has ended is not told any more."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream, self._lock, self._open = stream, Lock(), True

    def say(self, **told: Any) -> None:
        """One line."""
        with self._lock:
            try:
                if self._open:
                    print(json.dumps(told), file=self._stream, flush=True)
            except OSError:  # the run did not wait
                self._open = False


def main() -> int:
    """Mirror what the standard input says; 0 where it is whole."""
    own = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # a library's prints go to the log
    voice = Voice(own)
    Thread(target=_beat, args=(voice,), daemon=True).start()
    try:
        said = _mirrored(voice)
    except HwdsError as error:
        voice.say(failed=without_secrets(str(error)))
        return 1
    except Exception as error:  # of a library, which may raise anything
        voice.say(failed=without_secrets(f"{type(error).__name__}: {error}".splitlines()[0][:300]))
        raise
    if said:
        voice.say(done=without_secrets(said))
    return 0


def _mirrored(voice: Voice) -> str:
    """Where it lies; nothing where the run ended without tables."""
    from hwds.config.check import build
    from hwds.tracking.base import Tracker
    from hwds.tracking.mirroring import mirror

    asked = sys.stdin.readline()
    if not asked:
        return ""
    tracker = build("tracker", "tracker", json.loads(asked))
    assert isinstance(tracker, Tracker)
    voice.say(step="loading")
    tracker.begin()
    voice.say(step="ready")
    folder = sys.stdin.readline()
    if not folder:
        return ""
    end = Timer(LONGEST, os._exit, (1,))
    end.daemon = True
    end.start()
    return mirror(tracker, Path(json.loads(folder)), send=tracker.sends(), step=lambda word: voice.say(step=word))


def _beat(voice: Voice) -> None:
    """Say that something happens, as long as it does: one that waits for a server computes, reads and writes nothing."""
    before = _done()
    while True:
        time.sleep(BEAT)
        now = _done()
        if now[0] - before[0] >= WORK * BEAT or now[1] > before[1]:
            voice.say(alive=round(now[0], 2))
        before = now


def _done() -> tuple[float, int]:
    """Seconds computed, and blocks read from a disk or written to it."""
    used = getrusage(RUSAGE_SELF)
    return time.process_time(), used.ru_inblock + used.ru_oublock


if __name__ == "__main__":
    sys.exit(main())
