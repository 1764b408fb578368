"""Cells as tasks of a Ray cluster, whichever it is."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge

from hwds.execution.base import Compute
from hwds.execution.job import Job, Outcome
from hwds.execution.limits import UNLIMITED, Limits
from hwds.execution.ray_cells import compute_there, packed
from hwds.execution.ray_cluster import join
from hwds.execution.ray_resources import require
from hwds.protocols.base import Cell

if TYPE_CHECKING:
    from hwds.execution.search import Search
    from hwds.execution.sweep import Record, Watch

AHEAD = 2
"""Tasks in flight for each that a cluster computes at a time: no CPU waits, and an autoscaler sees that more are wanted."""

RETRIES = 3
"""How often a cell is given to another worker when its own has died, or its whole node."""

CALLS = 50
"""Cells after which a worker makes room for a new one: Keras keeps memory."""

LOOK = 5.0
"""Seconds after which it is looked how large the cluster is by now."""


class OnRay(Compute):
    """What `compute=ray` and `compute=cluster` share: cells are tasks, and sweeps are run by Ray Tune.

    Attributes:
        gpus_per_cell: GPUs, or a part of one, that each cell is given.
    """

    gpus_per_cell: Annotated[float, Ge(0)] = 0.0

    def terms(self) -> dict[str, Any]:
        """What `ray.init` is told."""
        raise NotImplementedError(f"{type(self).__name__}.terms")

    def run(self, job: Job, frame: Any, cells: Iterable[Cell], limits: Limits = UNLIMITED) -> Iterator[Outcome]:
        """The outcomes as they come; a worker that dies again and again fails its cell alone.

        Raises:
            ConfigError: No node has what a cell is to be given, and none comes that may.
        """
        import ray

        join(self)
        task, shared = self._task(), ray.put(packed(job))
        waiting, room = iter(cells), _Room(self.cpus_per_cell)
        flying: dict[Any, Cell] = {}
        while True:
            more = islice(waiting, max(room.tasks() - len(flying), 0))
            flying |= {task.remote(shared, cell): cell for cell in more}
            if not flying:
                return
            for done in _landed(list(flying)):
                yield _answer(done, flying.pop(done))

    def _task(self) -> Any:
        """A cell as Ray takes it, once it is seen that a node has what it is to be given."""
        import ray

        cpus, gpus = self.cpus_per_cell, self.gpus_per_cell
        require("compute.cpus_per_cell", "CPU", cpus)
        require("compute.gpus_per_cell", "GPU", gpus)
        return ray.remote(num_cpus=cpus, num_gpus=gpus, max_calls=CALLS, max_retries=RETRIES)(compute_there)

    def search(self, search: Search, watch: Watch) -> list[Record]:
        """All trials of a sweep, by Ray Tune."""
        from hwds.execution.tuner import tuned

        return tuned(self, search, watch)


class _Room:
    """How many tasks are to be in flight; a cluster may grow and shrink.

    Args:
        cpus: Of each task.
    """

    def __init__(self, cpus: int) -> None:
        self.cpus = cpus
        self.looked = -LOOK
        self.count = 0

    def tasks(self) -> int:
        """For the cluster as it was a moment ago."""
        import ray

        if time.monotonic() - self.looked >= LOOK:
            resources: Any = ray.cluster_resources  # it has no types
            self.count = AHEAD * (int(resources().get("CPU", 0) // self.cpus) + 1)
            self.looked = time.monotonic()
        return self.count


def _landed(flying: list[Any]) -> list[Any]:
    """The tasks that are done, at least one; all at once, for each look at thousands takes its time."""
    import ray

    ray.wait(flying, num_returns=1)
    done, _ = ray.wait(flying, num_returns=len(flying), timeout=0)
    return list(done)


def _answer(task: Any, cell: Cell) -> Outcome:
    """What a task came to; where its worker has died, that is the outcome."""
    import ray

    try:
        outcome: Outcome = ray.get(task)
    except ray.exceptions.RayError as error:
        said = str(error).strip().splitlines()
        return Outcome(cell, None, 0.0, f"{type(error).__name__}: {said[0] if said else 'no message'}")
    return outcome
