"""Job: all that a worker needs to compute any cell of a run; Outcome: the result of a cell."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from hwds.core.checksums.folders import lay_sealed, require_sound
from hwds.core.inputs import Inputs
from hwds.core.outputs import OUTPUTS
from hwds.core.recipe import Recipe
from hwds.evaluation.base import Cell, Evaluation
from hwds.evaluation.context import Device


@dataclass(frozen=True)
class Job:
    """All that a worker needs, sent once to each. The frame itself travels as a file, `frame_folder`.

    Attributes:
        protocol: Cuts, evaluates and scores.
        models: Recipe by label: the experiment's own, its rivals, the simulator's truth.
        features: The feature set.
        seed: The experiment's seed.
        cpus: Threads of each cell.
        device: `cpu` or `gpu`.
        frame_class: The class that reads `frame_folder`.
        frame_folder: Where the frame lies as Arrow.
        cells_folder: Where finished cells lie, those of inner windows too.
        machine: The class of CPU that computes; empty for this one.
        inputs: The data files that a user's code read when it was imported; None where all code is of hwds, and reads none.
        learning: Where losses are written while models are fitted; None where nobody asks for them.
        ready: Whether a process imports and compiles what a class of models needs before its first cell, so that no cell's
            seconds hold that.
    """

    protocol: Evaluation[Any, Any]
    models: dict[str, Recipe]
    features: Any
    seed: int
    cpus: int
    device: Device
    frame_class: type[Any]
    frame_folder: Path
    cells_folder: Path = OUTPUTS / "cache" / "cells"
    machine: str = ""
    inputs: Inputs | None = None
    learning: Path | None = None
    ready: bool = False

    def read_frame(self) -> Any:
        """Return the frame, mapped from its file.

        Raises:
            HwdsError: It is damaged.
        """
        require_sound(self.frame_folder, "the same command writes it again")
        return self.frame_class.read(self.frame_folder)


def lay_frame(frame: Any, folder: Path) -> None:
    """Write a frame where workers read it, with a checksum; a sound one that lies there stays, a damaged one is written again.

    Raises:
        HwdsError: The folder cannot be written.
    """
    lay_sealed(folder, frame.write)


@dataclass(frozen=True, eq=False)
class Outcome:
    """The result of a cell: its rows or its failure.

    Attributes:
        cell: Which.
        rows: Its rows; None where it failed.
        seconds: What it took when it was computed.
        error: The message of a failure, empty where it succeeded.
        trace: The traceback of a failure.
        cached: It was not computed now.
        inputs: The data files that it was computed from, besides the frame.
    """

    cell: Cell
    rows: pl.DataFrame | None
    seconds: float
    error: str = ""
    trace: str = ""
    cached: bool = False
    inputs: Inputs = field(default_factory=dict)
