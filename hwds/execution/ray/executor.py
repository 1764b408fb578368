"""Cells as tasks of a Ray cluster, which is joined or started here; Ray writes nothing on the terminal."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from hwds.core.errors import ConfigError, HwdsError
from hwds.core.recipe import NonNegative
from hwds.core.registry import conf_dirs
from hwds.evaluation.base import Cell
from hwds.execution.compute.base import Compute
from hwds.execution.job import Job, Outcome
from hwds.execution.limits import UNLIMITED, Limits
from hwds.execution.ray.cells import compute_there, packed
from hwds.execution.ray.resources import require
from hwds.execution.threads import inherited, thread_variables

AHEAD = 2
"""Tasks in flight for each that a cluster computes at a time: no CPU waits, and an autoscaler sees that more are wanted."""

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
"""Variables that keep Ray off the terminal, the network and the current folder, and its processes at this one's priority.

Ray's log monitor would look for new files of logs twice a second, and nobody is shown them. Tune does not store the state of
its trials either: nothing is restored from it (`tuner.tuned` says why).
"""


class OnRay(Compute):
    """The base of `compute=ray` and `compute=cluster`: cells are tasks, and sweeps are run by Ray Tune.

    Attributes:
        gpus_per_cell: GPUs, or a part of one, that each cell is given.
    """

    gpus_per_cell: NonNegative = 0.0

    def terms(self) -> dict[str, Any]:
        """Return the arguments of `ray.init`."""
        raise NotImplementedError(f"{type(self).__name__}.terms")

    def run(self, job: Job, frame: Any, cells: Iterable[Cell], limits: Limits = UNLIMITED) -> Iterator[Outcome]:
        """Yield the outcomes as they come; a worker that dies again and again fails its cell alone.

        Raises:
            ConfigError: No node has the resources of a cell, and no autoscaler may start one.
        """
        join(self)
        for done, cell in self.flow(compute_there, packed(job), cells, CALLS):
            yield _outcome(done, cell)

    def flow(
        self, function: Callable[[Any, Item], Any], shared: Any, items: Iterable[Item], calls: int
    ) -> Iterator[tuple[Any, Item]]:
        """Yield the tasks of a function as they are done, each with its item; few are taken before they can be worked on.

        Args:
            function: What a worker does, of `shared` and an item.
            shared: What all tasks read; it is sent to a node once.
            items: What each task is about.
            calls: Tasks after which a worker is replaced; 0 for none.

        Raises:
            ConfigError: No node has the resources of a task, and no autoscaler may start one.
        """
        import ray

        join(self)
        task, stored = self._task(function, calls), ray.put(shared)
        waiting, room = iter(items), _Room(self.cpus_per_cell)
        flying: dict[Any, Item] = {}
        while True:
            more = islice(waiting, max(room.tasks() - len(flying), 0))
            flying |= {task.remote(stored, item): item for item in more}
            if not flying:
                return
            for done in _finished(list(flying)):
                yield done, flying.pop(done)

    def _task(self, function: Callable[..., Any], calls: int) -> Any:
        """Return a remote function, after a check that a node has its resources."""
        import ray

        cpus, gpus = self.cpus_per_cell, self.gpus_per_cell
        require("compute.cpus_per_cell", "CPU", cpus)
        require("compute.gpus_per_cell", "GPU", gpus)
        return ray.remote(num_cpus=cpus, num_gpus=gpus, max_calls=calls, max_retries=RETRIES)(function)


class _Room:
    """The number of tasks to keep in flight; a cluster may grow and shrink.

    Args:
        cpus: Of each task.
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


def _finished(flying: list[Any]) -> list[Any]:
    """Return the tasks that are done, at least one; all at once, since each look at thousands takes time."""
    import ray

    ray.wait(flying, num_returns=1)
    done, _ = ray.wait(flying, num_returns=len(flying), timeout=0)
    return list(done)


def _outcome(task: Any, cell: Cell) -> Outcome:
    """Return the outcome of a task; where its worker has died, a failure."""
    import ray

    try:
        outcome: Outcome = ray.get(task)
    except ray.exceptions.RayError as error:
        return Outcome(cell, None, 0.0, reason_of(error))
    return outcome


def result_of(task: Any) -> Any:
    """Return the result of a task that is done.

    Raises:
        HwdsError: Its worker has died, again and again, or it failed in a way that is nobody's mistake.
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


def join(compute: OnRay) -> bool:
    """Connect this process to Ray, for the rest of its life; a cluster that is started here ends with it.

    Workers that are started here inherit their variables. By a runtime environment Ray would import itself twice in each of
    them, and those that it starts beforehand would serve no task.

    Returns:
        Whether it was joined now.

    Raises:
        ConfigError: Ray is not installed, or the cluster runs other versions.
        HwdsError: The cluster cannot be reached.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ConfigError(f"compute: '{compute.name}' needs the package ray[tune], which is not installed.") from error
    if ray.is_initialized():
        return False
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL, "configure_logging": True}
    try:
        terms = compute.terms()
        with inherited({} if "runtime_env" in terms else worker_variables(compute)):
            ray.init(**quiet, **terms)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise refusal(getattr(compute, "address", "local"), str(error)) from error
    return True


def worker_variables(compute: OnRay) -> dict[str, str]:
    """Return the environment of workers: few threads, no output, and the path of the user's own modules."""
    projects = [str(folder.parent) for folder in conf_dirs()[1:]]
    paths = [*projects, *(path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path)]
    return thread_variables(compute.cpus_per_cell) | QUIET | ({"PYTHONPATH": os.pathsep.join(paths)} if paths else {})


def refusal(address: str, message: str) -> HwdsError:
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
    return HwdsError(f"compute.address: no Ray cluster could be joined at {where}: {lines[0] if lines else 'no reason given'}")
