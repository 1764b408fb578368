"""Compute: the recipe of an executor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hwds.context import Device
from hwds.errors import ConfigError
from hwds.execution.cache import CellCache
from hwds.execution.job import Job, Outcome
from hwds.execution.limits import UNLIMITED, Limits
from hwds.protocols.base import Cell
from hwds.recipe import Count, Recipe, Whole

if TYPE_CHECKING:
    from hwds.execution.search import Search
    from hwds.execution.sweep import Record, Watch


class Compute(Recipe):
    """What `compute=` chooses: where cells are computed. No choice changes a number.

    Attributes:
        cpus_per_cell: Threads of each cell; with it the last bits of a model's numbers may change.
        device: `gpu` for Keras and XGBoost, `auto` where there is one.
        max_failed: How many cells may fail before the run itself counts as failed.
    """

    cpus_per_cell: Count = 1
    device: Literal["auto", "cpu", "gpu"] = "auto"
    max_failed: Whole = 0

    def run(self, job: Job, frame: Any, cells: Iterable[Cell], limits: Limits = UNLIMITED) -> Iterator[Outcome]:
        """The outcomes of all cells, in the order they finish; a cell is taken when there is room for it."""
        raise NotImplementedError(f"{type(self).__name__}.run")

    def search(self, search: Search, watch: Watch) -> list[Record]:
        """All trials of a sweep, from rung to rung: a rung is complete before the next begins.

        Raises:
            ConfigError: A trial is to have more threads than there are cores.
        """
        from hwds.execution.processes import usable_cores
        from hwds.execution.sweep import run_search

        wanted = search.sweep.cpus_per_trial or 1
        if wanted > usable_cores():
            raise ConfigError(f"sweep.cpus_per_trial: must be <= {usable_cores()}, the cores there are, got {wanted}.")
        return run_search(search, watch)

    def machine(self) -> str:
        """The class of CPU that computes; empty for that of this machine."""
        return ""

    def cells(self, folder: Path) -> CellCache:
        """Where finished cells lie."""
        return CellCache(folder)

    def done(self, folder: Path) -> None:
        """A folder of results is complete."""

    def found_device(self) -> Device:
        """`auto` settled: `gpu` where the kernel shows an NVIDIA device."""
        if self.device != "auto":
            return self.device
        return "gpu" if Path("/dev/nvidiactl").exists() else "cpu"
