"""Cells as tasks of a Ray cluster, one that is started here or one that runs already."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hwds.execution.base import Compute
from hwds.execution.job import Job, Outcome
from hwds.execution.processes import usable_cores
from hwds.execution.ray_cells import compute_there, packed
from hwds.execution.ray_cluster import join
from hwds.protocols.base import Cell
from hwds.recipe import Whole

if TYPE_CHECKING:
    from hwds.execution.search import Search
    from hwds.execution.sweep import Record, Watch

AHEAD = 2
"""Tasks that wait for each one that computes, so that no CPU does."""

CALLS = 50
"""Cells after which a worker makes room for a new one: Keras keeps memory."""


class Ray(Compute):
    """Cells as tasks of a Ray cluster; sweeps by Ray Tune, which stops trials without waiting for the others.

    Attributes:
        address: Of a cluster that runs already (`auto`, `ray://host:10001`); null starts one on this machine.
        workers: CPUs of the one that is started here; 0 takes those that this process may use.
        gpus_per_cell: GPUs, or a part of one, that each cell is given.
    """

    address: str | None = None
    workers: Whole = 0
    gpus_per_cell: float = 0.0

    @property
    def cpus(self) -> int:
        """CPUs of a cluster that is started here."""
        return max(self.workers or usable_cores(), self.cpus_per_cell)

    def run(self, job: Job, frame: Any, cells: Sequence[Cell]) -> Iterator[Outcome]:
        """The outcomes as they come; a worker that dies fails its cell alone."""
        import ray

        join(self)
        cpus, gpus = self.cpus_per_cell, self.gpus_per_cell
        task: Any = ray.remote(num_cpus=cpus, num_gpus=gpus, max_calls=CALLS, max_retries=1)(compute_there)
        shared = ray.put(packed(job))
        waiting = deque(cells)
        resources: Any = ray.cluster_resources  # it has no types
        room = int(resources().get("CPU", 1) // cpus) + AHEAD
        flying: dict[Any, Cell] = {}
        while waiting or flying:
            while waiting and len(flying) < room:
                cell = waiting.popleft()
                flying[task.remote(shared, cell)] = cell
            (done, *_), _ = ray.wait(list(flying), num_returns=1)
            yield _answer(done, flying.pop(done))

    def search(self, search: Search, watch: Watch) -> list[Record]:
        """All trials of a sweep, by Ray Tune."""
        from hwds.execution.tuner import tuned

        return tuned(self, search, watch)


def _answer(task: Any, cell: Cell) -> Outcome:
    """What a task came to; where its worker has died, that is the outcome."""
    import ray

    try:
        outcome: Outcome = ray.get(task)
    except ray.exceptions.RayError as error:
        said = str(error).strip().splitlines()
        return Outcome(cell, None, 0.0, f"{type(error).__name__}: {said[0] if said else 'no message'}")
    return outcome
