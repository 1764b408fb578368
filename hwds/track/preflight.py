"""Preflight checks of a store, before a library is loaded that would wait for it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from threading import Thread
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from hwds.core.secrets import without_secrets
from hwds.track.trackers.base import TrackingError

ROOM_BYTES = 32 * 2**20
"""Bytes that must be free."""


def require_installed(library: str, extra: str) -> None:
    """Refuse a library that is not installed.

    Raises:
        TrackingError: It is not installed, with the command that installs it.
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
    if free < ROOM_BYTES:
        raise TrackingError(
            f"{folder}: the disk is full: {free / 2**20:.0f} MB are free, "
            f"{ROOM_BYTES / 2**20:.0f} are needed."
        )


def check_early(address: str, seconds: float) -> None:
    """Check a server that is needed later, in the background, so that nobody waits for it then."""
    Thread(
        target=lambda: _COMPLAINTS.setdefault(address, _complaint(address, seconds)), daemon=True
    ).start()


_COMPLAINTS: dict[str, str] = {}
"""The errors of servers that were checked early; empty where they answered."""


def require_answer(address: str, seconds: float) -> None:
    """Refuse a server that does not answer in time; its answer does not matter.

    Raises:
        TrackingError: With the reason.
    """
    early = _COMPLAINTS.pop(address, None)
    reason = _complaint(address, seconds) if early is None else early
    if reason:
        raise TrackingError(reason)


def _complaint(address: str, seconds: float) -> str:
    """Return the error of a server, with its address; empty where it answers in time."""
    errors: list[str] = []
    shown = without_secrets(f"{urlsplit(address).scheme}://{urlsplit(address).netloc}")
    thread = Thread(
        target=lambda: errors.append(_request(address, seconds)), daemon=True
    )  # resolving a name may take long
    thread.start()
    thread.join(seconds)
    if not errors:
        return f"{shown} does not answer within {seconds:g} s."
    return f"{shown} cannot be reached: {errors[0]}." if errors[0] else ""


def _request(address: str, seconds: float) -> str:
    """Return the error of a server; empty where it answers."""
    try:
        with urlopen(Request(address, headers={"User-Agent": "hwds"}), timeout=2 * seconds):
            return ""
    except HTTPError:
        return ""
    except URLError as error:
        return str(getattr(error.reason, "strerror", None) or error.reason)
    except OSError as error:
        return str(error.strerror or error)
