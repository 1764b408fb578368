"""Provenance: the command, the code, the machine and the data behind the numbers."""

from __future__ import annotations

import getpass
import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hwds.core.secrets import without_secrets

LIBRARIES = ("numpy", "polars", "hydra-core", "pydantic", "keras", "tensorflow", "xgboost", "pmdarima", "matplotlib")


def provenance(*, data: str, code: str, threads: int, device: str) -> dict[str, Any]:
    """Return all that is needed to reproduce the numbers.

    Args:
        data: The fingerprint of the frame.
        code: The fingerprint of the source.
        threads: The threads of each cell.
        device: The device of Keras and XGBoost.
    """
    return {
        "command": command_line(),
        "when": now(),
        "user": user_name(),
        "git": git_state(),
        "data": data,
        "code": code,
        "threads": threads,
        "device": device,
        "versions": {"python": platform.python_version(), **{name: installed(name) for name in LIBRARIES}},
        "machine": {"system": platform.platform(), "cpu": cpu_name(), "cores": os.cpu_count()},
    }


def now() -> str:
    """Return the time in UTC, as `2026-11-28T09:30:00.123456+00:00`: lists are ordered by it, wherever files are copied."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def command_line() -> str:
    """Return the command line of this process, without secrets."""
    return without_secrets(shlex.join(["python", "-m", "hwds", *sys.argv[1:]]))


@cache
def installed(name: str) -> str | None:
    """Return the version of a distribution or of its build for CPUs, None where neither is installed."""
    for distribution in (name, f"{name}-cpu"):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return None


def cpu_name() -> str:
    """Return the model of the CPU."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def user_name() -> str:
    """Return the name of who runs it: the system's; empty where there is none."""
    try:
        return without_secrets(getpass.getuser())
    except (KeyError, OSError):  # a process of a user without a name
        return ""


def git_state() -> dict[str, Any] | None:
    """Return the commit of the current folder and whether there are uncommitted changes; None outside a repository."""
    commit = _git("rev-parse", "HEAD")
    return None if commit is None else {"commit": commit, "changed": bool(_git("status", "--porcelain"))}


def _git(*words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], capture_output=True, text=True, timeout=10, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
