"""The trackers of a run in processes of their own, so that none of them can block or break the run.

A process loads its library while the run computes, shows what is new of it, and mirrors the folder when the run has written
it. The run waits as long as the process is active; after `SILENCE` seconds without activity, or with a server, it stops
waiting, and `hwds sync` completes the mirror later.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from hwds.core.errors import HwdsError
from hwds.core.recipe import canonical
from hwds.core.secrets import without_secrets
from hwds.tracking.mirroring import SENDING, request, settled
from hwds.tracking.trackers.base import Tracker

SILENCE = 1.5
"""Seconds without a sign of life after which a run stops waiting."""

MOMENT = 0.5
"""Seconds in which a process may mark a run that has failed."""


@dataclass(eq=False)
class Mirroring:
    """One tracker's process.

    Attributes:
        tracker: The tracker.
        log: The file of its library's output.
        process: Its process.
        lines: Its messages that are not read yet; None at the end.
        heard: The time of its last message.
    """

    tracker: Tracker
    log: Path
    process: subprocess.Popen[str]
    lines: SimpleQueue[dict[str, Any] | None] = field(default_factory=SimpleQueue)
    heard: float = field(default_factory=time.monotonic)

    @classmethod
    def start(cls, tracker: Tracker, folder: Path) -> Mirroring:
        """Start the process, and send it the tracker."""
        log = folder / f"tracking_{tracker.name}.log"
        words = [sys.executable, "-m", "hwds.tracking.child"]
        with log.open("w", encoding="utf-8") as errors:
            pipe = subprocess.PIPE
            process = subprocess.Popen(
                words, stdin=pipe, stdout=pipe, stderr=errors, text=True, encoding="utf-8", start_new_session=True
            )
        started = cls(tracker, log, process)
        Thread(target=started._listen, daemon=True).start()
        started.send(canonical(tracker) | {"name": tracker.name})
        started.send(str(folder))
        return started

    def send(self, data: Any) -> None:
        """Write a line to its standard input; one that has died reads none."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(f"{json.dumps(data)}\n")
            self.process.stdin.flush()
        except OSError:  # `lines` ends with None
            return

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.heard = time.monotonic()
            self.lines.put(json.loads(line))
        self.lines.put(None)

    def outcome(self, since: float) -> tuple[bool, str]:
        """Return whether the mirror is complete, and a message for the user.

        It waits while the process is active, for a server no longer than `SILENCE`.

        Args:
            since: The time when it heard that the run has ended.
        """
        step, begun = "starting", since
        while True:
            last = begun if step == SENDING else max(self.heard, since)
            try:
                message = self.lines.get(timeout=max(last + SILENCE - time.monotonic(), 0.01))
            except Empty:
                what = "no end" if step == SENDING else "no sign of life"
                return False, f"{what} for {SILENCE:g} s while {step}; it goes on behind the run"
            if message is None:
                return False, f"its process ended while {step}; {self.log.name} says more"
            if "failed" in message or "done" in message:
                return "done" in message, str(message.get("done") or message.get("failed"))
            if "step" in message:
                step, begun = str(message["step"]), max(time.monotonic(), since)

    def tidy(self, whole: bool) -> None:
        """Delete the log after success or without output; otherwise remove every secret from it."""
        with suppress(subprocess.TimeoutExpired):  # a library that does not end is ignored
            self.process.wait(0.25)
        printed = self.log.read_text(encoding="utf-8", errors="replace") if self.log.is_file() else ""
        if whole or not (printed or self.process.poll() is None):
            self.log.unlink(missing_ok=True)
        elif printed != without_secrets(printed):
            self.log.write_text(without_secrets(printed), encoding="utf-8")


Say = Callable[[str], None]


@contextmanager
def mirrored(tracker: Tracker, folder: Path, say: Say, warn: Say) -> Iterator[None]:
    """Mirror the files that the block writes into the folder; a failure to mirror is a warning.

    Args:
        tracker: The recipe; `none` mirrors nothing.
        folder: The folder of the run or sweep.
        say: Called with the location of the mirror.
        warn: Called with the failure.
    """
    parts = tracker.parts()
    started = [_started(part, folder, warn) for part in parts]
    try:
        yield
    except BaseException:
        _give_up([process for process in started if process])
        raise
    running = [process or _started(part, folder, warn) for part, process in zip(parts, started, strict=True)]
    _finish([process for process in running if process], say, warn)


def _started(tracker: Tracker, folder: Path, warn: Say) -> Mirroring | None:
    """Return the tracker's process; None where the mirror is complete already, or the process cannot be started."""
    if settled(tracker, folder):
        return None
    try:
        request(tracker, folder)
        return Mirroring.start(tracker, folder)
    except (OSError, HwdsError) as error:
        warn(_warning(tracker, str(error)))
        return None


def _finish(running: Sequence[Mirroring], say: Say, warn: Say) -> None:
    """Tell all processes that the folder has results, then wait for the outcome of each."""
    for process in running:
        process.send(True)
    since = time.monotonic()
    for process in running:
        whole, message = process.outcome(since)
        process.tidy(whole)
        (say if whole else warn)(message if whole else _warning(process.tracker, message))


def _give_up(running: Sequence[Mirroring]) -> None:
    """End the processes; each has a moment to say that the run has no results."""
    for process in running:
        process.send(False)
    for process in running:
        with suppress(subprocess.TimeoutExpired):
            process.process.wait(MOMENT)
        process.process.kill()
        process.process.wait()
        process.tidy(whole=True)


def _warning(tracker: Tracker, reason: str) -> str:
    text = without_secrets(reason).rstrip(".")
    return f"tracker {tracker.name}: {text}. The run is whole; `hwds sync` makes good what is missing there."
