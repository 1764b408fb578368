"""Cells one after the other, in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hwds.execution.asking import compute_cell
from hwds.execution.base import Compute
from hwds.execution.job import Job, Outcome
from hwds.execution.threads import hold_threads
from hwds.protocols.base import Cell


class Serial(Compute):
    """One cell after the other in this process: for debugging and for one core."""

    def run(self, job: Job, frame: Any, cells: Sequence[Cell]) -> Iterator[Outcome]:
        """The outcomes, in order."""
        hold_threads(job.cpus)
        for cell in cells:
            yield compute_cell(job, frame, cell)
