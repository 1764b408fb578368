"""Beside a run: its trackers in processes of their own, so that none of them can hold up, break or fill a run.

A process loads its library while the run computes, and mirrors the folder when the run has written it. The run waits as long
as it sees that something happens; after `SILENCE` seconds of nothing, or of a server, it leaves the process to itself, and
`hwds sync` makes good what is not whole.
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

from hwds.errors import HwdsError
from hwds.recipe import canonical
from hwds.results.secrets import without_secrets
from hwds.tracking.base import Tracker
from hwds.tracking.mirroring import SENDING, ask, settled

SILENCE = 1.5
"""Seconds without a sign of life after which a run does not wait any longer."""


@dataclass(eq=False)
class Mirroring:
    """One tracker's process.

    Attributes:
        tracker: Which.
        log: What its library prints.
        process: Its process.
        lines: What it has said and nobody has read yet; None at the end.
        heard: When it last said something.
    """

    tracker: Tracker
    log: Path
    process: subprocess.Popen[str]
    lines: SimpleQueue[dict[str, Any] | None] = field(default_factory=SimpleQueue)
    heard: float = field(default_factory=time.monotonic)

    @classmethod
    def start(cls, tracker: Tracker, folder: Path) -> Mirroring:
        """Start the process, and hand it the tracker."""
        log = folder / f"tracking_{tracker.name}.log"
        words = [sys.executable, "-m", "hwds.tracking.child"]
        with log.open("w", encoding="utf-8") as errors:
            pipe = subprocess.PIPE
            process = subprocess.Popen(
                words, stdin=pipe, stdout=pipe, stderr=errors, text=True, encoding="utf-8", start_new_session=True
            )
        own = cls(tracker, log, process)
        Thread(target=own._listen, daemon=True).start()
        own.tell(canonical(tracker) | {"name": tracker.name})
        return own

    def tell(self, data: Any) -> None:
        """A line of its standard input; one that has died reads none."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(f"{json.dumps(data)}\n")
            self.process.stdin.flush()
        except OSError:  # its end is told by `lines`
            return

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.heard = time.monotonic()
            self.lines.put(json.loads(line))
        self.lines.put(None)

    def outcome(self, asked: float) -> tuple[bool, str]:
        """Whether it is whole, and what is to be said; waits while something happens, for a server no longer than `SILENCE`.

        Args:
            asked: When the folder was told to it.
        """
        step, begun = "starting", asked
        while True:
            last = begun if step == SENDING else max(self.heard, asked)
            try:
                told = self.lines.get(timeout=max(last + SILENCE - time.monotonic(), 0.01))
            except Empty:
                what = "no end" if step == SENDING else "no sign of life"
                return False, f"{what} for {SILENCE:g} s while {step}; it goes on behind the run"
            if told is None:
                return False, f"its process ended while {step}; {self.log.name} says more"
            if "failed" in told or "done" in told:
                return "done" in told, str(told.get("done") or told.get("failed"))
            if "step" in told:
                step, begun = str(told["step"]), max(time.monotonic(), asked)

    def tidy(self, whole: bool) -> None:
        """Take away the log of one that went well or said nothing, and every secret from that of another."""
        with suppress(subprocess.TimeoutExpired):  # a library that does not end is of no account
            self.process.wait(0.25)
        said = self.log.read_text(encoding="utf-8", errors="replace") if self.log.is_file() else ""
        if whole or not (said or self.process.poll() is None):
            self.log.unlink(missing_ok=True)
        elif said != without_secrets(said):
            self.log.write_text(without_secrets(said), encoding="utf-8")


Say = Callable[[str], None]


@contextmanager
def mirrored(tracker: Any, folder: Path, say: Say, warn: Say) -> Iterator[None]:
    """Mirror what the block writes into the folder; what goes wrong with that is a warning.

    Args:
        tracker: The recipe; `none` mirrors nothing.
        folder: Of the run or sweep.
        say: Told where it lies.
        warn: Told what went wrong.
    """
    parts = tracker.parts()
    started = [_started(part, folder, warn) for part in parts]
    try:
        yield
    except BaseException:
        _give_up([own for own in started if own])
        raise
    running = [own or _started(part, folder, warn) for part, own in zip(parts, started, strict=True)]
    _finish([own for own in running if own], folder, say, warn)


def _started(tracker: Tracker, folder: Path, warn: Say) -> Mirroring | None:
    """Its process; None where it has all already, or cannot be started."""
    if settled(tracker, folder):
        return None
    try:
        ask(tracker, folder)
        return Mirroring.start(tracker, folder)
    except (OSError, HwdsError) as error:
        warn(_warning(tracker, str(error)))
        return None


def _finish(running: Sequence[Mirroring], folder: Path, say: Say, warn: Say) -> None:
    """Tell all of them that the folder is written, then hear what each says."""
    for own in running:
        own.tell(str(folder))
    asked = time.monotonic()
    for own in running:
        whole, said = own.outcome(asked)
        own.tidy(whole)
        (say if whole else warn)(said if whole else _warning(own.tracker, said))


def _give_up(running: Sequence[Mirroring]) -> None:
    for own in running:
        own.process.kill()
        own.process.wait()
        own.tidy(whole=True)


def _warning(tracker: Tracker, reason: str) -> str:
    text = without_secrets(reason).rstrip(".")
    return f"tracker {tracker.name}: {text}. The run is whole; `hwds sync` makes good what is missing there."
