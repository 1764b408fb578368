"""Following a run: what is new of it is shown in a tracker while it computes; that it cannot be is no failure of the mirror."""

from __future__ import annotations

import sys
import traceback
from dataclasses import replace
from pathlib import Path

from hwds.core.errors import HwdsError
from hwds.results.runs.progress import RunProgress
from hwds.tracking.curves import Curve
from hwds.tracking.reading import begun_record
from hwds.tracking.trackers.base import Following, Tracker

SECONDS = "seconds"
"""The axis of progress: since the run began."""


class Follower:
    """Looks at a run's folder and shows what is new.

    Args:
        tracker: Where it is shown.
        folder: Of the run or the sweep.
    """

    def __init__(self, tracker: Tracker, folder: Path) -> None:
        self.tracker, self.folder = tracker, folder
        self.following: Following | None = None
        self.points: list[tuple[int, dict[str, float]]] = []
        self.remark = ""

    def look(self) -> None:
        """Show what is new since the last look; after a failure no more."""
        if self.remark:
            return
        try:
            self._show()
        except (HwdsError, OSError, ValueError) as error:
            traceback.print_exc(file=sys.stderr)
            self.remark = f" It was not shown while it computed: {' '.join(str(error).split())[:200]}"

    def _show(self) -> None:
        record = begun_record(self.folder, self.tracker.group, every=self.tracker.metrics == "all")
        if record is None:
            return
        self.following = self.following or self.tracker.following()
        if self.following is not None:
            self._advance()
            curves = [*record.curves, *([Curve(SECONDS, tuple(self.points))] if self.points else [])]
            self.following.show(replace(record, curves=curves))

    def _advance(self) -> None:
        """Add a point of progress, where it has changed."""
        now = RunProgress.read(self.folder)
        if now is None or (self.points and int(now.seconds) <= self.points[-1][0]):
            return
        cells = {"cells_done": now.done, "cells": now.total, "cells_failed": now.failed}
        known = cells | {"score": now.value, "memory_gib": now.memory}
        self.points.append((int(now.seconds), {f"progress/{name}": float(v) for name, v in known.items() if v is not None}))

    def abandon(self) -> None:
        """Say that the run has ended without results."""
        if self.following is not None:
            self.following.abandon()
