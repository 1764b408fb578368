"""The cell cache of the driver's node for workers on any node: no shared disk is needed."""

from __future__ import annotations

from typing import Any

from hwds.execution.cache import CellCache
from hwds.execution.job import Outcome
from hwds.protocols.base import Cell

AT_ONCE = 8
"""Cells that are written or read side by side: most of the time goes into waiting for the disk or the object store."""


class CellStore:
    """Gets and puts cells by key; one actor, where the driver is.

    Args:
        cache: The driver's.
    """

    def __init__(self, cache: CellCache) -> None:
        self.cache = cache

    def get(self, key: str, cell: Cell) -> Outcome | None:
        """A cell that was computed before."""
        return self.cache.get(key, cell)

    def put(self, key: str, outcome: Outcome) -> None:
        """Keep one."""
        self.cache.put(key, outcome)


def store_here(cache: CellCache) -> Any:
    """The store, as an actor that is bound to this node and takes no CPU; while one cell is written others are taken."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(CellStore).options(num_cpus=0, max_concurrency=AT_ONCE, scheduling_strategy=here).remote(cache)
