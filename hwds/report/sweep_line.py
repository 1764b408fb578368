"""The one line that tells how a sweep goes."""

from __future__ import annotations

from hwds.report.progress import ProgressLine
from hwds.results.wording import counted


class SweepLine(ProgressLine):
    """Trials done, cells, time left and the best score so far.

    Args:
        trials: How many.
        metric: What they are compared by.
        better: `low` or `high`.
        windows: Inner windows of a trial that finishes.
    """

    def __init__(self, trials: int, metric: str, better: str, windows: int) -> None:
        super().__init__()
        self.trials, self.metric, self.sign, self.windows = trials, metric, -1.0 if better == "high" else 1.0, windows
        self.ended = 0
        self.best: tuple[float, str, float] | None = None

    def trial(self, label: str, status: str, folds: int, value: float | None, spared: int) -> None:
        """A trial was scored after so many windows; `spared` cells of it need not be computed."""
        self.cells -= spared
        self.ended += status != "unfinished"
        if status == "finished" and value is not None:
            own = (self.sign * value, label, value)
            self.best = own if self.best is None or own[0] < self.best[0] else self.best
            self.last = f"best {self.metric} {self.best[2]:.4g} ({self.best[1]})"
        self._show()

    @property
    def told(self) -> str:
        """Trials that ended, of how many, and the best score so far."""
        ended = f"{self.ended:,} of {counted(self.trials, 'trials')}"
        return f"{ended}, {self.last}" if self.last else ended

    def line(self) -> str:
        """The line itself."""
        return f"trials {self.ended}/{self.trials} · {super().line()}"
