"""Progress of a stream in a small file, which pages show while it runs; nothing is read back from it."""

from __future__ import annotations

import time
from collections import deque
from math import isfinite, isnan
from pathlib import Path
from typing import Any

from hwds.core.checksums.files import write_json
from hwds.results.streams import PROGRESS
from hwds.serving.stream.alerts import LARGEST
from hwds.serving.stream.machines import Machine
from hwds.serving.stream.rules import StreamRules
from hwds.serving.stream.state import StreamState

PAUSE = 1.0
"""Seconds between two writes at least."""

SHOWN = 100
"""The most machines in the file: those with an open alert first, then those with the highest scores."""

TRACED, POINTS = 8, 90
"""The first of them whose traces are in the file, and the points of a trace: rows that were the last ones at a write."""


class Progress:
    """The file of one stream, written once a second at most, whole each time.

    Args:
        folder: Of the stream.
        lines: Those that had come before.
        names: Of the numbers of a reading: sensors, then settings.
    """

    def __init__(self, folder: Path, lines: int, names: tuple[str, ...]) -> None:
        self._folder, self._lines, self._names = folder, lines, names
        self._began = self._written = time.time()
        self._traces: dict[str, deque[list[float | None]]] = {}

    def write(self, state: StreamState, rules: StreamRules, *, last: bool = False) -> None:
        """Write it, where the last time is a second ago, or for the last time.

        Raises:
            HwdsError: The folder cannot be written.
        """
        moment = time.time()
        if not last and moment - self._written < PAUSE:
            return
        write_json(self._folder / PROGRESS, self._content(state, rules, moment, running=not last))
        self._written, self._lines = moment, state.totals["lines"]

    def _content(self, state: StreamState, rules: StreamRules, moment: float, *, running: bool) -> dict[str, Any]:
        seconds = moment - self._written
        order = sorted(state.machines.items(), key=lambda each: (not each[1].alert.key, -_number(each[1].score)))[:SHOWN]
        self._trace(order)
        return {
            "running": running,
            "began": self._began,
            "at": moment,
            "lines_a_second": (state.totals["lines"] - self._lines) / seconds if seconds > 0 else 0.0,
            **state.totals,
            "alerts": state.written["alerts"],
            "machines": len(state.machines),
            "open": sum(bool(machine.alert.key) for machine in state.machines.values()),
            "waiting": sum(len(machine.order) for machine in state.machines.values()),
            "sensors": list(self._names),
            "shown": [
                {**_shown(name, machine), "trace": list(self._traces[name]) if place < TRACED else []}
                for place, (name, machine) in enumerate(order)
            ],
            "critical": rules.critical,
        }

    def _trace(self, order: list[tuple[str, Machine]]) -> None:
        """Let the traces of machines go on by their last rows; those of machines that are no longer shown end."""
        self._traces = {name: self._traces.get(name, deque(maxlen=POINTS)) for name, _ in order}
        for name, machine in order:
            trace, row = self._traces[name], (machine.last, machine.score, *machine.carried)
            if isfinite(machine.last) and not (trace and trace[-1][0] == machine.last):
                trace.append([_plain(value) for value in row])


def _shown(name: str, machine: Machine) -> dict[str, Any]:
    return {
        "machine": name,
        "cycle": machine.last if isfinite(machine.last) else None,
        "score": _plain(machine.score),
        "sensor": machine.reason,
        "alert": machine.alert.key,
        "severity": machine.alert.severity,
        "opened": machine.alert.opened if machine.alert.key else None,
        "maintenance": machine.alert.in_maintenance(machine.last),
    }


def _plain(value: float) -> float | None:
    """Return a number as JSON can hold it."""
    return None if isnan(value) else min(value, LARGEST)


def _number(score: float) -> float:
    return -1.0 if isnan(score) else score
