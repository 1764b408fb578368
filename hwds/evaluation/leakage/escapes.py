"""Ways out of a fit that are no files: connections, other processes, and a walk through frames and objects of this one."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

from hwds.core.audit import is_of_system

PACKAGE = str(Path(__file__).resolve().parents[2])

PROCESSES = {"subprocess.Popen", "os.system", "os.posix_spawn", "os.exec", "os.fork", "os.forkpty"}
OBJECTS = {"gc.get_objects", "gc.get_referrers", "gc.get_referents"}
FRAMES = {"sys._getframe", "sys._current_frames"}
WALKS = "walks through the memory of its process"
"""Audit events; those alone count that a user's own code raises: libraries start helpers and look at frames, too."""

_ACTIVE: list[list[str]] = []
_BUSY = threading.local()


@contextmanager
def escapes() -> Iterator[list[str]]:
    """Yield a list of what was tried until the block ends, in words."""
    _install()
    found: list[str] = []
    _ACTIVE.append(found)
    try:
        yield found
    finally:
        _ACTIVE[:] = [other for other in _ACTIVE if other is not found]


@cache
def _install() -> None:
    sys.addaudithook(_heed)


def _heed(event: str, arguments: tuple[Any, ...]) -> None:
    if not _ACTIVE or getattr(_BUSY, "on", False):
        return
    _BUSY.on = True  # looking at the frame raises an event, too
    try:
        reason = _told(event, arguments)
    finally:
        _BUSY.on = False
    if reason:
        for found in _ACTIVE:
            found.append(reason)


def _told(event: str, arguments: tuple[Any, ...]) -> str:
    """Return what was tried, in words; empty for what is nobody's concern."""
    if event == "socket.connect" and not isinstance(arguments[1], str | bytes):  # those are of this machine
        return f"connects to {arguments[1]}"
    if event in PROCESSES and not _spread(sys._getframe(2)) and _is_own(_outside_of_python(sys._getframe(2))):
        return f"starts another process ({event})"
    if event in OBJECTS and _is_own(sys._getframe(2)):
        return f"{WALKS} ({event})"
    if event in FRAMES and _is_own(_outside_of_inspect(sys._getframe(2))):
        return f"{WALKS} ({event})"
    if event == "object.__getattr__" and arguments[1] == "tb_frame" and _is_own(sys._getframe(2)):
        return f"{WALKS} (tb_frame)"
    return ""


def _is_own(frame: FrameType | None) -> bool:
    """Return whether code is a user's: neither Python's, nor a library's, nor that of hwds."""
    if frame is None:
        return False
    file = frame.f_code.co_filename
    return not (file.startswith((PACKAGE, "<frozen")) or is_of_system(file))


def _outside_of_python(frame: FrameType | None) -> FrameType | None:
    """Return the nearest frame whose code is not Python's own."""
    while frame is not None and frame.f_code.co_filename.startswith(("<frozen", _python())):
        frame = frame.f_back
    return frame


def _spread(frame: FrameType | None) -> bool:
    """Return whether the nearest function is multiprocessing's, which spreads the work of a fit."""
    return frame is not None and str(frame.f_globals.get("__name__")).startswith("multiprocessing.")


def _outside_of_inspect(frame: FrameType | None) -> FrameType | None:
    while frame is not None and frame.f_globals.get("__name__") == "inspect":
        frame = frame.f_back
    return frame


@cache
def _python() -> str:
    """Return the folder of Python's own modules."""
    return str(Path(threading.__file__).parent)
