"""The folder of a plane; what a plane has left behind that was killed is ended and deleted before
the next one begins.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory, gettempdir

from hwds.core.files import in_use, lock_folder
from tests.support.aws_plane.servers import PORT, STOP

PREFIX, BEGUN = "hwds-plane-", "begun"
"""How folders of planes begin, and the file that one has from when it is locked: without it, it may
be about to be.
"""

MARK = f"\0{PORT}=".encode()
"""What the environment of a server and of its workers has, and that of a shell in its folder has
not.
"""


@contextmanager
def own_folder() -> Iterator[Path]:
    """Yield a new folder, locked as long as this process lives and deleted at the end."""
    for left in Path(gettempdir()).resolve().glob(f"{PREFIX}*"):
        with suppress(FileNotFoundError):  # another plane that begins has deleted it
            if left.stat().st_uid == os.getuid() and (left / BEGUN).is_file() and not in_use(left):
                _end(left)
                rmtree(left, ignore_errors=True)
    with TemporaryDirectory(prefix=PREFIX) as name, lock_folder(Path(name)):
        (Path(name) / BEGUN).touch()
        yield Path(name)


def _end(folder: Path) -> None:
    """End the servers that run in a folder, as SIGTERM does, and those that go on in spite of
    it.
    """
    running = _running_in(folder)
    for process in running.keys() - {
        child for child, parent in running.items() if parent in running
    }:
        _send(process, signal.SIGTERM)
    deadline = time.monotonic() + STOP
    while (running := _running_in(folder)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for process in running:
        _send(process, signal.SIGKILL)


def _running_in(folder: Path) -> dict[int, int]:
    """Return the servers and their workers in a folder, each with its parent.

    None on a system without `/proc`.
    """
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is somebody else's
            if (process / "cwd").readlink().is_relative_to(folder) and MARK in b"\0" + (
                process / "environ"
            ).read_bytes():
                found[int(process.name)] = int(
                    (process / "stat").read_text().rpartition(")")[2].split()[1]
                )
    return found


def _send(process: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, number)
