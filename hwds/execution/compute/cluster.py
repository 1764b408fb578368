"""A Ray cluster that runs already, of any number of nodes; no disk is shared."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator

from hwds.core.cache import Cache
from hwds.core.outputs import OUTPUTS
from hwds.core.registry import PACKAGE, conf_dirs
from hwds.evaluation.context import Device
from hwds.execution.cell_cache import CellCache
from hwds.execution.object_store import MirroredCache, upload
from hwds.execution.ray.executor import OnRay, join, worker_variables
from hwds.execution.ray.head import reachable, watch_head
from hwds.execution.ray.nodes import class_of_cpu

EXCLUDED = ("data", ".git", ".venv", "venv", "__pycache__", "experiments/*/results", "*.parquet", "*.arrow")
"""Files of a user's own project that are not sent to the nodes."""


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
        """Return the arguments, after a check that a head node answers at the address."""
        return {"address": reachable(self.address), "runtime_env": self._environment()}

    def found_device(self) -> Device:
        """Return the device; `auto` is the GPU where cells are given one, for this node may be another kind of machine."""
        return self.device if self.device != "auto" else "gpu" if self.gpus_per_cell else "cpu"

    def machine(self) -> str:
        """Return the class of CPU of the nodes.

        Raises:
            HwdsError: The cluster cannot be reached.
            ConfigError: Nodes differ from one another, or from this process, in what decides the numbers.
        """
        if join(self):
            watch_head()
        return class_of_cpu(self.cpus_per_cell, mixed=self.mixed)

    def cells(self, folder: Path) -> CellCache:
        """Return the cache of finished cells, here and in the storage."""
        return CellCache(MirroredCache(folder, self.storage) if self.storage else Cache(folder))

    def done(self, folder: Path) -> None:
        """Copy a complete folder of results to the storage."""
        if self.storage:
            upload(folder, self.storage)

    def _environment(self) -> dict[str, Any]:
        """Return Ray's runtime environment, with this package as it is here, so that keys of cells hold."""
        given = dict(self.runtime_env)
        project = {"working_dir": str(conf_dirs()[1].parent)} if len(conf_dirs()) > 1 else {}
        outputs = os.path.relpath(OUTPUTS.resolve(), project.get("working_dir", "."))
        return {
            **project,
            **given,
            "py_modules": [str(PACKAGE), *given.get("py_modules", ())],
            "excludes": [*EXCLUDED, *([] if outputs.startswith("..") else [outputs]), *given.get("excludes", ())],
            "env_vars": worker_variables(self) | dict(given.get("env_vars", {})),
        }
