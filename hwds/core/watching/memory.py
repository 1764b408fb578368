"""The memory of processes, and the processes that one has started, by Linux's /proc."""

from __future__ import annotations

import os
from pathlib import Path

GIB = 2**30
"""Bytes in a GiB."""

PROCESSES = Path("/proc")


def resident(pid: int) -> int:
    """Return the bytes that a process and all that it has started hold in memory; 0 where it is gone."""
    return sum(alone(process) for process in [pid, *started_by(pid)])


def started_by(pid: int) -> list[int]:
    """Return the processes that a process has started, and those that they have, as far as they can be read."""
    try:
        tasks = list((PROCESSES / str(pid) / "task").iterdir())
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []
    return [process for child in children for process in (child, *started_by(child))]


def alone(pid: int) -> int:
    """Return the bytes that one process holds in memory; 0 where it is gone."""
    try:
        return int((PROCESSES / str(pid) / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
