"""Cells as tasks of a Ray cluster that is joined or started here: nodes, resources, packed jobs."""

from __future__ import annotations

import json
import logging
import os
import platform
import re
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from hwds.core.checksums import lay_sealed, require_sound
from hwds.core.compiling import own_compiled_variables
from hwds.core.errors import ConfigError, HwdsError
from hwds.core.keys import installed_versions, machine_digest
from hwds.core.recipe import NonNegative
from hwds.core.registry import conf_dirs
from hwds.core.walls import FIXED, landlock_version
from hwds.evaluation.cells import CellCache, CellOutcome, Job, compute_cell
from hwds.evaluation.compute.base import Compute
from hwds.evaluation.protocol import Cell
from hwds.evaluation.workers import (
    UNLIMITED,
    CellLimits,
    WorkerPool,
    hold_threads,
    inherit_variables,
    share_out,
    thread_variables,
)

# The resources of the nodes of a cluster: an amount that none of them has is refused, or waited
# for where it may come.

STATUS = "__autoscaling_status"
"""The key under which Ray's monitor writes the type of each node."""

MADE_UP_TYPE = "node_"
"""The beginning of the types that it makes up, one for each node, where no autoscaler starts any.
"""


def require_resource(setting: str, resource: str, amount: float) -> None:
    """Refuse an amount that no node has, or print a line where an autoscaler may start one.

    Ray would wait without a message.

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
    if not may_grow():
        raise ConfigError(
            f"{setting}: must be <= {most:g}, what the largest node has, got {amount:g}."
        )
    _print_once(
        f"{setting}: waiting for a node with {amount:g} {resource}; the largest has {most:g}, the "
        f"autoscaler may start one."
    )


def may_grow() -> bool:
    """Return whether an autoscaler may start nodes: then they are of the types that it was
    configured with.
    """
    return any(not name.startswith(MADE_UP_TYPE) for name in _types())


def _types() -> list[str]:
    """Return the types of the nodes, from the older autoscaler of Ray and from the newer one."""
    import ray
    from ray.autoscaler.v2.sdk import get_cluster_status
    from ray.experimental.internal_kv import _internal_kv_get

    stored = json.loads(_internal_kv_get(STATUS) or "{}")
    older = stored.get("autoscaler_report", {}).get("node_type_mapping") or {}
    status = get_cluster_status(ray.get_runtime_context().gcs_address)
    return [
        *older.values(),
        *(node.ray_node_type_name for node in (*status.active_nodes, *status.idle_nodes)),
    ]


@cache
def _print_once(line: str) -> None:
    """Print a line once, however often it is called."""
    sys.stderr.write(f"hwds: {line}\n")
    sys.stderr.flush()


# The nodes of a cluster, and the check that CPU and packages, which decide the numbers, are the
# same on all.

MIXED = "mixed"
"""The class of CPU of cells that any node may have computed."""

MOST_NAMED = 3
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
        name: version for name, version in installed_versions().items() if name != "hwds"
    }
    return Node(socket.gethostname(), machine_digest(), packages)


def cpu_of_nodes(cpus: int, *, mixed: bool) -> str:
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
    """Return why this node, which may have come late, may not compute a driver's cells: their keys
    would lie. Empty if it may.

    Args:
        machine: The class of CPU that they are for; `MIXED`, or empty for that of the driver, is
            any.
        packages: The driver's.
    """
    node = this_node()
    if machine not in ("", MIXED, node.machine):
        return (
            f"node {node.host} has another class of CPU than those that were asked before; "
            f"compute.mixed=true allows it"
        )
    return other_versions(node, packages)


def other_versions(node: Node, ours: Mapping[str, str]) -> str:
    """Return a message where a node has other versions of the packages that the driver has too.

    Empty where it has the same.
    """
    differing = sorted(
        name for name, version in node.packages.items() if ours.get(name, version) != version
    )
    if not differing:
        return ""
    shown = ", ".join(
        f"{name} {node.packages[name]} (here {ours[name]})" for name in differing[:MOST_NAMED]
    )
    more = f" and {len(differing) - MOST_NAMED} more" if len(differing) > MOST_NAMED else ""
    return f"node {node.host} has other versions: {shown}{more}; install the same lock file there"


@cache
def _nodes(cpus: int) -> list[Node]:
    """Return every node that has CPUs, but those that are just lost.

    Where none has yet, the first that comes.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    require_resource("compute.cpus_per_cell", "CPU", cpus)
    nodes: Any = ray.nodes  # it has no types
    alive = [
        node["NodeID"]
        for node in nodes()
        if node["Alive"] and node["Resources"].get("CPU", 0) >= cpus
    ]
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


# The work of a worker of a Ray cluster: write the frame where it is read, and compute a cell.


@dataclass(frozen=True, eq=False)
class PackedJob:
    """A job and its frame: all that a node without a shared disk needs, once in the object store.

    Attributes:
        job: What workers need.
        files: The frame's files by name.
        node: The driver's node.
        packages: The version of each of its packages.
    """

    job: Job
    files: dict[str, bytes]
    node: str
    packages: dict[str, str]


def _write_files(files: Mapping[str, bytes], folder: Path) -> None:
    """Write the files of a frame, with their checksums, where a job reads them."""
    for name, content in files.items():
        (folder / name).write_bytes(content)


def pack_job(job: Job) -> PackedJob:
    """Return a job with the frame that lies in its folder.

    Raises:
        HwdsError: It is damaged.
    """
    import ray

    require_sound(job.frame_folder, "the same command writes it again")
    files = {path.name: path.read_bytes() for path in sorted(job.frame_folder.iterdir())}
    return PackedJob(job, files, ray.get_runtime_context().get_node_id(), this_node().packages)


def compute_there(shared: PackedJob, cell: Cell) -> CellOutcome:
    """Compute one cell, on a worker."""
    hold_threads(shared.job.cpus)
    if reason := unfit(shared.job.machine, shared.packages):
        return CellOutcome(cell, None, 0.0, reason)
    job, frame = job_on_node(shared, shared.job), frame_on_node(shared)
    return compute_walled(job, cell) if job.sealed else compute_cell(job, frame, cell)


_WALLED = WorkerPool()
"""The process behind walls of this worker, which lives as long as it does."""


def compute_walled(job: Job, cell: Cell) -> CellOutcome:
    """Compute a cell of a user's own code behind walls, from a worker of Ray, which has threads and
    cannot wall itself in.
    """
    if not landlock_version():
        return CellOutcome(cell, None, 0.0, f"{platform.node()} has no walls: compute.walls=never")
    return list(share_out(_WALLED, job, [cell], 1))[-1]


def job_on_node(shared: PackedJob, job: Job) -> Job:
    """Return the job with the folders of this node: on other nodes than the driver's they lie in
    Ray's session.
    """
    import ray

    here = ray.get_runtime_context()
    if here.get_node_id() == shared.node:
        return job
    room = Path(here.get_temp_dir(), here.get_session_name(), "hwds")
    os.environ.setdefault("NUMBA_CACHE_DIR", str(room / "numba"))
    return replace(
        job,
        frame_folder=room / "frames" / job.frame_folder.name,
        cells_folder=room / "cells",
        learning=None,
    )


def frame_on_node(shared: PackedJob) -> Any:
    """Return the frame, which the first task on this node writes, and each process verifies before
    it reads it.
    """
    job = job_on_node(shared, shared.job)
    if job.frame_folder not in _FRAMES:
        lay_sealed(job.frame_folder, partial(_write_files, shared.files))
        while len(_FRAMES) >= FRAMES_KEPT:
            _FRAMES.pop(next(iter(_FRAMES)))
        _FRAMES[job.frame_folder] = job.read_frame()
    return _FRAMES[job.frame_folder]


FRAMES_KEPT = 2
"""Frames that a process keeps, the latest."""

_FRAMES: dict[Path, Any] = {}
"""The frames that this process has read, by folder."""


# The cell cache of the driver's node for workers on any node: no shared disk is needed.

AT_ONCE = 8
"""Cells that are written or read at the same time: most of it is waiting for the disk or the object
store.
"""


def store_here(cache: CellCache) -> Any:
    """Return the driver's cache as an actor, bound to this node, which takes no CPU.

    While one cell is written others are taken.

    One serves all rounds of a sweep: Tune keeps references to the arguments of trials, so that an
    actor among them lives on.
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
    return (
        ray.remote(CellCache)
        .options(num_cpus=0, max_concurrency=AT_ONCE, scheduling_strategy=here)
        .remote(cache.entries)
    )


# Cells as tasks of a Ray cluster, which is joined or started here; Ray writes nothing on the
# terminal.

AHEAD = 2
"""Tasks in flight for each that a cluster computes at a time: no CPU waits, and an autoscaler sees
that more are wanted.
"""

RETRIES = 3
"""Retries of a cell on another worker after its worker, or its whole node, has died."""

CALLS = 50
"""Cells after which a worker is replaced: Keras keeps memory."""

LOOK = 5.0
"""Seconds between two looks at the size of the cluster."""

Item = TypeVar("Item")


QUIET = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "RAY_DEDUP_LOGS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_worker_niceness": "0",
    "TUNE_GLOBAL_CHECKPOINT_S": "inf",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "LOG_NAME_UPDATE_INTERVAL_S": "3600",
}
"""Variables that keep Ray off the terminal, the network and the current folder, and its processes
at this one's priority.

Ray's log monitor would look for new files of logs twice a second, and nobody is shown them. Tune
does not store the state of its trials either: nothing is restored from it (`tuner.tuned` says why).
"""


class OnRay(Compute):
    """The base of `compute=ray` and `compute=cluster`: cells are tasks, and sweeps are run by Ray
    Tune.

    Attributes:
        gpus_per_cell: GPUs, or a part of one, that each cell is given.
    """

    gpus_per_cell: NonNegative = 0.0

    def terms(self) -> dict[str, Any]:
        """Return the arguments of `ray.init`."""
        raise NotImplementedError(f"{type(self).__name__}.terms")

    def run(
        self, job: Job, frame: Any, cells: Iterable[Cell], limits: CellLimits = UNLIMITED
    ) -> Iterator[CellOutcome]:
        """Yield the outcomes as they come; a worker that dies again and again fails its cell alone.

        Raises:
            ConfigError: No node has the resources of a cell, and no autoscaler may start one.
        """
        join_ray(self)
        for done, cell in self.flow(compute_there, pack_job(job), cells, CALLS):
            yield _outcome(done, cell)

    def flow(
        self, function: Callable[[Any, Item], Any], shared: Any, items: Iterable[Item], calls: int
    ) -> Iterator[tuple[Any, Item]]:
        """Yield the tasks of a function as they are done, each with its item.

        Few are taken before they can be worked on.

        Args:
            function: What a worker does, of `shared` and an item.
            shared: What all tasks read; it is sent to a node once.
            items: What each task is about.
            calls: Tasks after which a worker is replaced; 0 for none.

        Raises:
            ConfigError: No node has the resources of a task, and no autoscaler may start one.
        """
        import ray

        join_ray(self)
        task, stored = self._task(function, calls), ray.put(shared)
        waiting, room = iter(items), _Room(self.cpus_per_cell)
        flying: dict[Any, Item] = {}
        while True:
            more = islice(waiting, max(room.tasks() - len(flying), 0))
            flying |= {task.remote(stored, item): item for item in more}
            if not flying:
                return
            for done in _finished_tasks(list(flying)):
                yield done, flying.pop(done)

    def _task(self, function: Callable[..., Any], calls: int) -> Any:
        """Return a remote function, after a check that a node has its resources."""
        import ray

        cpus, gpus = self.cpus_per_cell, self.gpus_per_cell
        require_resource("compute.cpus_per_cell", "CPU", cpus)
        require_resource("compute.gpus_per_cell", "GPU", gpus)
        return ray.remote(num_cpus=cpus, num_gpus=gpus, max_calls=calls, max_retries=RETRIES)(
            function
        )


class _Room:
    """The number of tasks to keep in flight; a cluster may grow and shrink.

    Args:
        cpus: The threads of each task.
    """

    def __init__(self, cpus: int) -> None:
        self.cpus = cpus
        self.looked = -LOOK
        self.count = 0

    def tasks(self) -> int:
        """Return the number for the cluster as of the last look."""
        import ray

        if time.monotonic() - self.looked >= LOOK:
            resources: Any = ray.cluster_resources  # it has no types
            self.count = AHEAD * (int(resources().get("CPU", 0) // self.cpus) + 1)
            self.looked = time.monotonic()
        return self.count


def _finished_tasks(flying: list[Any]) -> list[Any]:
    """Return the tasks that are done, at least one.

    All at once, since each look at thousands takes time.
    """
    import ray

    ray.wait(flying, num_returns=1)
    done, _ = ray.wait(flying, num_returns=len(flying), timeout=0)
    return list(done)


def _outcome(task: Any, cell: Cell) -> CellOutcome:
    """Return the outcome of a task; where its worker has died, a failure."""
    import ray

    try:
        outcome: CellOutcome = ray.get(task)
    except ray.exceptions.RayError as error:
        return CellOutcome(cell, None, 0.0, reason_of(error))
    return outcome


def ray_result(task: Any) -> Any:
    """Return the result of a task that is done.

    Raises:
        HwdsError: Its worker has died, again and again, or it failed in a way that is nobody's
            mistake.
    """
    import ray

    try:
        return ray.get(task)
    except ray.exceptions.RayError as error:
        raise HwdsError(f"compute: {reason_of(error)}") from error


def reason_of(error: Exception) -> str:
    """Return the kind and the first line of an error of Ray's."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"


def join_ray(compute: OnRay) -> bool:
    """Connect this process to Ray, for the rest of its life.

    A cluster that is started here ends with it.

    Workers that are started here inherit their variables. By a runtime environment Ray would import
    itself twice in each of them, and those that it starts beforehand would serve no task.

    Returns:
        Whether it was joined now.

    Raises:
        ConfigError: The cluster runs other versions.
        HwdsError: The cluster cannot be reached.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    import ray

    if ray.is_initialized():
        return False
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    quiet: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": logging.CRITICAL,
        "configure_logging": True,
    }
    try:
        terms = compute.terms()
        with inherit_variables({} if "runtime_env" in terms else worker_variables(compute)):
            ray.init(**quiet, **terms)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise join_refusal(getattr(compute, "address", "local"), str(error)) from error
    return True


def worker_variables(compute: OnRay) -> dict[str, str]:
    """Return the environment of workers: few threads, no output, and the path of the user's own
    modules.
    """
    projects = [str(folder.parent) for folder in conf_dirs()[1:]]
    paths = [
        *projects,
        *(path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path),
    ]
    return (
        thread_variables(compute.cpus_per_cell)
        | FIXED
        | own_compiled_variables()
        | QUIET
        | ({"PYTHONPATH": os.pathsep.join(paths)} if paths else {})
    )


def join_refusal(address: str, message: str) -> HwdsError:
    """Return the error of a cluster that was not joined, in one line."""
    where = "this machine" if address == "local" else f"'{address}'"
    ray, python = (re.findall(rf"{name}: (\S+)", message) for name in ("Ray", "Python"))
    if "ersion mismatch" in message and len(ray) == len(python) == 2:
        theirs, ours = zip(ray, python, strict=True)
        return ConfigError(
            f"compute.address: {where} runs Ray {theirs[0]} on Python {theirs[1]},"
            f" this process Ray {ours[0]} on Python {ours[1]}; both must be the same."
        )
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return HwdsError(
        f"compute.address: no Ray cluster could be joined at {where}: "
        f"{lines[0] if lines else 'no reason given'}"
    )
