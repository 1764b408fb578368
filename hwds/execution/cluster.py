"""A Ray cluster that runs already, of any number of nodes; no disk is shared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator

from hwds.context import Device
from hwds.execution.bucket import MirroredCells, upload
from hwds.execution.cache import CellCache
from hwds.execution.on_ray import OnRay
from hwds.execution.ray_cluster import join, worker_variables
from hwds.execution.ray_head import reachable, watch_head
from hwds.execution.ray_nodes import class_of_cpu
from hwds.recipe import PACKAGE
from hwds.registry import conf_dirs

EXCLUDED = ("outputs", "data", ".git", ".venv", "venv", "__pycache__", "experiments/*/results", "*.parquet", "*.arrow")
"""What of a user's own project is not sent to the nodes."""


def _address(value: str) -> str:
    host, _, port = value.rpartition(":")
    if "://" in value or (value != "auto" and not (host and port.isdigit() and int(port) < 65536)):
        raise ValueError("must be host:port of the head node, or auto on one of its nodes")
    return value


class Cluster(OnRay):
    """Cells as tasks of a Ray cluster that runs already; sweeps by Ray Tune. This process is to run on one of its nodes.

    Code travels with the job (this package, and the folder of the user's own `conf/`), data through Ray's object store, and
    results come back to this process, which writes them: the nodes share no disk.

    Attributes:
        address: `host:port` of the head node; `auto` is the cluster that this node belongs to.
        runtime_env: What Ray is to lay on each node besides (`pip`, `env_vars`, ...); `excludes` adds to what is not sent.
        storage: A URL (`s3://bucket/path`, `gs://...`, `file:///...`) where finished cells and result folders are kept too, so
            that another driver, on a new disk, goes on from there.
        mixed: Let nodes with other classes of CPU compute too; the last bits of numbers then depend on where a cell was.
    """

    address: Annotated[str, AfterValidator(_address)] = "auto"
    runtime_env: Mapping[str, Any] = field(default_factory=dict)
    storage: str | None = None
    mixed: bool = False

    def terms(self) -> dict[str, Any]:
        """The address, once it is seen that something answers there."""
        return {"address": reachable(self.address), "runtime_env": self._environment()}

    def found_device(self) -> Device:
        """`auto` is the GPU where cells are given one: this node may be another kind of machine."""
        return self.device if self.device != "auto" else "gpu" if self.gpus_per_cell else "cpu"

    def machine(self) -> str:
        """The class of CPU of the nodes.

        Raises:
            HwdsError: The cluster cannot be reached.
            ConfigError: Nodes differ from one another, or from this process, in what decides the numbers.
        """
        if join(self):
            watch_head()
        return class_of_cpu(self.cpus_per_cell, mixed=self.mixed)

    def cells(self, folder: Path) -> CellCache:
        """Finished cells, here and in the storage."""
        return MirroredCells(folder, self.storage) if self.storage else CellCache(folder)

    def done(self, folder: Path) -> None:
        """A folder of results is complete: the storage keeps it too."""
        if self.storage:
            upload(folder, self.storage)

    def _environment(self) -> dict[str, Any]:
        """Ray's runtime environment: this package as it is here, so that a cell's key says true what computed it."""
        own = dict(self.runtime_env)
        project = {"working_dir": str(conf_dirs()[1].parent)} if len(conf_dirs()) > 1 else {}
        return {
            **project,
            **own,
            "py_modules": [str(PACKAGE), *own.get("py_modules", ())],
            "excludes": [*EXCLUDED, *own.get("excludes", ())],
            "env_vars": worker_variables(self) | dict(own.get("env_vars", {})),
        }
