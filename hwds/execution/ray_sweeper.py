"""Run beside a process that has started Ray: when that is killed, what Ray leaves goes; its agents would live for a minute."""

import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

GRACE = 3.0
"""Seconds in which Ray's processes may end by themselves."""


def main(home: str) -> None:
    """Wait until the input is closed, which the system does for a process that dies, however it dies."""
    sys.stdin.buffer.read()
    time.sleep(GRACE)
    for process in left(home):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(process, signal.SIGKILL)
    shutil.rmtree(home, ignore_errors=True)
    with suppress(OSError):
        Path(home).parent.rmdir()  # only where no other is there


def left(home: str) -> list[int]:
    """The processes of Ray that were started with this home."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            title = folder.joinpath("cmdline").read_bytes()
            marked = f"HWDS_RAY_HOME={home}".encode() in folder.joinpath("environ").read_bytes().split(b"\0")
            if marked and (title.startswith(b"ray::") or home.encode() + b"/" in title):
                found.append(int(folder.name))
    return found


if __name__ == "__main__":
    main(sys.argv[1])
