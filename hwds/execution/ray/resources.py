"""The resources of the nodes of a cluster: an amount that none of them has is refused, or waited for where it may come."""

from __future__ import annotations

import json
import sys
from functools import cache
from typing import Any

from hwds.core.errors import ConfigError

STATUS = "__autoscaling_status"
"""The key under which Ray's monitor writes the type of each node."""

ALONE = "node_"
"""The beginning of the types that it makes up, one for each node, where no autoscaler starts any."""


def require(setting: str, resource: str, amount: float) -> None:
    """Refuse an amount that no node has, or print a line where an autoscaler may start one; Ray would wait without a message.

    Args:
        setting: The field that asks for it.
        resource: Its name in Ray: `CPU`, `GPU`.
        amount: The amount that one cell or trial takes.

    Raises:
        ConfigError: The largest node has less, and no other comes.
    """
    import ray

    nodes: Any = ray.nodes  # it has no types
    most = max((node["Resources"].get(resource, 0) for node in nodes() if node["Alive"]), default=0)
    if amount <= most:
        return
    if not grows():
        raise ConfigError(f"{setting}: must be <= {most:g}, what the largest node has, got {amount:g}.")
    _print_once(
        f"{setting}: waiting for a node with {amount:g} {resource}; the largest has {most:g}, the autoscaler may start one."
    )


def grows() -> bool:
    """Return whether an autoscaler may start nodes: then they are of the types that it was configured with."""
    return any(not name.startswith(ALONE) for name in _types())


def _types() -> list[str]:
    """Return the types of the nodes, from the older autoscaler of Ray and from the newer one."""
    import ray
    from ray.autoscaler.v2.sdk import get_cluster_status
    from ray.experimental.internal_kv import _internal_kv_get

    stored = json.loads(_internal_kv_get(STATUS) or "{}")
    older = stored.get("autoscaler_report", {}).get("node_type_mapping") or {}
    status = get_cluster_status(ray.get_runtime_context().gcs_address)
    return [*older.values(), *(node.ray_node_type_name for node in (*status.active_nodes, *status.idle_nodes))]


@cache
def _print_once(line: str) -> None:
    """Print a line once, however often it is called."""
    sys.stderr.write(f"hwds: {line}\n")
    sys.stderr.flush()
