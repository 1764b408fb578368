"""One Ray cluster for one process: joined, or started here; nothing of it on the terminal."""

from __future__ import annotations

import logging
import os
import re
from typing import TYPE_CHECKING, Any

from hwds.errors import ConfigError, HwdsError
from hwds.execution.threads import thread_variables
from hwds.registry import conf_dirs

if TYPE_CHECKING:
    from hwds.execution.on_ray import OnRay

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
}
"""What keeps Ray off the terminal, the network and the current folder; what it starts here goes on as fast as this process.

Nor does Tune write down in between how all of its trials stand: nothing is restored from that (`tuner.tuned` says why).
"""


def join(compute: OnRay) -> bool:
    """Ray for the rest of this process: a cluster that is started here ends with it.

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
    told: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL, "configure_logging": True}
    try:
        terms = compute.terms()
        environment = {"env_vars": worker_variables(compute)} | terms.pop("runtime_env", {})
        ray.init(**told, runtime_env=environment, **terms)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise refusal(getattr(compute, "address", "local"), str(error)) from error
    return True


def worker_variables(compute: OnRay) -> dict[str, str]:
    """The environment of workers: few threads, no chatter, and where the user's own modules lie."""
    own = [str(folder.parent) for folder in conf_dirs()[1:]]
    paths = [*own, *(path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path)]
    return thread_variables(compute.cpus_per_cell) | QUIET | ({"PYTHONPATH": os.pathsep.join(paths)} if paths else {})


def refusal(address: str, said: str) -> HwdsError:
    """Why a cluster was not joined, in one line."""
    where = "this machine" if address == "local" else f"'{address}'"
    ray, python = (re.findall(rf"{name}: (\S+)", said) for name in ("Ray", "Python"))
    if "ersion mismatch" in said and len(ray) == len(python) == 2:
        theirs, ours = zip(ray, python, strict=True)
        return ConfigError(
            f"compute.address: {where} runs Ray {theirs[0]} on Python {theirs[1]},"
            f" this process Ray {ours[0]} on Python {ours[1]}; both must be the same."
        )
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return HwdsError(f"compute.address: no Ray cluster could be joined at {where}: {lines[0] if lines else 'no reason given'}")
