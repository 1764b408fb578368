"""Limits: the time and memory of the trials of a sweep, enforced on the processes that compute them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from hwds.core.watching.memory import GIB, resident
from hwds.evaluation.base import Cell
from hwds.execution.job import Outcome

BEAT = 0.05
"""Seconds between two looks at a process, and so the longest that it can be beyond a limit."""

OVER_TIME = "out of time: its windows took more than sweep.seconds_per_trial, and it was ended"
OVER_MEMORY = "out of memory: it held more than sweep.memory_per_trial, and was ended"


def failure(outcome: Outcome) -> str:
    """Return why a trial failed, and in which window; a limit is that of the whole trial, and names no window."""
    limit = outcome.error in (OVER_TIME, OVER_MEMORY)
    return outcome.error if limit else f"window {outcome.cell.fold.name}: {outcome.error}"


@dataclass(frozen=True)
class Limits:
    """The limits of cells: the process of one that exceeds them is killed, and the cell has failed.

    Attributes:
        seconds: What a cell has left of the time of its trial; None for no limit.
        memory: GiB that a process and those it has started may hold resident, libraries included; None for no limit.
        at_once: The most that are computed at the same time; None for as many as there are cores for.
        apart: Whether cells need a process of their own, for threads that are set before any library is loaded.
    """

    seconds: Callable[[Cell], float] | None = None
    memory: float | None = None
    at_once: int | None = None
    apart: bool = False

    @property
    def watched(self) -> bool:
        """Return whether a process has to be watched while it computes."""
        return self.seconds is not None or self.memory is not None

    def exceeded(self, pid: int, cell: Cell, began: float) -> str:
        """Return the limit that a process exceeds, in words; empty where it exceeds none.

        Args:
            pid: Of the process.
            cell: What it computes.
            began: When it did, by `time.monotonic`.
        """
        if self.memory is not None and resident(pid) > GIB * self.memory:
            return OVER_MEMORY
        return OVER_TIME if self.seconds is not None and time.monotonic() - began > self.seconds(cell) else ""


UNLIMITED = Limits()


def limits_of(
    seconds: float | None,
    memory: float | None,
    spent: Callable[[Cell], float],
    *,
    at_once: int | None = None,
    apart: bool = False,
) -> Limits:
    """Return the limits of trials, each of which has so many seconds for all its windows.

    Args:
        seconds: What a trial may take; None for no limit.
        memory: See `Limits`.
        spent: What the trial of a cell has taken already.
        at_once: See `Limits`.
        apart: See `Limits`.
    """
    left = None if seconds is None else lambda cell: seconds - spent(cell)
    return Limits(left, memory, at_once, apart)
