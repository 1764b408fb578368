"""The folder of Ray's sockets, logs and spilled objects on this machine; no file and no process is left behind."""

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

from hwds.execution.ray.cleanup import left

LONGEST = 24
"""The most letters of a folder of temporary files: the paths of Ray's sockets below it may have 107."""

VARIABLE = "HWDS_RAY_HOME"
"""The variable that all processes of Ray inherit, and are recognised by."""

KEPT = "SPT_NOENV"
"""The variable that keeps it readable: a process of Ray would otherwise write its title over its variables."""


TOKEN = "RAY_AUTH_TOKEN"
"""The variable of the token that joining takes. Where none is set Ray leaves one in `~/.ray`, which locks later clusters."""


@cache
def home() -> Path:
    """Return an empty folder that is gone when this process has ended, with all processes of Ray that use it."""
    temporary = tempfile.gettempdir()
    folder = Path(temporary if len(temporary) <= LONGEST else "/tmp") / f"hwds-ray-{getpass.getuser()}" / str(os.getpid())
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ |= {VARIABLE: str(folder), KEPT: "1"}
    os.environ.setdefault(TOKEN, secrets.token_hex(32))
    sweeper = Path(__file__).with_name("cleanup.py")
    command = [sys.executable, "-I", "-S", str(sweeper), str(folder)]
    nowhere = subprocess.DEVNULL
    waiting = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere, start_new_session=True)
    atexit.register(_clean_up, folder, waiting)
    return folder


def _clean_up(folder: Path, waiting: subprocess.Popen[bytes]) -> None:
    """End Ray, then its processes, then remove the folder: a raylet that had to be killed leaves its agents."""
    import ray

    ray.shutdown()
    if left(str(folder)):
        waiting.communicate()
    shutil.rmtree(folder, ignore_errors=True)
    waiting.kill()
    waiting.wait()
