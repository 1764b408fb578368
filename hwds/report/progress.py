"""The one line that tells how a run goes."""

from __future__ import annotations

import sys
import time


class ProgressLine:
    """Cells done, time left and the last score, on one line of a terminal; silent where there is none."""

    def __init__(self) -> None:
        self.cells = self.done = self.cached = self.failed = 0
        self.began = time.monotonic()
        self.last = ""
        self.visible = sys.stderr.isatty()

    def begin(self, cells: int, cached: int) -> None:
        """So many more cells, and how many of them are there already."""
        self.cells, self.done, self.cached = self.cells + cells, self.done + cached, self.cached + cached
        self._show()

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
        """Clear the line."""
        if self.visible:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def line(self) -> str:
        """The line itself."""
        computed, left = self.done - self.cached, self.cells - self.done
        seconds = (time.monotonic() - self.began) / computed * left if computed else None
        parts = [f"cells {self.done}/{self.cells}"]
        parts += [f"{self.cached} kept"] if self.cached else []
        parts += [f"{self.failed} failed"] if self.failed else []
        parts += (
            [f"about {seconds / 60:.0f} min left" if seconds > 90 else f"about {seconds:.0f} s left"]
            if seconds and left
            else []
        )
        return " · ".join([*parts, self.last] if self.last else parts)

    def _show(self) -> None:
        if self.visible:
            print(f"\r\033[K{self.line()[:100]}", end="", file=sys.stderr, flush=True)
