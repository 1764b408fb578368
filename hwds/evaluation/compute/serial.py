"""Cells one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from hwds.evaluation.cells import CellOutcome, Job, compute_cell
from hwds.evaluation.compute.base import Compute
from hwds.evaluation.protocol import Cell
from hwds.evaluation.workers import UNLIMITED, CellLimits, hold_threads, share_out, worker_pool


class Serial(Compute):
    """One cell after the other in this process, for debugging and for one core. Cells with limits,
    and your own code behind its walls, are computed in a second process.
    """

    def run(
        self, job: Job, frame: Any, cells: Iterable[Cell], limits: CellLimits = UNLIMITED
    ) -> Iterator[CellOutcome]:
        """Yield the outcomes, in order.

        With limits, from a process beside this one, which could not end itself; of a user's own
        code, from one behind walls.
        """
        if limits.watched or limits.apart or job.sealed:
            with worker_pool(job) as workers:
                yield from share_out(workers, job, cells, 1, limits)
            return
        hold_threads(job.cpus)
        if job.inputs is None:
            yield from (compute_cell(job, frame, cell) for cell in cells)
            return
        from hwds.core.compiling import own_code_by_digest

        for cell in cells:
            with own_code_by_digest():
                outcome = compute_cell(job, frame, cell)
            yield outcome
