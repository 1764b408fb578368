"""The cell cache of the driver's node for workers on any node: no shared disk is needed."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from hwds.evaluation.base import Cell
from hwds.execution.cell_cache import CellCache
from hwds.execution.job import Outcome

AT_ONCE = 8
"""Cells that are written or read at the same time: most of it is waiting for the disk or the object store."""


class CellStore:
    """Gets and puts cells by key; one actor, where the driver is.

    Args:
        cache: The driver's.
    """

    def __init__(self, cache: CellCache) -> None:
        self.cache = cache

    def get(self, key: str, cell: Cell) -> Outcome | None:
        """Return the outcome of a cell that was computed before; None where there is none."""
        return self.cache.get(key, cell)

    def put(self, key: str, outcome: Outcome) -> None:
        """Keep a cell."""
        self.cache.put(key, outcome)


def store_here(cache: CellCache) -> Any:
    """Return the store, an actor that is bound to this node and takes no CPU; while one cell is written others are taken.

    One serves all rounds of a sweep: Tune keeps references to the arguments of trials, so that an actor among them lives on.
    """
    import ray

    here = ray.get_runtime_context()
    return _store(cache, here.get_session_name(), here.get_job_id(), here.get_node_id())


@lru_cache(maxsize=1)
def _store(cache: CellCache, session: str, job: str, node: str) -> Any:
    """Return the store of a job in a session, with which it ends."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(node, soft=False)
    return ray.remote(CellStore).options(num_cpus=0, max_concurrency=AT_ONCE, scheduling_strategy=here).remote(cache)
