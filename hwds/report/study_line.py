"""The one line that tells how a study goes."""

from __future__ import annotations

import time

from hwds.report.progress import ProgressLine


class StudyLine(ProgressLine):
    """Runs done, what is being run, and its cells.

    Args:
        runs: How many.
    """

    def __init__(self, runs: int) -> None:
        super().__init__()
        self.runs, self.ended, self.lost, self.now = runs, 0, 0, ""

    def run(self, experiment: str, seed: int) -> None:
        """A run begins."""
        self.now, self.last, self.failed = f"{experiment}, seed {seed}", "", 0
        self.cells = self.done = self.cached = 0
        self.began = time.monotonic()
        self.start()

    def ran(self, error: str = "") -> None:
        """It is done; `error` is empty where it succeeded."""
        self.ended += 1
        self.lost += bool(error)

    def line(self) -> str:
        """The line itself."""
        lost = f" · {self.lost} failed" if self.lost else ""
        return f"runs {self.ended}/{self.runs}{lost} · {self.now} · {super().line()}"
