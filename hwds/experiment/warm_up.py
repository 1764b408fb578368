"""The warm-up: compilation once before the cells of a model, timed apart from them."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import Any

from hwds.evaluation.abilities import Compiling
from hwds.execution.job import Job
from hwds.execution.threads import hold_threads
from hwds.experiment.estimate import missing_cells
from hwds.experiment.prepare import Prepared

WORTH_SAYING = 1.0
"""Seconds from which it is reported."""


def warm_up(prepared: Prepared) -> dict[str, float]:
    """Warm up every model that has cells to compute, and return the seconds of those that took long."""
    labels = dict.fromkeys(cell.model for cell in missing_cells(prepared))
    return warmed(prepared.job, prepared.frame, {label: label for label in labels})


def warmed(job: Job, frame: Any, labels: Mapping[str, str]) -> dict[str, float]:
    """Warm up models, and return the seconds of those that took long by name.

    A model that fails here fails in its cells too, with the same message, where it is counted.
    """
    if not isinstance(job.protocol, Compiling):
        return {}
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
