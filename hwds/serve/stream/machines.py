"""Machines of a stream: their readings in the order of their cycles, and their alerts by rules."""

from __future__ import annotations

import struct
from bisect import bisect_right, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from math import inf, isnan, nan, nextafter
from sys import float_info
from typing import Annotated, Any, ClassVar, NamedTuple, NoReturn
from zlib import crc32

import numpy as np
import yaml
from annotated_types import Ge, Le

from hwds.core.config import check_types
from hwds.core.errors import ConfigError, DataError, nearest
from hwds.core.questions import Fields, Json
from hwds.core.recipe import NonNegative, Recipe, Steps, construct
from hwds.core.serialization import Serializable
from hwds.frames.columns import LARGEST
from hwds.serve.events.reading import parse_object, shorten_value

# StreamRules: the settings of a stream, given as words after `hwds stream RUN`.

RULES_PATH = "stream"
FREE = ("batch", "snapshot_after", "machines")
"""Settings that change nothing of what readings that were taken come to, but for machines that are
refused.
"""


class StreamRules(Recipe):
    """The rules by which readings are put in order and scores become alerts.

    A score is above 1 where a row is anomalous by the run's model. An alert of a machine is opened,
    may be escalated once by its score and once for want of an acknowledgement, and is closed; while
    it is open no other one of the machine is.

    Attributes:
        late: How far behind the newest cycle of its machine a reading may come, in cycles: each
            waits until the newest is as far ahead. With 0 a reading counts at once, and one that
            comes after a newer one is late.
        most_ahead: How far ahead of the newest cycle of its machine a reading may be, in cycles.
            One that is further ahead is refused, for all that come after it would be late, unless
            the one before it was refused so, too, and is of another cycle no further away: then the
            machine has gone on there. 0 for any.
        waiting: The most readings of a machine that wait; when there are more, the oldest counts.
        remember: The last readings of a machine that are known again when they come twice; an older
            one counts as late.
        machines: The most machines that are followed; readings of others are refused.
        raise_after: The anomalous rows in a row after which an alert is opened.
        clear_after: The rows in a row at or below `clear_below` after which it is closed.
        clear_below: The score at or below which a row counts towards closing an alert.
        critical: The score above which a row counts towards a critical alert.
        quiet: The cycles after an alert was closed in which the machine's next one is held back
            unless it is critical.
        escalate_after: The cycles after which an alert that nobody has acknowledged is escalated; 0
            for never.
        scores: Whether the score of each row is written to a file too.
        batch: The most readings that are scored together.
        snapshot_after: The readings between two snapshots of the state, after which the log begins
            anew.
    """

    late: NonNegative = 0.0
    most_ahead: NonNegative = 0.0
    waiting: Steps = 1_000
    remember: Annotated[int, Ge(0), Le(100_000)] = 1_000
    machines: Annotated[int, Ge(1), Le(1_000_000)] = 10_000
    raise_after: Steps = 3
    clear_after: Steps = 10
    clear_below: Annotated[float, Ge(0), Le(1)] = 0.9
    critical: Annotated[float, Ge(1), Le(1e9)] = 3.0
    quiet: NonNegative = 0.0
    escalate_after: NonNegative = 0.0
    scores: bool = False
    batch: Annotated[int, Ge(1), Le(100_000)] = 1_000
    snapshot_after: Annotated[int, Ge(1), Le(10_000_000)] = 100_000

    @property
    def lasting(self) -> Json:
        """The settings that readings which were taken depend on."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name not in (*FREE, "name")
        }


def stream_rules(words: Iterable[str]) -> StreamRules:
    """Return the rules of words such as `raise_after=5`.

    Raises:
        ConfigError: One is no setting, or its value is not allowed.
    """
    names = [field.name for field in fields(StreamRules) if field.name != "name"]
    given: Json = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name not in names:
            raise ConfigError(f"{RULES_PATH}: no setting '{name}'{nearest(name, names)}")
        if name in given:
            raise ConfigError(f"{RULES_PATH}.{name}: is given twice.")
        given[name] = _rule_value(name, value)
    rules = construct(StreamRules, RULES_PATH, given)
    check_types(given, rules, RULES_PATH)
    return rules


def _rule_value(name: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{RULES_PATH}.{name}: must be a number, got '{text[:80]}'.") from error


# The alert of one machine: opened, escalated, closed, and held back while it is repaired.

WARNING, CRITICAL = "warning", "critical"
LARGEST_SCORE = float_info.max
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
        key: The alert that is open, `machine@cycle`, or `machine@cycle~ended_before`; empty where
            none is.
        severity: The severity of that one.
        opened: The cycle in which it was opened.
        messages: The number of messages of it.
        acknowledged: Whether somebody has seen it.
        overdue: Whether it was escalated because nobody has.
        sensor: The sensor that added most when it was opened.
        closed: The cycle in which the last one was closed.
        maintenance: Stretches of cycles, from the first one on and before the second.
        ended_before: The machines of the stream that had ended when this one began, which sets its
            alerts apart from those of an earlier machine of its name.
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

    def advance(
        self, machine: str, cycle: float, score: float, sensor: str | None, rules: StreamRules
    ) -> list[Json]:
        """Let a row happen; return its messages.

        Args:
            machine: Its name.
            cycle: The cycle of the row.
            score: The score of the row.
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

    def _open(self, machine: str, cycle: float, score: float, rules: StreamRules) -> list[Json]:
        """Return the messages while an alert is open."""
        if self.below >= rules.clear_after:
            return [self._close(machine, cycle, score, "normal")]
        messages = []
        if self.critical >= rules.raise_after and self.severity == WARNING:
            self.severity = CRITICAL
            messages.append(self._say("escalated", machine, cycle, score, "score"))
        due = 0 < rules.escalate_after <= cycle - self.opened
        if due and not self.acknowledged and not self.overdue:
            self.severity, self.overdue = CRITICAL, True
            messages.append(self._say("escalated", machine, cycle, score, "unacknowledged"))
        return messages

    def _begin(
        self, machine: str, cycle: float, score: float, sensor: str | None, severity: str
    ) -> Json:
        again = f"~{self.ended_before}" if self.ended_before else ""
        self.key = f"{machine}@{cycle_text(cycle)}{again}"
        self.severity, self.opened, self.sensor = severity, cycle, sensor or ""
        self.messages, self.acknowledged, self.overdue = 0, False, False
        return self._say("opened", machine, cycle, score, "score")

    def _close(self, machine: str, cycle: float, score: float, why: str) -> Json:
        message = self._say("closed", machine, cycle, score, why)
        self.key, self.severity, self.closed, self.below = "", "", cycle, 0
        return message

    def end(self, machine: str, cycle: float) -> list[Json]:
        """Return the messages when the machine is gone."""
        return [self._close(machine, cycle, float("nan"), "ended")] if self.key else []

    def _say(self, what: str, machine: str, cycle: float, score: float, why: str) -> Json:
        self.messages += 1
        return {
            "id": f"{self.key}#{self.messages}",
            "alert": self.key,
            "what": what,
            "why": why,
            "machine": machine,
            "cycle": cycle,
            "severity": self.severity,
            "score": None if isnan(score) else min(score, LARGEST_SCORE),
            "sensor": self.sensor,
            "opened": self.opened,
        }


def cycle_text(cycle: float) -> str:
    """Return a cycle in as many digits as tell it from all others, so that no two alerts of a
    machine have one name.
    """
    return repr(float(cycle)).removesuffix(".0")


# Readings: what machines say, a JSON object each, and what people say of them.

LONGEST_LINE = 1 << 20
"""Bytes of a line at most."""

LONGEST_NAME = 200
"""Characters of a machine's name at most."""

CONTROLS = ("maintenance", "acknowledged", "ended")
"""Fields of messages that people send of a machine: it is being repaired, its alert was seen, it is
gone.
"""


class Reading(NamedTuple):
    """A row of one machine.

    Attributes:
        machine: Its name.
        cycle: Its time, in the run's cycles.
        numbers: The values of sensors, then of settings; NaN where there is none.
        checksum: The checksum of the numbers, by which a reading that comes again is known.
    """

    machine: str
    cycle: float
    numbers: tuple[float, ...]
    checksum: int


class Control(NamedTuple):
    """A message that somebody sends of a machine.

    Attributes:
        machine: Its name.
        what: One of `CONTROLS`.
        on: Whether maintenance begins or ends; true for the others.
        at: The cycle from which it holds; None for the next one that is to come.
    """

    machine: str
    what: str
    on: bool
    at: float | None


class ReadingReader:
    """Reads lines.

    Args:
        machine: The fields that name a machine; of several the values are joined by `|`, as in a
            run's data.
        cycle: The field of the cycle.
        names: The fields of sensors, then of settings.
    """

    def __init__(self, machine: Sequence[str], cycle: str, names: Sequence[str]) -> None:
        self._machine, self._cycle, self.names = tuple(machine), cycle, tuple(names)
        self._layout = struct.Struct(f"{len(self.names)}d")

    def read(self, line: str) -> Reading | Control:
        """Read a line.

        Raises:
            DataError: It is neither a reading nor a control.
        """
        if len(line) > LONGEST_LINE:
            raise DataError(f"reading: must be a line of {LONGEST_LINE:,} bytes at most.")
        fields = parse_object(line, "reading")
        if "of" in fields and any(name in fields for name in CONTROLS):
            return self._control(fields)
        machine = self._name(fields)
        cycle = fields.get(self._cycle)
        if (
            isinstance(cycle, bool)
            or not isinstance(cycle, float | int)
            or not -LARGEST <= cycle <= LARGEST
        ):
            raise DataError(
                f"reading of '{machine}': must have a number under '{self._cycle}', got "
                f"{shorten_value(cycle)}."
            )
        numbers = tuple([self._number(machine, name, fields.get(name)) for name in self.names])
        if any(map(isnan, numbers)):
            self._refuse_misspelt(machine, fields)
        return Reading(machine, float(cycle), numbers, crc32(self._layout.pack(*numbers)))

    def name_fields(self, machine: str, cycle: float) -> Json:
        """Return the fields that say which machine and cycle a reading is of."""
        parts = machine.split("|") if len(self._machine) > 1 else [machine]
        return {**dict(zip(self._machine, parts, strict=False)), self._cycle: cycle}

    def _name(self, fields: Fields) -> str:
        parts = [fields.get(name) for name in self._machine]
        for name, part in zip(self._machine, parts, strict=True):
            if type(part) not in (str, int) or not str(part) or len(str(part)) > LONGEST_NAME:
                raise DataError(
                    f"reading: must have the machine's name under '{name}', {LONGEST_NAME} "
                    f"characters at most,"
                    f" got {shorten_value(part)}."
                )
        return "|".join(map(str, parts))

    def _number(self, machine: str, name: str, value: Any) -> float:
        """Return a number, NaN where there is none."""
        if type(value) is float and -LARGEST <= value <= LARGEST:
            return value
        if value is None or (type(value) is float and isnan(value)):
            return nan
        if type(value) is not int and type(value) is not float:
            raise DataError(
                f"reading of '{machine}': '{name}' must be a number, got {shorten_value(value)}."
            )
        if not -LARGEST <= value <= LARGEST:
            raise DataError(
                f"reading of '{machine}': '{name}' must be within {LARGEST:g}, got "
                f"{shorten_value(value)}."
            )
        return float(value)

    def _refuse_misspelt(self, machine: str, fields: Fields) -> None:
        """Refuse a reading that lacks a sensor and has a field of nearly its name."""
        absent = [name for name in self.names if name not in fields]
        for name in fields:
            hint = (
                nearest(name, absent, ())
                if name not in (*self._machine, self._cycle, *self.names)
                else "."
            )
            if hint.startswith("; did"):
                raise DataError(f"reading of '{machine}': no sensor '{name}'{hint}")

    def _control(self, fields: Fields) -> Control:
        given = [name for name in CONTROLS if name in fields]
        machine, what = fields["of"], given[0]
        if type(machine) not in (str, int):
            self._refuse(f"must have the machine's name under 'of', got {shorten_value(machine)}")
        if len(given) > 1:
            self._refuse(f"says {' and '.join(given)} at once")
        on, at = fields[what], fields.get("at")
        if not isinstance(on, bool) or not (on or what == "maintenance"):
            self._refuse(
                f"'{what}' must be true{' or false' if what == 'maintenance' else ''}, got "
                f"{shorten_value(on)}"
            )
        if at is not None and (
            type(at) not in (int, float) or not -LARGEST <= at <= LARGEST or what != "maintenance"
        ):
            self._refuse(
                f"'at' must be a cycle, and goes with maintenance alone, got {shorten_value(at)}"
            )
        return Control(str(machine), what, on, None if at is None else float(at))

    def _refuse(self, why: str) -> NoReturn:
        raise DataError(f"message: {why}.")


# One machine of a stream: its readings in the order of their cycles, each once, with short gaps
# filled as in a run's data.

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
        leapt: The cycle of a reading that was refused for being too far ahead, while no other has
            counted since; NaN for none.
        passed: The cycle up to which readings count although not all of `late` has passed, because
            too many waited.
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

    live: Any
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

    added: ClassVar = {"leapt": nan}

    def admit(self, reading: Reading, rules: StreamRules) -> str:
        """Let a reading wait for its turn.

        Return what became of it, which does not depend on what is scored together.
        """
        cycle = reading.cycle
        seen = self.waiting.get(cycle)
        checksum = (
            seen[0]
            if seen is not None
            else self._checksum_at(cycle)
            if cycle <= self.last
            else None
        )
        if checksum is not None:
            return (
                DUPLICATE if checksum == reading.checksum else "has come before with other numbers"
            )
        if cycle <= self._passed_cycle(rules):
            return f"{LATE}: cycle {self._passed_cycle(rules):g} has passed"
        if (
            0 < rules.most_ahead < cycle - self.newest < inf
            and not 0 < abs(cycle - self.leapt) <= rules.most_ahead
        ):
            self.leapt = cycle
            return f"is more than most_ahead={rules.most_ahead:g} ahead of cycle {self.newest:g}"
        self.leapt = nan
        self.waiting[cycle] = reading.checksum, reading.numbers
        insort(self.order, cycle)
        self.newest = max(self.newest, cycle)
        ahead = len(self.order) - bisect_right(self.order, self._passed_cycle(rules))
        if ahead > rules.waiting:
            self.passed = self.order[-rules.waiting - 1]
        return ACCEPTED

    def due(self, rules: StreamRules, *, all_of_them: bool = False) -> list[Row]:
        """Return the readings that count now, in the order of their cycles."""
        if all_of_them:
            self.passed = self.newest
        number = bisect_right(self.order, self._passed_cycle(rules))
        cycles, self.order = self.order[:number], self.order[number:]
        if not cycles:
            return []
        taken = [self.waiting.pop(cycle) for cycle in cycles]
        self.last = cycles[-1]
        self._remember(cycles, [checksum for checksum, _ in taken], rules.remember)
        return [(cycle, numbers) for cycle, (_, numbers) in zip(cycles, taken, strict=True)]

    def _passed_cycle(self, rules: StreamRules) -> float:
        """Return the cycle up to which readings count; what comes of it now is late."""
        return max(self.newest - rules.late, self.passed)

    def fill_gaps(self, row: Row, names: tuple[str, ...], longest: int) -> tuple[Row | None, str]:
        """Return a row with gaps filled by the last numbers, or None and why it does not count.

        Args:
            row: The reading.
            names: The names of its numbers.
            longest: The readings in a row over which a number is carried on.
        """
        cycle, numbers = row
        if not any(map(isnan, numbers)):
            self.carried, self.gaps = numbers, ()
            return row, ""
        carried = self.carried or (nan,) * len(numbers)
        whole = tuple(old if isnan(new) else new for new, old in zip(numbers, carried, strict=True))
        gaps = tuple(
            gap + 1 if isnan(new) else 0
            for new, gap in zip(numbers, self.gaps or (0,) * len(numbers), strict=True)
        )
        self.carried, self.gaps = whole, gaps
        for name, number, gap in zip(names, whole, gaps, strict=True):
            if isnan(number):
                return None, f"'{name}' has no number yet"
            if gap > longest:
                return (
                    None,
                    f"'{name}' has had no number for {gap} readings, more than "
                    f"dataset.longest_gap={longest}",
                )
        return (cycle, whole), ""

    def _checksum_at(self, cycle: float) -> int | None:
        """Return the checksum of a reading that has counted; None where it is not remembered."""
        place = int(np.searchsorted(self.cycles, cycle))
        return (
            int(self.sums[place])
            if place < len(self.cycles) and self.cycles[place] == cycle
            else None
        )

    def _remember(self, cycles: list[float], sums: list[int], most: int) -> None:
        kept = slice(max(0, len(self.cycles) + len(cycles) - most), None)
        self.cycles = np.concatenate([self.cycles, cycles])[kept]
        self.sums = np.concatenate([self.sums, np.array(sums, np.uint32)])[kept]
