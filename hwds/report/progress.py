"""The progress of a run, a sweep or a study: one line of a terminal, or else plain lines at
intervals, and a file.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any

from hwds.core.errors import HwdsError
from hwds.evaluation.workers import GIB, resident_bytes
from hwds.results.formatting import counted, duration
from hwds.results.index import RunProgress
from hwds.results.records import latest_losses

FILE_SECONDS = 1.0
"""Seconds between two updates of the file."""

WAITS = "waits for another run's cells"

PLAIN, PLAIN_SHARE = 30.0, 0.05
"""Seconds between two plain lines, and the share of the elapsed time that they grow to."""

OFTEN = "HWDS_PROGRESS"
"""The variable with other seconds between two plain lines: a notebook shows each in place."""

PLAIN_START = "hwds: after "

REDRAWN, BAR = 0.1, 20
"""Seconds between two drawings of the line in place, and the letters of its bar."""


def rewrites() -> bool:
    """Return whether a line can be drawn again in place: both streams are a terminal's, and it
    knows control sequences.
    """
    terminals = sys.stdout.isatty() and sys.stderr.isatty()
    return terminals and os.environ.get("TERM") != "dumb"


def silent() -> bool:
    """Return whether no progress is wanted: the command is quiet, or only its output is
    redirected.
    """
    quiet = getattr(sys.stdout, "name", "") == os.devnull
    return quiet or (sys.stderr.isatty() and not sys.stdout.isatty())


def draw_in_place(text: str, share: float) -> None:
    """Draw a bar and a text over the last line of the terminal."""
    from rich.console import Console
    from rich.text import Text

    full = round(BAR * min(share, 1.0))
    line = Text.assemble(("━" * full, "green"), ("━" * (BAR - full), "dim"), f" {text}")
    console = Console(stderr=True)
    line.truncate(console.width - 1, overflow="ellipsis")
    with console.capture() as drawn:
        console.print(line, end="", highlight=False)
    print(f"\r\033[K{drawn.get()}", end="", file=sys.stderr, flush=True)


class Heartbeat:
    """A thread that calls `beat`, the first time after a pause; it may be stopped and started
    again.

    Args:
        beat: The function that is called.
        pause: Seconds between two calls.
        share: A pause is at least this share of the time since the beginning, so that a long run
            has few beats.
    """

    def __init__(self, beat: Callable[[], None], pause: float, share: float = 0.0) -> None:
        self.beat, self.pause, self.share = beat, pause, share
        self.began = self.last = time.monotonic()
        self.over = Event()
        self.thread: Thread | None = None

    def start(self) -> None:
        """Start or continue; the time while it was stopped counts."""
        if self.thread is None:
            self.over.clear()
            self.thread = Thread(target=self._beat, daemon=True)
            self.thread.start()

    def stop(self) -> None:
        """Stop, after the current call has ended."""
        if self.thread is not None:
            self.over.set()
            self.thread.join()
            self.thread = None

    def _beat(self) -> None:
        while not self.over.wait(self._wait()):
            self.last = time.monotonic()
            self.beat()

    def _wait(self) -> float:
        pause = max(self.pause, self.share * (self.last - self.began))
        return max(self.last + pause - time.monotonic(), 0.0)


class ProgressLine:
    """The progress line of a run: finished cells, time left and the last score.

    Args:
        unit: The plural of what is counted.
    """

    def __init__(self, unit: str = "cells") -> None:
        self.unit, self.drawn = unit, 0.0
        self.cells = self.done = self.cached = self.failed = 0
        self.began = self.ended_last = time.monotonic()
        self.last = ""
        self.waiting = False
        self.value: float | None = None
        self.visible = rewrites()
        self.folder: Path | None = None
        self.last_state: tuple[object, ...] = ()
        self.beats = [Heartbeat(self._write_file, FILE_SECONDS)]
        if not (self.visible or silent()):
            pause = float(os.environ.get(OFTEN, PLAIN))
            self.beats += [Heartbeat(self._print_line, pause, PLAIN_SHARE)]

    def record_in(self, folder: Path) -> None:
        """Record the progress in a folder until the end."""
        self.folder, self.last_state = folder, ()

    def begin(self, cells: int, cached: int) -> None:
        """Add so many cells, of which some are cached."""
        self.cells, self.done, self.cached = (
            self.cells + cells,
            self.done + cached,
            self.cached + cached,
        )
        self.start()

    def start(self) -> None:
        """Show the progress from now on."""
        self._show()
        for beat in self.beats:
            beat.start()

    def finish_cell(self, error: str) -> None:
        """Count a finished cell; `error` is empty where it succeeded."""
        self.waiting = False
        self.done += 1
        self.ended_last = time.monotonic()
        self.failed += bool(error)
        self._show()

    def take_cell(self) -> None:
        """Count a cell that another process has computed."""
        self.waiting = False
        self.done += 1
        self.cached += 1
        self._show()

    def wait(self) -> None:
        """Show that all cells that are left are computed by other processes."""
        self.waiting = True
        self._show()

    def show_score(self, model: str, fold: str, metric: str, value: float | None) -> None:
        """Show the score of a model's complete fold."""
        self.value = value
        self.last = f"{model} at {fold}: {metric} " + (
            "undefined" if value is None else f"{value:.3f}"
        )
        self._show()

    def end(self) -> None:
        """Clear the line and write the file a last time."""
        for beat in self.beats:
            beat.stop()
        self._write_file()
        self.folder = None
        self.clear()

    def clear(self) -> None:
        """Clear the line, so that other lines can be printed."""
        if self.visible:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
        self.drawn = 0.0

    @property
    def left(self) -> float | None:
        """The estimated seconds left.

        None before any cell was computed, while others compute all that is left, and once a cell
        takes longer than all were to take.
        """
        computed, now = self.done - self.cached, time.monotonic()
        if not computed or self.waiting:
            return None
        left = (self.ended_last - self.began) / computed * (self.cells - self.done) - (
            now - self.ended_last
        )
        return left if left > 0 else None

    def line(self) -> str:
        """Return the text of the line."""
        left = self.left
        parts = [f"{self.unit} {self.done}/{self.cells}" if self.cells else "being prepared"]
        parts += [f"{self.cached} kept"] if self.cached else []
        parts += [f"{self.failed} failed"] if self.failed else []
        parts += (
            [f"about {left / 60:.0f} min left" if left > 90 else f"about {left:.0f} s left"]
            if left
            else []
        )
        return " · ".join([*parts, self.latest] if self.latest else parts)

    def progress(self) -> RunProgress:
        """Return the current progress for the file."""
        seconds = time.monotonic() - self.began
        memory = resident_bytes(os.getpid()) / GIB or None
        counts = (
            self.done,
            self.cells,
            self.failed,
            time.time() - seconds,
            seconds,
            self.left,
            self.summary,
            self.value,
        )
        return RunProgress(*counts, None if memory is None else round(memory, 3), self.losses())

    @property
    def latest(self) -> str:
        """The last score, or what it waits for."""
        return WAITS if self.waiting else self.last

    @property
    def summary(self) -> str:
        """The text in the file beside the numbers."""
        return self.latest

    def losses(self) -> dict[str, Any]:
        """Return the last losses that a fit of the folder has reported."""
        return {} if self.folder is None else latest_losses(self.folder)

    def _show(self) -> None:
        now = time.monotonic()
        if self.visible and now - self.drawn >= REDRAWN:
            draw_in_place(self.line(), self.done / (self.cells or 1))
            self.drawn = now

    def _print_line(self) -> None:
        print(
            f"{PLAIN_START}{duration(time.monotonic() - self.beats[-1].began)}: {self.line()}",
            file=sys.stderr,
            flush=True,
        )

    def _write_file(self) -> None:
        """Write the file, unless all cells are done or nothing has changed.

        No run fails because of it: a folder that cannot be written is not tried again.
        """
        if self.folder is None or self.done == self.cells:
            return
        now = self.progress()
        state = (now.done, now.total, now.failed, now.score, now.losses)
        if state == self.last_state:
            return
        try:
            now.write(self.folder)
        except HwdsError:
            self.folder = None
        self.last_state = state


class SweepLine(ProgressLine):
    """The progress line of a sweep: finished trials, cells, time left and the best score so far.

    Args:
        trials: The number of trials.
        metric: The metric that they are compared by.
        better: `low` or `high`.
        windows: The inner windows of a finished trial.
    """

    def __init__(self, trials: int, metric: str, better: str, windows: int) -> None:
        super().__init__()
        self.trials, self.metric, self.sign, self.windows = (
            trials,
            metric,
            -1.0 if better == "high" else 1.0,
            windows,
        )
        self.ended = 0
        self.best: tuple[float, str, float] | None = None

    def trial(
        self, label: str, status: str, folds: int, value: float | None, cells_saved: int
    ) -> None:
        """A trial was scored after so many windows.

        `cells_saved` cells of it need not be computed.
        """
        self.cells -= cells_saved
        self.ended += status != "unfinished"
        if status == "finished" and value is not None:
            candidate = (self.sign * value, label, value)
            self.best = candidate if self.best is None or candidate[0] < self.best[0] else self.best
            self.value = self.best[2]
            self.last = f"best {self.metric} {self.best[2]:.4g} ({self.best[1]})"
        self._show()

    @property
    def summary(self) -> str:
        """The numbers of ended and of all trials, and the best score so far."""
        ended = f"{self.ended:,} of {counted(self.trials, 'trials')}"
        return f"{ended}, {self.latest}" if self.latest else ended

    def line(self) -> str:
        """Return the text of the line."""
        return f"trials {self.ended}/{self.trials} · {super().line()}"


class StudyLine(ProgressLine):
    """The progress line of a study: finished runs, the current run, and its cells.

    Args:
        runs: The number of runs.
    """

    def __init__(self, runs: int) -> None:
        super().__init__()
        self.runs, self.ended, self.failures, self.now = runs, 0, 0, ""

    def begin_run(self, experiment: str, seed: int) -> None:
        """Show the start of a run."""
        self.now, self.last, self.failed = f"{experiment}, seed {seed}", "", 0
        self.cells = self.done = self.cached = 0
        self.began = time.monotonic()
        self.start()

    def end_run(self, error: str = "") -> None:
        """Count a finished run; `error` is empty where it succeeded."""
        self.ended += 1
        self.failures += bool(error)

    def line(self) -> str:
        """Return the text of the line."""
        lost = f" · {self.failures} failed" if self.failures else ""
        return f"runs {self.ended}/{self.runs}{lost} · {self.now} · {super().line()}"
