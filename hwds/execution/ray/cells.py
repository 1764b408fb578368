"""The work of a worker of a Ray cluster: write the frame where it is read, and compute a cell."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hwds.core.checksums.folders import lay_sealed, require_sound
from hwds.evaluation.base import Cell
from hwds.execution.compute_cell import compute_cell
from hwds.execution.job import Job, Outcome
from hwds.execution.ray.nodes import this_node, unfit
from hwds.execution.threads import hold_threads


@dataclass(frozen=True, eq=False)
class Packed:
    """A job and its frame: all that a node without a shared disk needs, once in the object store.

    Attributes:
        job: What workers need.
        files: The frame's files by name.
        node: That of the driver.
        packages: The version of each of its packages.
    """

    job: Job
    files: dict[str, bytes]
    node: str
    packages: dict[str, str]


class _Files:
    """The files of a frame with their checksums, to be written where a job reads them."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def write(self, folder: Path) -> None:
        """Write all files of the frame."""
        for name, content in self.files.items():
            (folder / name).write_bytes(content)


def packed(job: Job) -> Packed:
    """Return a job with the frame that lies in its folder.

    Raises:
        HwdsError: It is damaged.
    """
    import ray

    require_sound(job.frame_folder, "the same command writes it again")
    files = {path.name: path.read_bytes() for path in sorted(job.frame_folder.iterdir())}
    return Packed(job, files, ray.get_runtime_context().get_node_id(), this_node().packages)


def compute_there(shared: Packed, cell: Cell) -> Outcome:
    """Compute one cell, on a worker."""
    hold_threads(shared.job.cpus)
    if reason := unfit(shared.job.machine, shared.packages):
        return Outcome(cell, None, 0.0, reason)
    return compute_cell(at_home(shared, shared.job), frame_of(shared), cell)


def at_home(shared: Packed, job: Job) -> Job:
    """Return the job with the folders of this node: on other nodes than the driver's they lie in Ray's session."""
    import ray

    here = ray.get_runtime_context()
    if here.get_node_id() == shared.node:
        return job
    room = Path(here.get_temp_dir(), here.get_session_name(), "hwds")
    os.environ.setdefault("NUMBA_CACHE_DIR", str(room / "numba"))
    return replace(job, frame_folder=room / "frames" / job.frame_folder.name, cells_folder=room / "cells", learning=None)


def frame_of(shared: Packed) -> Any:
    """Return the frame, which the first task on this node writes, and each process verifies before it reads it."""
    job = at_home(shared, shared.job)
    if job.frame_folder not in _FRAMES:
        lay_sealed(job.frame_folder, _Files(shared.files).write)
        while len(_FRAMES) >= FRAMES_KEPT:
            _FRAMES.pop(next(iter(_FRAMES)))
        _FRAMES[job.frame_folder] = job.read_frame()
    return _FRAMES[job.frame_folder]


FRAMES_KEPT = 2
"""Frames that a process keeps, the latest."""

_FRAMES: dict[Path, Any] = {}
"""The frames that this process has read, by folder."""
