"""What runs on this machine, as /proc says it."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path


def processes() -> list[tuple[int, int, str]]:
    """Number, parent and title of all that run.

    What has ended and waits for its parent is left out.
    """
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, parent = folder.joinpath("stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                title = (
                    folder.joinpath("cmdline")
                    .read_bytes()
                    .replace(b"\0", b" ")
                    .decode(errors="replace")
                )
                found.append((int(folder.name), int(parent), title.strip()))
    return found


def marked(variables: dict[str, str]) -> list[tuple[int, str]]:
    """The processes that were started with these variables."""
    sought, found = {f"{name}={value}".encode() for name, value in variables.items()}, []
    for process, _, title in processes():
        with suppress(OSError):
            if sought <= set(Path(f"/proc/{process}/environ").read_bytes().split(b"\0")):
                found.append((process, title))
    return found


def wait_until(true, seconds: float = 60.0) -> bool:
    """Whether it became so in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.05)
    return False
