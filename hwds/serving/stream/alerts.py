"""The alert of one machine: opened, escalated, closed, and held back while it is repaired."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, isnan, nextafter
from sys import float_info
from typing import Any

from hwds.core.serialization import Serializable
from hwds.serving.stream.rules import StreamRules

WARNING, CRITICAL = "warning", "critical"
LARGEST = float_info.max
"""Stands for a score that is infinite, which JSON cannot hold."""

MOST_STRETCHES = 100
"""Stretches of maintenance of a machine that are remembered."""


@dataclass(eq=False)
class AlertState(Serializable):
    """The alert of a machine, and counts of its last rows.

    Attributes:
        above: Anomalous rows in a row.
        critical: Rows in a row above the critical score.
        below: Rows in a row that count towards closing.
        key: The alert that is open, `machine@cycle`, or `machine@cycle~ended_before`; empty where none is.
        severity: The severity of that one.
        opened: The cycle in which it was opened.
        messages: The number of messages of it.
        acknowledged: Whether somebody has seen it.
        overdue: Whether it was escalated because nobody has.
        sensor: The sensor that added most when it was opened.
        closed: The cycle in which the last one was closed.
        maintenance: Stretches of cycles, from the first one on and before the second.
        ended_before: The machines of the stream that had ended when this one began, which sets its alerts apart from those of
            an earlier machine of its name.
    """

    above: int = 0
    critical: int = 0
    below: int = 0
    key: str = ""
    severity: str = ""
    opened: float = 0.0
    messages: int = 0
    acknowledged: bool = False
    overdue: bool = False
    sensor: str = ""
    closed: float = -inf
    maintenance: list[list[float]] = field(default_factory=list)
    ended_before: int = 0

    @property
    def idle(self) -> bool:
        """True where normal rows change nothing."""
        return not (self.key or self.above)

    def maintain(self, on: bool, at: float | None, newest: float) -> None:
        """Let maintenance begin or end at a cycle, or after the newest one."""
        cycle = nextafter(newest, inf) if at is None else at
        if on:
            if not self.maintenance or self.maintenance[-1][1] < inf:
                self.maintenance.append([cycle, inf])
        elif self.maintenance and self.maintenance[-1][1] == inf:
            self.maintenance[-1][1] = cycle
        del self.maintenance[:-MOST_STRETCHES]

    def in_maintenance(self, cycle: float) -> bool:
        """Return whether the machine is repaired in a cycle."""
        return any(start <= cycle < stop for start, stop in self.maintenance)

    def advance(self, machine: str, cycle: float, score: float, sensor: str | None, rules: StreamRules) -> list[dict[str, Any]]:
        """Let a row happen; return its messages.

        Args:
            machine: Its name.
            cycle: Of the row.
            score: Of the row.
            sensor: The one that adds most to it, where it is anomalous.
            rules: The settings.
        """
        if self.in_maintenance(cycle):
            self.above = self.critical = self.below = 0
            return [self._close(machine, cycle, score, "maintenance")] if self.key else []
        self.above = self.above + 1 if score > 1.0 else 0
        self.critical = self.critical + 1 if score > rules.critical else 0
        self.below = self.below + 1 if score <= rules.clear_below else 0
        if self.key:
            return self._open(machine, cycle, score, rules)
        if self.above < rules.raise_after:
            return []
        severity = CRITICAL if self.critical >= rules.raise_after else WARNING
        if cycle < self.closed + rules.quiet and severity == WARNING:
            return []
        return [self._begin(machine, cycle, score, sensor, severity)]

    def _open(self, machine: str, cycle: float, score: float, rules: StreamRules) -> list[dict[str, Any]]:
        """Return the messages while an alert is open."""
        if self.below >= rules.clear_after:
            return [self._close(machine, cycle, score, "normal")]
        said = []
        if self.critical >= rules.raise_after and self.severity == WARNING:
            self.severity = CRITICAL
            said.append(self._say("escalated", machine, cycle, score, "score"))
        due = 0 < rules.escalate_after <= cycle - self.opened
        if due and not self.acknowledged and not self.overdue:
            self.severity, self.overdue = CRITICAL, True
            said.append(self._say("escalated", machine, cycle, score, "unacknowledged"))
        return said

    def _begin(self, machine: str, cycle: float, score: float, sensor: str | None, severity: str) -> dict[str, Any]:
        again = f"~{self.ended_before}" if self.ended_before else ""
        self.key = f"{machine}@{plain(cycle)}{again}"
        self.severity, self.opened, self.sensor = severity, cycle, sensor or ""
        self.messages, self.acknowledged, self.overdue = 0, False, False
        return self._say("opened", machine, cycle, score, "score")

    def _close(self, machine: str, cycle: float, score: float, why: str) -> dict[str, Any]:
        said = self._say("closed", machine, cycle, score, why)
        self.key, self.severity, self.closed, self.below = "", "", cycle, 0
        return said

    def end(self, machine: str, cycle: float) -> list[dict[str, Any]]:
        """Return the messages when the machine is gone."""
        return [self._close(machine, cycle, float("nan"), "ended")] if self.key else []

    def _say(self, what: str, machine: str, cycle: float, score: float, why: str) -> dict[str, Any]:
        self.messages += 1
        return {
            "id": f"{self.key}#{self.messages}",
            "alert": self.key,
            "what": what,
            "why": why,
            "machine": machine,
            "cycle": cycle,
            "severity": self.severity,
            "score": None if isnan(score) else min(score, LARGEST),
            "sensor": self.sensor,
            "opened": self.opened,
        }


def plain(cycle: float) -> str:
    """Return a cycle in as many digits as tell it from all others, so that no two alerts of a machine have one name."""
    return repr(float(cycle)).removesuffix(".0")
