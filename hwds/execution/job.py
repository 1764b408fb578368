"""A job: all that a worker needs to compute any cell of a run; and the outcome of one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from hwds.context import Device
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
        cells_folder: Where finished cells lie, those of inner windows too.
        machine: The class of CPU that computes; empty for this one.
    """

    protocol: Evaluation[Any, Any]
    models: dict[str, Recipe]
    features: Any
    seed: int
    cpus: int
    device: Device
    frame_class: type[Any]
    frame_folder: Path
    cells_folder: Path = Path("outputs", "cache", "cells")
    machine: str = ""

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
