"""A process that mirrors one folder beside a run, so that no library can block or break the run.

It shows what is new of the run once a second. A line on its standard input says that the run has
results; the end of the input, that it has none. One line of JSON is its answer: whether the mirror
is complete, and a message. What libraries print goes to a log, not to the run's terminal.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from select import select
from signal import alarm
from typing import IO

from hwds.core.errors import HwdsError
from hwds.core.secrets import without_secrets
from hwds.results.index import RunProgress
from hwds.track.mirroring import Ledger, mirror
from hwds.track.records import Curve, begun_record
from hwds.track.trackers.base import Following, Tracker, tracking_errors

LOOK_SECONDS = 1.0
"""Seconds between two looks at a run that computes."""

LONGEST_SECONDS = 3600
"""Seconds that one process may live after the run that started it."""


def main() -> int:
    """Mirror the folder for the tracker of its ledger that the command line names; return 0 where
    that succeeded.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # a library's prints go to the log
    try:
        with tracking_errors():
            whole, message = True, _mirror_beside(Path(sys.argv[1]), sys.argv[2])
    except HwdsError as error:
        traceback.print_exc()
        whole, message = False, str(error)
    with suppress(OSError):  # the run did not wait
        print(json.dumps([whole, without_secrets(message)]), file=answers, flush=True)
    return 0 if whole else 1


def _mirror_beside(folder: Path, name: str) -> str:
    """Show a run until it ends, and mirror it; return the location of the mirror."""
    tracker = Ledger(folder).read()[name].recipe(name)
    tracker.begin()
    follower = Follower(tracker, folder)
    with open(0, "rb", buffering=0) as orders:
        while not select([orders], [], [], LOOK_SECONDS)[0]:
            follower.look()
        if not _has_results(orders):
            follower.abandon()
            return ""
    alarm(LONGEST_SECONDS)
    return mirror(tracker, folder, following=follower.following) + follower.remark


def _has_results(orders: IO[bytes]) -> bool:
    return bool(orders.read(1))


class Follower:
    """Looks at a run's folder and shows what is new; that it cannot is no failure of the mirror.

    Args:
        tracker: The tracker that shows it.
        folder: The folder of the run or the sweep.
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
            with tracking_errors():
                self._show()
        except HwdsError as error:
            traceback.print_exc()
            self.remark = f" It was not shown while it computed: {str(error)[:200]}"

    def _show(self) -> None:
        record = begun_record(self.folder, self.tracker.group, every=self.tracker.metrics == "all")
        if record is None:
            return
        self.following = self.following or self.tracker.following()
        if self.following is not None:
            self._advance()
            progress = [Curve("seconds", tuple(self.points))] if self.points else []
            self.following.show(replace(record, curves=[*record.curves, *progress]))

    def _advance(self) -> None:
        """Add a point of progress, where it has changed."""
        now = RunProgress.read(self.folder)
        if now is None or (self.points and int(now.seconds) <= self.points[-1][0]):
            return
        cells = {"cells_done": now.done, "cells": now.total, "cells_failed": now.failed}
        numbers = cells | {"score": now.value, "memory_gib": now.memory}
        values = {f"progress/{name}": float(v) for name, v in numbers.items() if v is not None}
        self.points.append((int(now.seconds), values))

    def abandon(self) -> None:
        """Say that the run has ended without results."""
        if self.following is not None:
            self.following.abandon()


if __name__ == "__main__":
    sys.exit(main())
