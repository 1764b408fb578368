"""Run beside a process that has started Ray: when that is killed, what Ray leaves goes; its agents would live for a minute."""

import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

GRACE, PATIENCE = 3.0, 60.0
"""Seconds in which Ray's processes may end by themselves, and after which it is given up to end them."""

PAUSE, LOOKS = 0.2, 5
"""So many looks in a row, with a pause of so many seconds before each, that find none mean that none comes any more."""


def main(home: str) -> None:
    """Wait until the input is closed, which the system does for a process that dies, however it dies."""
    sys.stdin.buffer.read()
    sweep(home)
    shutil.rmtree(home, ignore_errors=True)
    with suppress(OSError):
        Path(home).parent.rmdir()  # only where no other is there


def sweep(home: str) -> None:
    """See to it that nothing is left; one look does not do: a process that is just being started shows nothing of itself."""
    began, unseen = time.monotonic(), 0
    while unseen < LOOKS and time.monotonic() - began < PATIENCE:
        time.sleep(PAUSE)
        found = left(home)
        unseen = 0 if found else unseen + 1
        for process in found if time.monotonic() - began >= GRACE else ():
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)


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
