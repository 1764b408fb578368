"""Where Ray lays its sockets, logs and spilled objects on this machine, and that nothing is left: no file and no process."""

from __future__ import annotations

import atexit
import getpass
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from hwds.execution.ray_sweeper import left

LONGEST = 24
"""Letters of a folder of temporary files: the sockets in Ray's own below it may not have paths of more than 107."""

VARIABLE = "HWDS_RAY_HOME"
"""All processes of Ray inherit it, and are known by it."""

KEPT = "SPT_NOENV"
"""What keeps it readable: a process of Ray that gives itself a title writes that over its variables otherwise."""


TOKEN = "RAY_AUTH_TOKEN"
"""Who knows it may join. Where none is set Ray makes one and leaves it in `~/.ray`, where it locks clusters started later."""


@cache
def home() -> Path:
    """An empty folder that is gone when this process has ended, with all processes of Ray that stand in it."""
    found = tempfile.gettempdir()
    own = Path(found if len(found) <= LONGEST else "/tmp") / f"hwds-ray-{getpass.getuser()}" / str(os.getpid())
    own.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ |= {VARIABLE: str(own), KEPT: "1"}
    os.environ.setdefault(TOKEN, secrets.token_hex(32))
    sweeper = Path(__file__).with_name("ray_sweeper.py")
    command = [sys.executable, "-I", "-S", str(sweeper), str(own)]
    nowhere = subprocess.DEVNULL
    waiting = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere, start_new_session=True)
    atexit.register(_leave, own, waiting)
    return own


def _leave(own: Path, waiting: subprocess.Popen[bytes]) -> None:
    """Only once Ray has left it, too: a raylet that had to be killed leaves its agents, and they are swept."""
    import ray

    ray.shutdown()
    if left(str(own)):
        waiting.communicate()
    shutil.rmtree(own, ignore_errors=True)
    waiting.kill()
    waiting.wait()
