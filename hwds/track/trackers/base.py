"""Tracker: the recipe of a mirror of results. It reads what lies in a run's folder, and nothing
else. What every store is asked before it is used stands here, too.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from hwds.core.errors import HwdsError
from hwds.core.recipe import Recipe
from hwds.core.secrets import without_secrets

if TYPE_CHECKING:
    from hwds.track.records import Record


class TrackingError(HwdsError):
    """A mirror could not be written or sent: the reason is in the message."""


class Tracker(Recipe):
    """An option of `tracker=`: the store that results are mirrored to. It changes neither a run's
    numbers nor its folder. Whatever a method raises becomes a line for the user.

    Class attribute: `service`, whether written mirrors are sent to a service.

    Attributes:
        group: The group of its runs; where empty a sweep's own title, or the study's name.
        metrics: The metrics that are mirrored: `few` are the metrics of every leaderboard, the
            headline of rivals, and the losses of the first network or booster of each window; `all`
            is every metric, aggregate, rival and fit.
    """

    service: ClassVar[bool] = False
    group: str = ""
    metrics: Literal["few", "all"] = "few"

    def parts(self) -> tuple[Tracker, ...]:
        """Return the trackers it consists of, each of which may fail alone."""
        return (self,)

    def begin(self) -> None:
        """Load its library and open its store, while the run computes and before each mirror.

        Raises:
            TrackingError: They are not available.
        """
        raise NotImplementedError(f"{type(self).__name__}.begin")

    def write(self, records: Sequence[Record]) -> list[str]:
        """Mirror records completely; those of an earlier call are replaced, never duplicated.

        Returns:
            The location of each record, as `unsent` and `send` take it.
        """
        raise NotImplementedError(f"{type(self).__name__}.write")

    def following(self) -> Following | None:
        """Return what shows a run while it is computed.

        None where the tracker shows finished ones alone.
        """
        return None

    def remote(self) -> bool:
        """Return whether writing talks to a server."""
        return False

    def exist(self, places: Sequence[str]) -> bool:
        """Return whether the written mirrors still exist."""
        return True

    def unsent(self, places: Sequence[str]) -> list[str]:
        """Return the places that still have to be sent to a service.

        None for a tracker without a service.
        """
        return []

    def sends(self) -> bool:
        """Return whether a run sends its mirrors by itself."""
        return False

    def send(self, places: Sequence[str]) -> None:
        """Send written mirrors; those that were sent before are not sent again."""

    def location(self, places: Sequence[str]) -> str:
        """Return the location of the mirrors, in a line for the user."""
        raise NotImplementedError(f"{type(self).__name__}.location")


class Following(Protocol):
    """A mirror of a run or a sweep that is being computed."""

    def show(self, record: Record) -> None:
        """Show what is new since the last call.

        Args:
            record: The run as far as it is known; its curves only grow.
        """

    def finish(self, records: Sequence[Record]) -> list[str]:
        """Complete the mirror by the records of the finished run, as `Tracker.write` does."""

    def abandon(self) -> None:
        """Say that the run has ended without results."""


@contextmanager
def tracking_errors() -> Iterator[None]:
    """Turn any error of a tracker's library, its store or the disk into a `TrackingError` of one
    line.

    Raises:
        TrackingError: Another error was raised.
    """
    try:
        yield
    except HwdsError:
        raise
    except Exception as error:  # a library may raise anything
        reason = without_secrets(f"{type(error).__name__}: {error}".strip())
        raise TrackingError(reason.splitlines()[0][:300]) from error


ROOM_BYTES = 32 * 2**20
"""Bytes that must be free."""


def require_room(folder: Path) -> None:
    """Refuse a folder that cannot be written, or a disk that is full.

    Raises:
        TrackingError: It cannot be used.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0" * 4096)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise TrackingError(f"{folder}: cannot be written: {error.strerror or error}.") from error
    if free < ROOM_BYTES:
        raise TrackingError(
            f"{folder}: the disk is full: {free / 2**20:.0f} MB are free, "
            f"{ROOM_BYTES / 2**20:.0f} are needed."
        )


def require_answer(address: str, seconds: float) -> None:
    """Refuse a server that does not answer in time; its answer does not matter.

    A library would try again for minutes.

    Raises:
        TrackingError: It cannot be used.
    """
    parts = urlsplit(address)
    shown = without_secrets(f"{parts.scheme}://{parts.netloc}")
    try:
        with urlopen(Request(address, headers={"User-Agent": "hwds"}), timeout=seconds):
            return
    except HTTPError:
        return
    except OSError as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, TimeoutError):
            raise TrackingError(f"{shown} does not answer within {seconds:g} s.") from error
        text = getattr(reason, "strerror", None) or reason
        raise TrackingError(f"{shown} cannot be reached: {text}.") from error
