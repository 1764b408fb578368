"""What the nodes of a cluster have to give: what none of them has is refused, or waited for where it may come."""

from __future__ import annotations

import json
import sys
from functools import cache
from typing import Any

from hwds.errors import ConfigError

STATUS = "__autoscaling_status"
"""Where Ray's monitor writes which type each node is of."""

ALONE = "node_"
"""How the types begin that it makes up, one for each node, where no autoscaler starts any."""


def require(setting: str, resource: str, amount: float) -> None:
    """Refuse what no node has; Ray would wait for it without a word. Where an autoscaler starts nodes, say what is waited for.

    Args:
        setting: Where it is asked for.
        resource: As Ray calls it: `CPU`, `GPU`.
        amount: How much of it one cell or trial takes.

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
    _say(f"{setting}: waiting for a node with {amount:g} {resource}; the largest has {most:g}, the autoscaler may start one.")


def grows() -> bool:
    """Whether an autoscaler may start nodes: then they are of the types that it was configured with."""
    return any(not name.startswith(ALONE) for name in _types())


def _types() -> list[str]:
    """Those of the nodes, as the older autoscaler of Ray tells them and as the newer does."""
    import ray
    from ray.autoscaler.v2.sdk import get_cluster_status
    from ray.experimental.internal_kv import _internal_kv_get

    told = json.loads(_internal_kv_get(STATUS) or "{}")
    older = told.get("autoscaler_report", {}).get("node_type_mapping") or {}
    status = get_cluster_status(ray.get_runtime_context().gcs_address)
    return [*older.values(), *(node.ray_node_type_name for node in (*status.active_nodes, *status.idle_nodes))]


@cache
def _say(line: str) -> None:
    """Once, however often it is asked for."""
    sys.stderr.write(f"hwds: {line}\n")
    sys.stderr.flush()
