"""Tracker: the recipe of a mirror of results. It reads what lies in a run's folder, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

from hwds.errors import HwdsError
from hwds.recipe import Recipe

if TYPE_CHECKING:
    from hwds.tracking.record import Record


class TrackingError(HwdsError):
    """A mirror could not be written or sent: the reason is in the message."""


class Tracker(Recipe):
    """What `tracker=` chooses: where results are mirrored to. It changes no number of a run, and not its folder's name.

    Class attributes: `library`, what must be installed; `service`, whether what is written has to be sent somewhere besides.

    Attributes:
        group: What its runs are put together under; where empty a sweep's own title, or the study's name.
    """

    library: ClassVar[str] = ""
    service: ClassVar[bool] = False
    group: str = ""

    def parts(self) -> tuple[Tracker, ...]:
        """The trackers it consists of, each of which may fail alone."""
        return (self,)

    def begin(self) -> None:
        """Load its library and open its store, while the run computes.

        Raises:
            TrackingError: It is not to be had.
        """
        raise NotImplementedError(f"{type(self).__name__}.begin")

    def write(self, records: Sequence[Record]) -> list[str]:
        """Mirror records, whole; what an earlier call wrote of them is replaced, never doubled.

        Returns:
            Where each of them lies, as `unsent` and `send` take it.

        Raises:
            TrackingError: The store does not take them.
        """
        raise NotImplementedError(f"{type(self).__name__}.write")

    def remote(self) -> bool:
        """Whether writing talks to a server."""
        return False

    def there(self, places: Sequence[str]) -> bool:
        """Whether what was written still lies where it was."""
        return True

    def unsent(self, places: Sequence[str]) -> list[str]:
        """Those of the places that still have to be sent to a service; none where writing is all there is."""
        return []

    def sends(self) -> bool:
        """Whether a run sends what it has written, without being asked to."""
        return False

    def send(self, places: Sequence[str]) -> None:
        """Send what was written; what was sent before is not sent again.

        Raises:
            TrackingError: The service does not take it.
        """

    def said(self, places: Sequence[str]) -> str:
        """Where it all is, in a line for the user."""
        raise NotImplementedError(f"{type(self).__name__}.said")


@contextmanager
def refusals() -> Iterator[None]:
    """Where a tracker's library, its store or the disk refuses, the reason in one line.

    Raises:
        TrackingError: In their stead.
    """
    try:
        yield
    except TrackingError:
        raise
    except Exception as error:  # a library may raise anything
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise TrackingError(lines[0][:300]) from error
