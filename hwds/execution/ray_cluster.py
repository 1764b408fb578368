"""A Ray cluster for one process: joined, or started here; nothing of it on the terminal."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from hwds.errors import ConfigError, HwdsError
from hwds.execution.threads import thread_variables
from hwds.registry import conf_dirs

if TYPE_CHECKING:
    from hwds.execution.ray import Ray

QUIET = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "RAY_DEDUP_LOGS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
"""What keeps Ray off the terminal, the network and the current folder."""


def join(compute: Ray) -> None:
    """Ray for the rest of this process: a cluster that is started here ends with it, whatever ends it but `kill -9`.

    Raises:
        ConfigError: Ray is not installed.
        HwdsError: The cluster cannot be reached.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ConfigError("compute: 'ray' needs the package ray[tune], which is not installed.") from error
    if ray.is_initialized():
        return
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        ray.init(**_terms(compute))
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise HwdsError(f"compute.address: no Ray cluster at {compute.address or 'this machine'}: {error}") from error


def _terms(compute: Ray) -> dict[str, Any]:
    own = [str(folder.parent) for folder in conf_dirs()[1:]]
    paths = [*own, *(path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path)]
    variables = thread_variables(compute.cpus_per_cell) | QUIET | ({"PYTHONPATH": os.pathsep.join(paths)} if paths else {})
    told: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "runtime_env": {"env_vars": variables},
        "configure_logging": True,
    }
    if compute.address:
        return told | {"address": compute.address}
    return told | {"num_cpus": compute.cpus, "include_dashboard": False}
