"""Compute: the recipe of an executor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from hwds.core.cache import Cache
from hwds.core.recipe import NonNegativeInt, Recipe, Workers
from hwds.core.walls import landlock_version
from hwds.evaluation.cells import CellCache, CellOutcome, Job
from hwds.evaluation.protocol import Cell, Device
from hwds.evaluation.workers import UNLIMITED, CellLimits


class Compute(Recipe):
    """The recipe of an executor, chosen by `compute=`: where cells are computed. No choice changes
    a number.

    Attributes:
        cpus_per_cell: Threads of each cell; with it the last bits of a model's numbers may change.
        device: `gpu` for Keras and XGBoost, `auto` where there is one.
        max_failed: The number of cells that may fail before the run itself counts as failed.
        walls: `auto` computes cells of your own code in sealed processes, if the kernel (Linux) and
            the device (`cpu`) allow it: they read only the files that their keys name, and write
            only to a temporary folder; `never` watches what is read instead.
        environment: Variables of the environment that your own code reads: `[ALPHA]`. Their values
            are a part of its keys; others it does not see.
    """

    cpus_per_cell: Workers = 1
    device: Literal["auto", "cpu", "gpu"] = "auto"
    max_failed: NonNegativeInt = 0
    walls: Literal["auto", "never"] = "auto"
    environment: tuple[str, ...] = ()

    def run(
        self, job: Job, frame: Any, cells: Iterable[Cell], limits: CellLimits = UNLIMITED
    ) -> Iterator[CellOutcome]:
        """Yield the outcomes of all cells, in the order they finish.

        A cell is taken when there is room for it.
        """
        raise NotImplementedError(f"{type(self).__name__}.run")

    def machine(self) -> str:
        """Return the class of CPU that computes; empty for that of this machine."""
        return ""

    def cells(self, folder: Path) -> CellCache:
        """Return the cache of finished cells."""
        return CellCache(Cache(folder))

    def done(self, folder: Path) -> None:
        """Take note that a folder of results is complete."""

    def why_open(self) -> str:
        """Return why no walls stand around a user's own code; empty where they do."""
        if self.walls == "never":
            return "compute.walls=never"
        if self.found_device() != "cpu":
            return "compute.device=gpu"
        return "" if landlock_version() else "this kernel has none"

    def seals(self) -> bool:
        """Return whether walls stand around a user's own code."""
        return not self.why_open()

    def found_device(self) -> Device:
        """Return the device; for `auto`, `gpu` where the kernel shows an NVIDIA device."""
        if self.device != "auto":
            return self.device
        return "gpu" if Path("/dev/nvidiactl").exists() else "cpu"
