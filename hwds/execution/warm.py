"""What is done once before the cells of a model, and timed apart from them."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import Any

from hwds.execution.estimate import missing_cells
from hwds.execution.job import Job
from hwds.execution.prepare import Prepared
from hwds.execution.search import Search
from hwds.execution.threads import hold_threads

WORTH_SAYING = 1.0
"""Seconds from which it is told."""


def warm_up(prepared: Prepared) -> dict[str, float]:
    """Let the protocol do it for every model that has cells to compute; seconds of those that took long."""
    labels = dict.fromkeys(cell.model for cell in missing_cells(prepared))
    return _warmed(prepared.job, prepared.frame, {label: label for label in labels})


def warm_up_trials(search: Search) -> dict[str, float]:
    """The same for the first trial of each option that has cells to compute: the others differ in numbers alone."""
    took: dict[str, float] = {}
    for lot in search.lots:
        labels = dict.fromkeys(cell.model for cell, key in lot.cells.items() if not search.cache.has(key))
        first = {lot.job.models[label].name: label for label in reversed(list(labels))}
        took |= _warmed(lot.job, search.rehearsal.frame, first)
    return took


def _warmed(job: Job, frame: Any, labels: Mapping[str, str]) -> dict[str, float]:
    """The seconds of what took long, by how it is called.

    A model that fails here fails in its cells too, with the same message, where it is counted.
    """
    hold_threads(job.cpus)
    took = {}
    for name, label in labels.items():
        began = perf_counter()
        try:
            job.protocol.warm_up(job.models[label], frame)
        except Exception:
            continue
        took[name] = perf_counter() - began
    return {name: seconds for name, seconds in took.items() if seconds >= WORTH_SAYING}
