"""Cells one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from hwds.evaluation.base import Cell
from hwds.execution.compute.base import Compute
from hwds.execution.compute_cell import compute_cell
from hwds.execution.job import Job, Outcome
from hwds.execution.limits import UNLIMITED, Limits
from hwds.execution.threads import hold_threads
from hwds.execution.workers import pool, share_out


class Serial(Compute):
    """One cell after the other in this process, for debugging and for one core; what has limits, in one beside it."""

    def run(self, job: Job, frame: Any, cells: Iterable[Cell], limits: Limits = UNLIMITED) -> Iterator[Outcome]:
        """Yield the outcomes, in order; with limits, from a process beside this one, which could not end itself."""
        if limits.watched or limits.apart:
            with pool(job) as workers:
                yield from share_out(workers, job, cells, 1, limits)
            return
        hold_threads(job.cpus)
        for cell in cells:
            yield compute_cell(job, frame, cell)
