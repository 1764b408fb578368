"""Progress of a stream in a small file, which pages show while it runs; nothing is read back from it."""

from __future__ import annotations

import time
from math import isnan
from pathlib import Path
from typing import Any

from hwds.core.checksums.files import write_json
from hwds.serving.stream.alerts import LARGEST
from hwds.serving.stream.rules import StreamRules
from hwds.serving.stream.state import StreamState

FILE = "progress.json"
PAUSE = 1.0
"""Seconds between two writes at least."""

SHOWN = 100
"""The most machines in the file: those with an open alert first, then those with the highest scores."""


class Progress:
    """The file of one stream, written once a second at most, whole each time.

    Args:
        folder: Of the stream.
        lines: Those that had come before.
    """

    def __init__(self, folder: Path, lines: int) -> None:
        self._folder, self._lines = folder, lines
        self._began = self._written = time.time()

    def write(self, state: StreamState, rules: StreamRules, *, last: bool = False) -> None:
        """Write it, where the last time is a second ago, or for the last time.

        Raises:
            HwdsError: The folder cannot be written.
        """
        moment = time.time()
        if not last and moment - self._written < PAUSE:
            return
        self._written = moment
        write_json(self._folder / FILE, self._content(state, rules, moment, running=not last))

    def _content(self, state: StreamState, rules: StreamRules, moment: float, *, running: bool) -> dict[str, Any]:
        seconds = moment - self._began
        order = sorted(state.machines.items(), key=lambda each: (not each[1].alert.key, -_number(each[1].score)))
        return {
            "running": running,
            "began": self._began,
            "at": moment,
            "lines_a_second": (state.totals["lines"] - self._lines) / seconds if seconds > 0 else 0.0,
            **state.totals,
            "alerts": state.written["alerts"],
            "machines": len(state.machines),
            "waiting": sum(len(machine.order) for machine in state.machines.values()),
            "shown": [
                {
                    "machine": name,
                    "cycle": machine.last if machine.last > -float("inf") else None,
                    "score": None if isnan(machine.score) else min(machine.score, LARGEST),
                    "sensor": machine.reason,
                    "alert": machine.alert.key,
                    "severity": machine.alert.severity,
                    "opened": machine.alert.opened if machine.alert.key else None,
                    "maintenance": machine.alert.in_maintenance(machine.last),
                }
                for name, machine in order[:SHOWN]
            ],
            "critical": rules.critical,
        }


def _number(score: float) -> float:
    return -1.0 if isnan(score) else score
