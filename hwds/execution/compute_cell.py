"""The evaluation of one cell, with the context of its run."""

from __future__ import annotations

import time
import traceback
from dataclasses import replace
from typing import Any

from hwds.core.cache import Cache
from hwds.core.inputs import note, noted_inputs, read_so_far
from hwds.core.recipe import uses_features
from hwds.core.secrets import without_secrets
from hwds.core.watching.learning import recorded_learning
from hwds.evaluation.abilities import Trying
from hwds.evaluation.base import Cell
from hwds.evaluation.context import RunContext
from hwds.execution.job import Job, Outcome

TOY = "toy"
"""The name of the fold of toy cells in a model's context."""

_READY: set[str] = set()
"""The classes of models that this process has tried on toys."""


def context_of(job: Job, fold: str) -> RunContext:
    """Return the context of the models of a fold."""
    return RunContext(job.seed, fold, job.cpus, job.device, job.features, Cache(job.cells_folder))


def compute_cell(job: Job, frame: Any, cell: Cell) -> Outcome:
    """Evaluate a cell; any exception becomes the outcome's error, so that one cell does not end a run."""
    if job.inputs is None:
        return _computed(job, frame, cell)
    note(job.inputs)
    with noted_inputs():
        outcome = _computed(job, frame, cell)
    return replace(outcome, inputs=read_so_far())


def _computed(job: Job, frame: Any, cell: Cell) -> Outcome:
    if job.ready:
        _make_ready(job, frame, cell)
    began = time.perf_counter()
    try:
        with recorded_learning(job.learning, cell.model, cell.fold.name, cell.start):
            rows = job.protocol.evaluate_cell(job.models[cell.model], frame, cell, context_of(job, cell.fold.name))
    except Exception as error:
        return Outcome(cell, None, time.perf_counter() - began, message_of(error), traceback.format_exc())
    return Outcome(cell, rows, time.perf_counter() - began)


def _make_ready(job: Job, frame: Any, cell: Cell) -> None:
    """Try the model of a cell and its features on toys, once in a process for its class, which imports and compiles their code.

    What fails here fails in the cell too, where it is counted, or is too large for toys, and is timed with the first cell.
    """
    model, protocol = job.models[cell.model], job.protocol
    name = f"{type(model).__module__}.{type(model).__qualname__}"
    if name in _READY or not (model.toys and isinstance(protocol, Trying)):
        return
    _READY.add(name)
    try:
        if uses_features(model):
            protocol.try_features(job.features, frame)
        protocol.try_model(model, frame, cell.fold, RunContext(job.seed, TOY, job.cpus, job.device, job.features))
    except Exception:
        return


REJECTED = "Rejected as the implementation raised a specific error:"
"""The words before each of numba's reasons, the outermost first."""


def message_of(error: Exception) -> str:
    """Return an error in one line: the last of a long message, and of numba's the first after the last of its reasons."""
    text = without_secrets(str(error))
    lines = [line.strip() for line in text.rpartition(REJECTED)[2].splitlines() if line.strip()]
    if REJECTED in text:
        known = [line for line in lines if "Failed in nopython mode" not in line]
        return f"{type(error).__name__}: {known[0] if known else lines[0]}"
    return f"{type(error).__name__}: {lines[-1] if lines else 'no message'}"
