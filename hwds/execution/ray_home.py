"""Where Ray lays its sockets, logs and spilled objects on this machine, and that they go."""

from __future__ import annotations

import atexit
import getpass
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

LONGEST = 24
"""Letters of a folder of temporary files: the sockets in Ray's own below it may not have paths of more than 107."""


@cache
def home() -> Path:
    """An empty folder that is gone when this process ends; those of processes that were killed go now."""
    everyone = _everyone()
    everyone.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in everyone.iterdir():
        if not _alive(folder.name):
            shutil.rmtree(folder, ignore_errors=True)
    own = everyone / str(os.getpid())
    own.mkdir(exist_ok=True)
    atexit.register(_leave, own)
    return own


def _everyone() -> Path:
    found = tempfile.gettempdir()
    return Path(found if len(found) <= LONGEST else "/tmp") / f"hwds-ray-{getpass.getuser()}"


def _alive(process: str) -> bool:
    if not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _leave(own: Path) -> None:
    """Only once Ray has left it, too."""
    import ray

    ray.shutdown()
    shutil.rmtree(own, ignore_errors=True)
