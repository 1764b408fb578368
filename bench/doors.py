"""Ways out of a sealed process, and tricks that read the future: `python -m bench.doors`.

Each door of `tests/support/doors.py` is tried from an open process and from a sealed one, and each
trick of `tests/contract/leaks` goes through the leak check. A trick is silent where nothing was
found and its answers are not those of an honest model. 1 where a door is open or a trick is silent.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from importlib import import_module
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

from hwds.core.sealed import ForkServer, Given
from hwds.evaluation.leak_questions import AskSealed, FileWatch
from tests.contract.test_leak_gallery import TRICKS, found, gallery, is_powerless
from tests.support import doors


def main() -> int:
    """Print a line for the doors, one for each kind of leak, and those that were missed."""
    began = time.process_time() + sum(os.times()[2:4])
    with gallery() as folder, ForkServer([AskSealed.__module__]) as server:
        missed = [*open_doors(server, folder), *silent_tricks(server, folder)]
    spent = time.process_time() + sum(os.times()[2:4]) - began
    print(f"{len(missed)} missed{': ' * bool(missed)}{', '.join(missed)}; {spent:.0f} s of CPU")
    return 1 if missed else 0


def open_doors(server: ForkServer, folder: Path) -> list[str]:
    """Return the doors that lead out of a sealed process, and print how many do."""
    os.link(folder / doors.DATA, folder / doors.LINKED)
    os.environ |= {doors.SECRET: "told", "HOME": str(folder)}
    memory = SharedMemory(doors.MEMORY, create=True, size=8)
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(doors.SOCKET)
        abstract.listen()
        os.environ["PORT"] = str(tcp.getsockname()[1])
        given = Given(
            {doors.__name__: str(doors.__file__)}, (), str(folder), {"PORT": os.environ["PORT"]}
        )
        with server.start(f"{doors.__name__}:answer", given) as process:
            sealed = json.loads(process.pipe.recv_bytes())
        outside = doors.tried()
    memory.close()
    memory.unlink()
    os.unlink(folder / doors.LINKED)
    inside = [name for name, what in sealed.items() if what]
    print(
        f"doors: {sum(map(bool, outside.values()))} of {len(outside)} lead out of an open process, "
        f"{len(inside)} out of a sealed one (walls lacking: {', '.join(process.lacking) or 'none'})"
    )
    return inside


def silent_tricks(server: ForkServer, folder: Path) -> list[str]:
    """Return the tricks that no check sees and that know more than an honest model, and print how
    many are caught.
    """
    watch = FileWatch(frozenset({str(folder / "sales.csv")}))
    os.environ["HWDS_GALLERY"] = "[]"
    silent, powerless = [], 0
    for name in TRICKS:
        trick = import_module(f"tests.contract.leaks.{name}")
        if found(trick, watch, server):
            continue
        if is_powerless(trick, watch, server):
            powerless += 1
        else:
            silent.append(name)
    caught = len(TRICKS) - powerless - len(silent)
    print(f"tricks: {caught} of {len(TRICKS)} are caught, {powerless} have no power behind walls")
    return silent


if __name__ == "__main__":
    sys.exit(main())
