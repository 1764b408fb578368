"""Asking a model for one cell, with the context that a run gives it."""

from __future__ import annotations

import time
import traceback
from typing import Any

from hwds.context import Context
from hwds.execution.inner import InnerWindows
from hwds.execution.job import Job, Outcome
from hwds.protocols.base import Cell


def context_of(job: Job, fold: str) -> Context:
    """What a model of a fold knows besides the data."""
    answers = InnerWindows(job.cells_folder)
    return Context(job.seed, fold, features=job.features, cpus=job.cpus, device=job.device, answers=answers)


def compute_cell(job: Job, frame: Any, cell: Cell) -> Outcome:
    """Ask the model; any exception becomes the outcome's error, so that one cell does not end a run."""
    began = time.perf_counter()
    try:
        rows = job.protocol.ask(job.models[cell.model], frame, cell, context_of(job, cell.fold.name))
    except Exception as error:
        return Outcome(cell, None, time.perf_counter() - began, message_of(error), traceback.format_exc())
    return Outcome(cell, rows, time.perf_counter() - began)


REJECTED = "Rejected as the implementation raised a specific error:"
"""Before each of numba's reasons, the outermost first."""


def message_of(error: Exception) -> str:
    """An error in one line: long messages say it at their end, numba's after the last of its reasons."""
    text = str(error)
    said = [line.strip() for line in text.rpartition(REJECTED)[2].splitlines() if line.strip()]
    if REJECTED in text:
        known = [line for line in said if "Failed in nopython mode" not in line]
        return f"{type(error).__name__}: {known[0] if known else said[0]}"
    return f"{type(error).__name__}: {said[-1] if said else 'no message'}"
