"""Reach: whether a store can take anything at all, before a library is loaded that would wait for it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from threading import Thread
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from hwds.results.secrets import without_secrets
from hwds.tracking.base import TrackingError

ROOM = 32 * 2**20
"""Bytes that must be free."""


def require_installed(library: str, extra: str) -> None:
    """Refuse to go on without a library.

    Raises:
        TrackingError: It is not there, with the command that brings it.
    """
    from importlib.util import find_spec

    if find_spec(library) is None:
        raise TrackingError(f"{library} is not installed; pip install {extra}")


def require_room(folder: Path) -> None:
    """Refuse a folder that cannot be written, or a disk that is full.

    Raises:
        TrackingError: With the reason.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0" * 4096)
            file.flush()
            os.fsync(file.fileno())
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise TrackingError(f"{folder}: cannot be written: {error.strerror or error}.") from error
    if free < ROOM:
        raise TrackingError(f"{folder}: the disk is full: {free / 2**20:.0f} MB are free, {ROOM / 2**20:.0f} are needed.")


def ask_early(address: str, seconds: float) -> None:
    """Ask a server that is needed later, so that nobody waits for it then."""
    Thread(target=lambda: _ANSWERS.setdefault(address, _said(address, seconds)), daemon=True).start()


_ANSWERS: dict[str, str] = {}
"""What was wrong with servers that were asked early; empty where they answered."""


def require_answer(address: str, seconds: float) -> None:
    """Refuse a server that does not answer in time; what it answers does not matter.

    Raises:
        TrackingError: With the reason.
    """
    said = _ANSWERS.pop(address, None)
    reason = _said(address, seconds) if said is None else said
    if reason:
        raise TrackingError(reason)


def _said(address: str, seconds: float) -> str:
    """What is wrong with a server, and which; empty where it answers in time."""
    said: list[str] = []
    shown = without_secrets(f"{urlsplit(address).scheme}://{urlsplit(address).netloc}")
    thread = Thread(target=lambda: said.append(_asked(address, seconds)), daemon=True)  # a name may take long to be found
    thread.start()
    thread.join(seconds)
    if not said:
        return f"{shown} does not answer within {seconds:g} s."
    return f"{shown} cannot be reached: {said[0]}." if said[0] else ""


def _asked(address: str, seconds: float) -> str:
    """What is wrong with a server; empty where it answers."""
    try:
        with urlopen(Request(address, headers={"User-Agent": "hwds"}), timeout=2 * seconds):
            return ""
    except HTTPError:
        return ""
    except URLError as error:
        return str(getattr(error.reason, "strerror", None) or error.reason)
    except OSError as error:
        return str(error.strerror or error)
