"""What runs on a worker of a Ray cluster: the frame laid where it is read, and a cell computed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from hwds.execution.asking import compute_cell
from hwds.execution.job import Job, Outcome
from hwds.execution.threads import hold_threads
from hwds.protocols.base import Cell


@dataclass(frozen=True, eq=False)
class Packed:
    """A job and its frame: all that a node without a shared disk needs, once in the object store.

    Attributes:
        job: What workers need.
        files: The frame's files by name.
    """

    job: Job
    files: dict[str, bytes]


class _Laid:
    """A frame that stands where a job reads it."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def write(self, folder: Path) -> None:
        """All files of the frame."""
        for name, content in self.files.items():
            (folder / name).write_bytes(content)


def packed(job: Job) -> Packed:
    """A job with the frame that lies in its folder."""
    return Packed(job, {path.name: path.read_bytes() for path in sorted(job.frame_folder.iterdir())})


def compute_there(shared: Packed, cell: Cell) -> Outcome:
    """One cell, on the worker that is asked."""
    hold_threads(shared.job.cpus)
    return compute_cell(shared.job, frame_of(shared), cell)


def frame_of(shared: Packed) -> Any:
    """The frame, laid on this node by the first who needs it."""
    from hwds.execution.prepare import lay_frame

    lay_frame(_Laid(shared.files), shared.job.frame_folder)
    frame_class: Any = shared.job.frame_class
    return _read(frame_class, shared.job.frame_folder)


@lru_cache(maxsize=2)
def _read(frame_class: Any, folder: Path) -> Any:
    return frame_class.read(folder)
