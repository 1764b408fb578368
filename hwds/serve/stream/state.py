"""The state of a stream, what a batch of lines does to it, and the progress that pages show."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite, isnan
from pathlib import Path
from typing import Any

import numpy as np

from hwds.core.checksums import write_json
from hwds.core.errors import DataError
from hwds.core.questions import Fields, Json
from hwds.core.serialization import Serializable
from hwds.evaluation.serving import StreamModel
from hwds.frames.runs import RowsOfRuns
from hwds.results.event_log import LogEntry
from hwds.results.records import STREAM_PROGRESS
from hwds.serve.stream.machines import (
    ACCEPTED,
    DUPLICATE,
    LARGEST_SCORE,
    LATE,
    AlertState,
    Control,
    Machine,
    Reading,
    ReadingReader,
    Row,
    StreamRules,
)

# The state of a stream, and what a batch of lines does to it: all of it follows from the lines
# alone.

LINES, END = "lines", "end"
"""The kinds of entries: lines that have come, and that no more will."""

ALERTS, DEAD, SCORES = "alerts", "dead", "scores"
"""The files that are written."""

TOTALS = ("lines", "readings", "duplicates", "late", "refused", "scored", "anomalous", "controls")
KEPT = 1_000
"""Characters of a refused line that are kept."""


@dataclass(eq=False)
class StreamState(Serializable):
    """All that is kept of a stream.

    Attributes:
        machines: The machines, by name.
        position: The position up to which the source was read.
        totals: Counts of lines and of what became of them, by `TOTALS`; of machines that are gone
            too.
        written: The number of lines of each file.
        covered: The number of lines before the last snapshot.
        ended: The machines that are gone.
    """

    machines: dict[str, Machine] = field(default_factory=dict)
    position: Any = None
    totals: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TOTALS, 0))
    written: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys((ALERTS, DEAD, SCORES), 0)
    )
    covered: int = 0
    ended: int = 0


class StreamBehaviour:
    """The effect of lines on the state (`eventlog.replayed.Behaviour`); the same now and when they
    are replayed.

    Args:
        live: The model.
        reader: The reader of lines.
        rules: The settings.
        longest_gap: The readings in a row over which a number is carried on.

    Attributes:
        messages: Lines for the files that were not taken yet, each with the name of the file and
            its number there.
    """

    def __init__(
        self, live: StreamModel, reader: ReadingReader, rules: StreamRules, longest_gap: int
    ) -> None:
        self._live, self._reader, self._rules, self._longest_gap = live, reader, rules, longest_gap
        self._sensors = live.sensors
        self.messages: list[tuple[str, int, str]] = []

    def new(self) -> StreamState:
        """Return the state before the first line."""
        self.messages = []
        return StreamState()

    def apply(self, state: StreamState, entry: LogEntry) -> None:
        """Let lines come, or let those that wait count because no more will come."""
        position, *lines = entry.body.split("\n")
        state.position = json.loads(position)
        due: dict[str, None] = {}
        for line in lines:
            self._line(state, line, due)
        self._score(
            state, state.machines if entry.kind == END else due, all_of_them=entry.kind == END
        )

    def dump(self, state: StreamState) -> Any:
        """Return the state, which can be stored."""
        return state

    def fill(self, state: StreamState, dumped: Any) -> None:
        """Set a new state to a stored one."""
        state.machines, state.position = dumped.machines, dumped.position
        state.totals |= dumped.totals
        state.written |= dumped.written
        state.covered, state.ended = dumped.covered, dumped.ended

    def _line(self, state: StreamState, line: str, due: dict[str, None]) -> None:
        """Let a line come; the machines that have readings which may count are added to those that
        are due.
        """
        state.totals["lines"] += 1
        try:
            read = self._reader.read(line)
            if isinstance(read, Control):
                self._score(state, due, all_of_them=False)
                due.clear()
                self._control(state, read)
            else:
                self._reading(state, read, line)
                due[read.machine] = None
        except DataError as error:
            self._refuse(state, str(error), line)

    def _reading(self, state: StreamState, read: Reading, line: str) -> None:
        machine = state.machines.get(read.machine)
        if machine is None:
            if len(state.machines) >= self._rules.machines:
                raise DataError(
                    f"reading of '{read.machine}': {self._rules.machines:,} other machines are "
                    f"followed already."
                )
            machine = state.machines[read.machine] = Machine(
                self._live.new_state(), AlertState(ended_before=state.ended)
            )
        became = machine.admit(read, self._rules)
        if became == ACCEPTED:
            state.totals["readings"] += 1
        elif became == DUPLICATE:
            state.totals["duplicates"] += 1
        else:
            state.totals["late"] += became.startswith(LATE)
            raise DataError(f"reading of '{read.machine}' in cycle {read.cycle:g}: {became}.")

    def _control(self, state: StreamState, control: Control) -> None:
        machine = state.machines.get(control.machine)
        if machine is None:
            raise DataError(f"message: no machine '{control.machine}' has been heard of.")
        state.totals["controls"] += 1
        if control.what == "maintenance":
            machine.alert.maintain(control.on, control.at, machine.newest)
        elif control.what == "acknowledged":
            machine.alert.acknowledged = True
        else:
            self._score(state, [control.machine], all_of_them=True)
            self._say(state, ALERTS, machine.alert.end(control.machine, machine.last))
            del state.machines[control.machine]
            state.ended += 1

    def _refuse(self, state: StreamState, why: str, line: str) -> None:
        state.totals["refused"] += 1
        self._say(state, DEAD, [{"why": why, "line": line[:KEPT]}])

    def _score(
        self, state: StreamState, names: Sequence[str] | Fields, *, all_of_them: bool
    ) -> None:
        """Score the readings of machines that count now, and say what follows."""
        rows = {name: self._rows(state, name, all_of_them) for name in names}
        rows = {name: part for name, part in rows.items() if part}
        if not rows:
            return
        flat = [row for part in rows.values() for row in part]
        numbers = np.array([numbers for _, numbers in flat])
        counts = np.array([len(part) for part in rows.values()])
        cycles = np.array([cycle for cycle, _ in flat])
        new = RowsOfRuns(counts, cycles, numbers[:, : self._sensors], numbers[:, self._sensors :])
        scores = self._live.advance([state.machines[name].live for name in rows], new)
        start = 0
        for name, part in rows.items():
            stop = start + len(part)
            self._judge(state, name, part, scores.score[start:stop], scores.reason[start:stop])
            start = stop

    def _rows(self, state: StreamState, name: str, all_of_them: bool) -> list[Row]:
        """Return the readings of a machine that count now.

        Those with too long a gap are refused.
        """
        machine, rows = state.machines[name], []
        for row in machine.due(self._rules, all_of_them=all_of_them):
            whole, why = machine.fill_gaps(row, self._reader.names, self._longest_gap)
            if whole is None:
                state.totals["readings"] -= 1
                self._refuse(
                    state,
                    f"reading of '{name}' in cycle {row[0]:g}: {why}.",
                    self._as_line(name, row),
                )
            else:
                rows.append(whole)
        return rows

    def _as_line(self, name: str, row: Row) -> str:
        """Return a reading as a line."""
        cycle, numbers = row
        there = {
            key: number
            for key, number in zip(self._reader.names, numbers, strict=True)
            if not isnan(number)
        }
        return json.dumps(self._reader.name_fields(name, cycle) | there, ensure_ascii=False)

    def _judge(
        self,
        state: StreamState,
        name: str,
        rows: list[Row],
        score: np.ndarray,
        reason: list[str | None],
    ) -> None:
        """Let the alert of a machine follow its new rows."""
        is_scored = ~np.isnan(score)
        above = int((score > 1.0).sum())
        state.totals["scored"] += int(is_scored.sum())
        state.totals["anomalous"] += above
        machine = state.machines[name]
        machine.score, machine.reason = float(score[-1]), reason[-1] or ""
        messages = []
        if above or not machine.alert.idle:
            for (cycle, _), each, sensor in zip(rows, score.tolist(), reason, strict=True):
                if not isnan(each):
                    messages += machine.alert.advance(name, cycle, each, sensor, self._rules)
        self._say(state, ALERTS, messages)
        if self._rules.scores:
            columns = zip(rows, score.tolist(), reason, strict=True)
            scored = (
                (cycle, min(each, LARGEST_SCORE), sensor)
                for (cycle, _), each, sensor in columns
                if not isnan(each)
            )
            names = ("machine", "cycle", "score", "reason")
            self._say(
                state, SCORES, [dict(zip(names, (name, *each), strict=True)) for each in scored]
            )

    def _say(self, state: StreamState, file: str, contents: Sequence[Fields]) -> None:
        for content in contents:
            state.written[file] += 1
            number = state.written[file]
            self.messages.append(
                (file, number, json.dumps({"number": number, **content}, ensure_ascii=False))
            )


# Progress of a stream in a small file, which pages show while it runs; nothing is read back
# from it.

PROGRESS_PAUSE = 1.0
"""Seconds between two writes at least."""

MOST_SHOWN = 100
"""The most machines in the file: those with an open alert first, then those with the highest
scores.
"""

TRACED, POINTS = 8, 90
"""The first of them whose traces are in the file, and the points of a trace: rows that were the
last ones at a write.
"""


class StreamProgress:
    """The file of one stream, written once a second at most, whole each time.

    Args:
        folder: The folder of the stream.
        lines: The number of lines that had come before.
        names: The names of the numbers of a reading: sensors, then settings.
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
        if not last and moment - self._written < PROGRESS_PAUSE:
            return
        write_json(
            self._folder / STREAM_PROGRESS, self._content(state, rules, moment, running=not last)
        )
        self._written, self._lines = moment, state.totals["lines"]

    def _content(
        self, state: StreamState, rules: StreamRules, moment: float, *, running: bool
    ) -> Json:
        seconds = moment - self._written
        order = sorted(
            state.machines.items(),
            key=lambda each: (not each[1].alert.key, -_score_rank(each[1].score)),
        )[:MOST_SHOWN]
        self._trace(order)
        return {
            "running": running,
            "began": self._began,
            "at": moment,
            "lines_a_second": (state.totals["lines"] - self._lines) / seconds
            if seconds > 0
            else 0.0,
            **state.totals,
            "alerts": state.written["alerts"],
            "machines": len(state.machines),
            "open": sum(bool(machine.alert.key) for machine in state.machines.values()),
            "waiting": sum(len(machine.order) for machine in state.machines.values()),
            "sensors": list(self._names),
            "shown": [
                {
                    **_machine_facts(name, machine),
                    "trace": list(self._traces[name]) if place < TRACED else [],
                }
                for place, (name, machine) in enumerate(order)
            ],
            "critical": rules.critical,
        }

    def _trace(self, order: list[tuple[str, Machine]]) -> None:
        """Let the traces of machines go on by their last rows.

        Those of machines that are no longer shown end.
        """
        self._traces = {name: self._traces.get(name, deque(maxlen=POINTS)) for name, _ in order}
        for name, machine in order:
            trace, row = self._traces[name], (machine.last, machine.score, *machine.carried)
            if isfinite(machine.last) and not (trace and trace[-1][0] == machine.last):
                trace.append([_json_number(value) for value in row])


def _machine_facts(name: str, machine: Machine) -> Json:
    return {
        "machine": name,
        "cycle": machine.last if isfinite(machine.last) else None,
        "score": _json_number(machine.score),
        "sensor": machine.reason,
        "alert": machine.alert.key,
        "severity": machine.alert.severity,
        "opened": machine.alert.opened if machine.alert.key else None,
        "maintenance": machine.alert.in_maintenance(machine.last),
    }


def _json_number(value: float) -> float | None:
    """Return a number as JSON can hold it."""
    return None if isnan(value) else min(value, LARGEST_SCORE)


def _score_rank(score: float) -> float:
    return -1.0 if isnan(score) else score
