"""Cells one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from typing import Any

from hwds.core.compiling import own_code_by_digest
from hwds.evaluation.cells import CellOutcome, Job, compute_cell
from hwds.evaluation.compute.base import Compute
from hwds.evaluation.protocol import Cell
from hwds.evaluation.workers import UNLIMITED, CellLimits, hold_threads, share_out, worker_pool


class Serial(Compute):
    """Compute one cell after the other in this process, for debugging and for one core. What has
    limits, and your own code behind its walls, is computed in one beside it.
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
        for cell in cells:
            with nullcontext() if job.inputs is None else own_code_by_digest():
                outcome = compute_cell(job, frame, cell)
            yield outcome
