"""What is done once before the cells of a model, and timed apart from them."""

from __future__ import annotations

from time import perf_counter

from hwds.execution.estimate import missing_cells
from hwds.execution.prepare import Prepared
from hwds.execution.threads import hold_threads

WORTH_SAYING = 1.0
"""Seconds from which it is told."""


def warm_up(prepared: Prepared) -> dict[str, float]:
    """Let the protocol do it for every model that has cells to compute; seconds of those that took long.

    A model that fails here fails in its cells too, with the same message, where it is counted.
    """
    job = prepared.job
    hold_threads(job.cpus)
    took = {}
    for label in dict.fromkeys(cell.model for cell in missing_cells(prepared)):
        began = perf_counter()
        try:
            job.protocol.warm_up(job.models[label], prepared.frame)
        except Exception:
            continue
        took[label] = perf_counter() - began
    return {label: seconds for label, seconds in took.items() if seconds >= WORTH_SAYING}
