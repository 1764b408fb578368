"""Compute: the recipe of an executor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from hwds.core.cache import Cache
from hwds.core.recipe import NonNegativeInt, Recipe, Workers
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
    """

    cpus_per_cell: Workers = 1
    device: Literal["auto", "cpu", "gpu"] = "auto"
    max_failed: NonNegativeInt = 0

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

    def found_device(self) -> Device:
        """Return the device; for `auto`, `gpu` where the kernel shows an NVIDIA device."""
        if self.device != "auto":
            return self.device
        return "gpu" if Path("/dev/nvidiactl").exists() else "cpu"
