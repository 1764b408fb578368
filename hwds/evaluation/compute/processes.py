"""Cells spread over processes of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Annotated, Any

from hwds.core.recipe import Small, ZeroWorkers
from hwds.evaluation.cells import CellOutcome, Job
from hwds.evaluation.compute.base import Compute
from hwds.evaluation.compute.serial import Serial
from hwds.evaluation.protocol import Cell
from hwds.evaluation.workers import UNLIMITED, CellLimits, share_out, worker_pool


class Processes(Compute):
    """Spread cells over processes of this machine.

    Attributes:
        workers: Processes; 0 takes the cores that this process may use, divided by the threads of
            each cell. One alone is this process itself: so are the cells of `size=small` computed,
            where starting others takes longer than they do.
    """

    workers: Annotated[ZeroWorkers, Small(1, zero=True)] = 0

    def run(
        self, job: Job, frame: Any, cells: Iterable[Cell], limits: CellLimits = UNLIMITED
    ) -> Iterator[CellOutcome]:
        """Yield the outcomes as they come; a worker that dies fails its cell alone."""
        count = self.workers or max(1, usable_cores() // job.cpus)
        count = count if limits.at_once is None else min(count, limits.at_once)
        waiting = iter(cells)
        first = list(islice(waiting, count))
        every = chain(first, waiting)
        if len(first) <= 1:
            yield from Serial(cpus_per_cell=self.cpus_per_cell, device=self.device).run(
                job, frame, every, limits
            )
            return
        with worker_pool(job) as workers:
            yield from share_out(workers, job, every, count, limits)


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
