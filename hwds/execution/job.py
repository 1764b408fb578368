"""A job: all that a worker needs to compute any cell of a run; and the outcome of one cell."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from hwds.context import Context, Device
from hwds.protocols.base import Cell, Evaluation
from hwds.recipe import Recipe


@dataclass(frozen=True)
class Job:
    """Plain and picklable: sent once to each worker. The frame itself travels as a file, `frame_folder`.

    Attributes:
        protocol: Cuts, asks and scores.
        models: Recipe by label: the experiment's own, its rivals, the simulator's truth.
        features: The feature set.
        seed: The experiment's seed.
        cpus: Threads of each cell.
        device: `cpu` or `gpu`.
        frame_class: The class that reads `frame_folder`.
        frame_folder: Where the frame lies as Arrow.
    """

    protocol: Evaluation[Any, Any]
    models: dict[str, Recipe]
    features: Any
    seed: int
    cpus: int
    device: Device
    frame_class: type[Any]
    frame_folder: Path

    def read_frame(self) -> Any:
        """The frame, mapped from its file."""
        return self.frame_class.read(self.frame_folder)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of a cell.

    Attributes:
        cell: Which.
        rows: Its rows; None where it failed.
        seconds: What it took when it was computed.
        error: The message of a failure, empty where it succeeded.
        trace: The traceback of a failure.
        cached: It was not computed now.
    """

    cell: Cell
    rows: pl.DataFrame | None
    seconds: float
    error: str = ""
    trace: str = ""
    cached: bool = False

    def from_cache(self, cell: Cell) -> Outcome:
        """The same for the cell of this run."""
        return replace(self, cell=cell, cached=True)


def compute_cell(job: Job, frame: Any, cell: Cell) -> Outcome:
    """Ask the model; any exception becomes the outcome's error, so that one cell does not end a run."""
    began = time.perf_counter()
    context = Context(job.seed, cell.fold.name, features=job.features, cpus=job.cpus, device=job.device)
    try:
        rows = job.protocol.ask(job.models[cell.model], frame, cell, context)
    except Exception as error:
        said = [line.strip() for line in str(error).splitlines() if line.strip()]
        message = f"{type(error).__name__}: {said[-1] if said else 'no message'}"  # long messages say it at their end
        return Outcome(cell, None, time.perf_counter() - began, message, traceback.format_exc())
    return Outcome(cell, rows, time.perf_counter() - began)
