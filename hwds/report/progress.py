"""How a run goes: on one line of a terminal, in a plain line now and then where there is none, and in a file in its folder."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from hwds.errors import HwdsError
from hwds.report.heartbeat import Heartbeat
from hwds.results.going import Going
from hwds.results.wording import duration

OFTEN = 1.0
"""Seconds between two states of the file."""

PLAIN, PLAIN_SHARE = 30.0, 0.05
"""Seconds between two plain lines, and as what share of the elapsed time they grow."""


class ProgressLine:
    """Cells done, time left and the last score."""

    def __init__(self) -> None:
        self.cells = self.done = self.cached = self.failed = 0
        self.began = time.monotonic()
        self.last = ""
        self.visible = sys.stderr.isatty()
        self.folder: Path | None = None
        self.kept: tuple[object, ...] = ()
        self.beats = [Heartbeat(self._keep, OFTEN)]
        self.beats += [] if self.visible else [Heartbeat(self._say, PLAIN, PLAIN_SHARE)]

    def within(self, folder: Path) -> None:
        """From now on until the end the folder has a file that tells how it goes."""
        self.folder, self.kept = folder, ()

    def begin(self, cells: int, cached: int) -> None:
        """So many more cells, and how many of them are there already."""
        self.cells, self.done, self.cached = self.cells + cells, self.done + cached, self.cached + cached
        self.start()

    def start(self) -> None:
        """Say how it goes from now on."""
        self._show()
        for beat in self.beats:
            beat.start()

    def finished(self, error: str) -> None:
        """A cell is done; `error` is empty where it succeeded."""
        self.done += 1
        self.failed += bool(error)
        self._show()

    def scored(self, model: str, fold: str, metric: str, value: float | None) -> None:
        """A model's fold is complete."""
        self.last = f"{model} at {fold}: {metric} " + ("undefined" if value is None else f"{value:.3f}")
        self._show()

    def end(self) -> None:
        """Clear the line; the file stays, as it is now."""
        for beat in self.beats:
            beat.stop()
        self._keep()
        self.folder = None
        if self.visible:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    @property
    def left(self) -> float | None:
        """Seconds that the rest will take; None while nobody knows."""
        computed = self.done - self.cached
        return (time.monotonic() - self.began) / computed * (self.cells - self.done) if computed else None

    def line(self) -> str:
        """The line itself."""
        left = self.left
        parts = [f"cells {self.done}/{self.cells}" if self.cells else "being prepared"]
        parts += [f"{self.cached} kept"] if self.cached else []
        parts += [f"{self.failed} failed"] if self.failed else []
        parts += [f"about {left / 60:.0f} min left" if left > 90 else f"about {left:.0f} s left"] if left else []
        return " · ".join([*parts, self.last] if self.last else parts)

    def going(self) -> Going:
        """What the file says."""
        seconds = time.monotonic() - self.began
        return Going(self.done, self.cells, self.failed, time.time() - seconds, seconds, self.left, self.told)

    @property
    def told(self) -> str:
        """What the file says beside the numbers."""
        return self.last

    def _show(self) -> None:
        if self.visible:
            print(f"\r\033[K{self.line()[:100]}", end="", file=sys.stderr, flush=True)

    def _say(self) -> None:
        print(f"hwds: after {duration(time.monotonic() - self.beats[-1].began)}: {self.line()}", file=sys.stderr, flush=True)

    def _keep(self) -> None:
        """Write the file, where something is to be done and it says something else.

        No run fails by it: where it cannot be written it is not tried again.
        """
        state = (self.done, self.cells, self.failed, self.told)
        if self.folder is None or self.done == self.cells or state == self.kept:
            return
        try:
            self.going().write(self.folder)
        except HwdsError:
            self.folder = None
        self.kept = state
