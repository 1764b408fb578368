"""Provenance: the command, the code, the machine and the data that numbers come from."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hwds.results.secrets import without_secrets

LIBRARIES = ("numpy", "polars", "hydra-core", "pydantic", "keras", "tensorflow", "xgboost", "pmdarima", "matplotlib")


def provenance(*, data: str, code: str, threads: int, device: str) -> dict[str, Any]:
    """All that is needed to have the same numbers again.

    Args:
        data: The fingerprint of the frame.
        code: The fingerprint of the source.
        threads: Threads of each cell.
        device: Where Keras and XGBoost compute.
    """
    return {
        "command": command_line(),
        "git": git_state(),
        "data": data,
        "code": code,
        "threads": threads,
        "device": device,
        "versions": {"python": platform.python_version(), **{name: installed(name) for name in LIBRARIES}},
        "machine": {"system": platform.platform(), "cpu": cpu_name(), "cores": os.cpu_count()},
    }


def command_line() -> str:
    """What this process was asked for, without secrets."""
    return without_secrets(shlex.join(["python", "-m", "hwds", *sys.argv[1:]]))


def installed(name: str) -> str | None:
    """The version of a distribution or of its build for CPUs, None where neither is installed."""
    for distribution in (name, f"{name}-cpu"):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return None


def cpu_name() -> str:
    """The model of the CPU, as the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def git_state() -> dict[str, Any] | None:
    """The commit of the current folder and whether it was changed; None outside a repository."""
    commit, status = _git("rev-parse", "HEAD"), _git("status", "--porcelain")
    return None if commit is None else {"commit": commit, "changed": bool(status)}


def _git(*words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], capture_output=True, text=True, timeout=10, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
