"""The nodes of a cluster, and the check that CPU and packages, which decide the numbers, are the same on all."""

from __future__ import annotations

import platform
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from hwds.core.errors import ConfigError
from hwds.evaluation.keys import installed, machine
from hwds.execution.ray.resources import require

MIXED = "mixed"
"""The class of CPU of cells that any node may have computed."""

SHOWN = 3
"""The most packages that are named of those that differ."""


@dataclass(frozen=True)
class Node:
    """The properties of a node that decide the numbers.

    Attributes:
        host: Its name.
        machine: The digest of its class of CPU.
        packages: The version of each installed distribution; that of Python too.
    """

    host: str
    machine: str
    packages: dict[str, str]


@cache
def this_node() -> Node:
    """Return this node. This package itself is left out: a job brings its own."""
    packages = {"python": platform.python_version()} | {
        name: version for name, version in installed().items() if name != "hwds"
    }
    return Node(socket.gethostname(), machine(), packages)


def class_of_cpu(cpus: int, *, mixed: bool) -> str:
    """Return the class of CPU that the nodes share; `MIXED` where they may differ.

    Raises:
        ConfigError: They differ, or one has other versions of packages than this process.
    """
    nodes = _nodes(cpus)
    for node in nodes:
        if message := other_versions(node, this_node().packages):
            raise ConfigError(f"compute: {message}.")
    classes = {node.machine for node in nodes}
    if mixed:
        return MIXED
    if len(classes) > 1:
        hosts = ", ".join(sorted({node.host for node in nodes}))
        raise ConfigError(
            f"compute: the nodes ({hosts}) have {len(classes)} classes of CPU,"
            " whose last bits differ; compute.mixed=true allows it."
        )
    return classes.pop()


def unfit(machine: str, packages: Mapping[str, str]) -> str:
    """Return why this node, which may have come late, may not compute a driver's cells: their keys would lie. Empty if it may.

    Args:
        machine: The class of CPU that they are for; `MIXED`, or empty for that of the driver, is any.
        packages: The driver's.
    """
    node = this_node()
    if machine not in ("", MIXED, node.machine):
        return f"node {node.host} has another class of CPU than those that were asked before; compute.mixed=true allows it"
    return other_versions(node, packages)


def other_versions(node: Node, ours: Mapping[str, str]) -> str:
    """Return a message where a node has other versions of the packages that the driver has too; empty where it has the same."""
    apart = sorted(name for name, version in node.packages.items() if ours.get(name, version) != version)
    if not apart:
        return ""
    shown = ", ".join(f"{name} {node.packages[name]} (here {ours[name]})" for name in apart[:SHOWN])
    more = f" and {len(apart) - SHOWN} more" if len(apart) > SHOWN else ""
    return f"node {node.host} has other versions: {shown}{more}; install the same lock file there"


@cache
def _nodes(cpus: int) -> list[Node]:
    """Return every node that has CPUs, but those that are just lost; where none has yet, the first that comes."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    require("compute.cpus_per_cell", "CPU", cpus)
    nodes: Any = ray.nodes  # it has no types
    alive = [node["NodeID"] for node in nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= cpus]
    task: Any = ray.remote(num_cpus=0)(_describe)
    places = [NodeAffinitySchedulingStrategy(node, soft=False) for node in alive]
    replies = [task.options(scheduling_strategy=place).remote() for place in places]
    there = [node for node in map(_reply, replies) if node is not None]
    return there or [ray.get(ray.remote(num_cpus=cpus)(_describe).remote())]


def _reply(task: Any) -> Node | None:
    import ray

    try:
        node: Node = ray.get(task)
    except ray.exceptions.RayError:
        return None  # lost since the head node has last heard of it
    return node


def _describe() -> Node:
    """Return this node; Ray takes a plain function as a task."""
    return this_node()
