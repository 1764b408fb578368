"""No tracker."""

from __future__ import annotations

from hwds.track.trackers.base import Tracker


class None_(Tracker):
    """Mirror nothing: `hwds track RUN` can do it later."""

    def parts(self) -> tuple[Tracker, ...]:
        """None."""
        return ()
