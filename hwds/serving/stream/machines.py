"""One machine of a stream: its readings in the order of their cycles, each once, with short gaps filled as in a run's data."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, isnan, nan
from typing import Any, ClassVar

import numpy as np

from hwds.core.serialization import Serializable
from hwds.sensors.live import MachineState
from hwds.serving.stream.alerts import AlertState
from hwds.serving.stream.readings import Reading
from hwds.serving.stream.rules import StreamRules

ACCEPTED, DUPLICATE, LATE = "", "duplicate", "is late"
"""Outcomes of a reading; any other text says why it is refused."""

Row = tuple[float, tuple[float, ...]]
"""The cycle and the numbers of a reading."""


@dataclass(eq=False)
class Machine(Serializable):
    """One machine.

    Attributes:
        live: The state of the model.
        alert: The state of its alert.
        newest: The newest cycle that a reading was of.
        leapt: The cycle of a reading that was refused for being too far ahead, while no other has counted since; NaN for none.
        passed: The cycle up to which readings count although not all of `late` has passed, because too many waited.
        last: The cycle of the last reading that counted.
        waiting: Readings that wait, by cycle: their checksum and their numbers.
        order: Their cycles, rising.
        cycles: The cycles of the last readings that counted, rising; as many as are remembered.
        sums: Their checksums.
        carried: The last number of each sensor and setting, NaN before the first.
        gaps: The readings since then without a number.
        score: The score of the last reading that counted; NaN in the reference.
        reason: The sensor that adds most to it, where it is anomalous.
    """

    live: MachineState
    alert: AlertState
    newest: float = -inf
    leapt: float = nan
    passed: float = -inf
    last: float = -inf
    waiting: dict[float, tuple[int, tuple[float, ...]]] = field(default_factory=dict)
    order: list[float] = field(default_factory=list)
    cycles: np.ndarray = field(default_factory=lambda: np.zeros(0))
    sums: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint32))
    carried: tuple[float, ...] = ()
    gaps: tuple[int, ...] = ()
    score: float = nan
    reason: str = ""

    added: ClassVar[Mapping[str, Any]] = {"leapt": nan}

    def admit(self, reading: Reading, rules: StreamRules) -> str:
        """Let a reading wait for its turn; return what became of it, which does not depend on what is scored together."""
        cycle = reading.cycle
        known = self.waiting.get(cycle)
        checksum = known[0] if known is not None else self._counted(cycle) if cycle <= self.last else None
        if checksum is not None:
            return DUPLICATE if checksum == reading.checksum else "has come before with other numbers"
        if cycle <= self._passed(rules):
            return f"{LATE}: cycle {self._passed(rules):g} has passed"
        if 0 < rules.most_ahead < cycle - self.newest < inf and not 0 < abs(cycle - self.leapt) <= rules.most_ahead:
            self.leapt = cycle
            return f"is more than most_ahead={rules.most_ahead:g} ahead of cycle {self.newest:g}"
        self.leapt = nan
        self.waiting[cycle] = reading.checksum, reading.numbers
        insort(self.order, cycle)
        self.newest = max(self.newest, cycle)
        ahead = len(self.order) - bisect_right(self.order, self._passed(rules))
        if ahead > rules.waiting:
            self.passed = self.order[-rules.waiting - 1]
        return ACCEPTED

    def due(self, rules: StreamRules, *, all_of_them: bool = False) -> list[Row]:
        """Return the readings that count now, in the order of their cycles."""
        if all_of_them:
            self.passed = self.newest
        number = bisect_right(self.order, self._passed(rules))
        cycles, self.order = self.order[:number], self.order[number:]
        if not cycles:
            return []
        taken = [self.waiting.pop(cycle) for cycle in cycles]
        self.last = cycles[-1]
        self._remember(cycles, [checksum for checksum, _ in taken], rules.remember)
        return [(cycle, numbers) for cycle, (_, numbers) in zip(cycles, taken, strict=True)]

    def _passed(self, rules: StreamRules) -> float:
        """Return the cycle up to which readings count; what comes of it now is late."""
        return max(self.newest - rules.late, self.passed)

    def filled(self, row: Row, names: tuple[str, ...], longest: int) -> tuple[Row | None, str]:
        """Return a row with gaps filled by the last numbers, or None and why it does not count.

        Args:
            row: The reading.
            names: Of its numbers.
            longest: The readings in a row over which a number is carried on.
        """
        cycle, numbers = row
        if not any(map(isnan, numbers)):
            self.carried, self.gaps = numbers, ()
            return row, ""
        carried = self.carried or (nan,) * len(numbers)
        whole = tuple(old if isnan(new) else new for new, old in zip(numbers, carried, strict=True))
        gaps = tuple(gap + 1 if isnan(new) else 0 for new, gap in zip(numbers, self.gaps or (0,) * len(numbers), strict=True))
        self.carried, self.gaps = whole, gaps
        for name, number, gap in zip(names, whole, gaps, strict=True):
            if isnan(number):
                return None, f"'{name}' has no number yet"
            if gap > longest:
                return None, f"'{name}' has had no number for {gap} readings, more than dataset.longest_gap={longest}"
        return (cycle, whole), ""

    def _counted(self, cycle: float) -> int | None:
        """Return the checksum of a reading that has counted; None where it is not remembered."""
        place = int(np.searchsorted(self.cycles, cycle))
        return int(self.sums[place]) if place < len(self.cycles) and self.cycles[place] == cycle else None

    def _remember(self, cycles: list[float], sums: list[int], most: int) -> None:
        kept = slice(max(0, len(self.cycles) + len(cycles) - most), None)
        self.cycles = np.concatenate([self.cycles, cycles])[kept]
        self.sums = np.concatenate([self.sums, np.array(sums, np.uint32)])[kept]
