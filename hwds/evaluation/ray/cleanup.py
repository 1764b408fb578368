"""A process beside one that has started Ray: when that one dies, it ends Ray's processes and
removes Ray's files.

Without it Ray's agents would live on for a minute.
"""

import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

GRACE, PATIENCE = 3.0, 60.0
"""Seconds in which Ray's processes may end by themselves, and seconds after which no more are
ended.
"""

PAUSE, LOOKS = 0.2, 5
"""Seconds between two looks, and looks in a row without a process after which none is left."""


def main(home: str) -> None:
    """Wait until the input is closed, as the system does when the other process dies, then clean
    up.
    """
    sys.stdin.buffer.read()
    end_processes(home)
    shutil.rmtree(home, ignore_errors=True)
    with suppress(OSError):
        Path(home).parent.rmdir()  # only where no other is there


def end_processes(home: str) -> None:
    """End all processes that are left.

    One look does not do: a process that is just starting is not recognised yet.
    """
    began, unseen = time.monotonic(), 0
    while unseen < LOOKS and time.monotonic() - began < PATIENCE:
        time.sleep(PAUSE)
        processes = processes_left(home)
        unseen = 0 if processes else unseen + 1
        for process in processes if time.monotonic() - began >= GRACE else ():
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)


def processes_left(home: str) -> list[int]:
    """Return the processes of Ray that were started with this home."""
    processes = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            title = folder.joinpath("cmdline").read_bytes()
            marked = f"HWDS_RAY_HOME={home}".encode() in folder.joinpath(
                "environ"
            ).read_bytes().split(b"\0")
            if marked and (title.startswith(b"ray::") or home.encode() + b"/" in title):
                processes.append(int(folder.name))
    return processes


if __name__ == "__main__":
    main(sys.argv[1])
