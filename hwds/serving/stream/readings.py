"""Readings: what machines say, a JSON object each, and what people say of them."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from math import isnan, nan
from typing import Any, NamedTuple, NoReturn
from zlib import crc32

from hwds.core.errors import DataError, nearest
from hwds.frames.checks import LARGEST
from hwds.serving.reading import parsed, shortened

LONGEST = 1 << 20
"""Bytes of a line at most."""

LONGEST_NAME = 200
"""Characters of a machine's name at most."""

CONTROLS = ("maintenance", "acknowledged", "ended")
"""Fields of messages that people send of a machine: it is being repaired, its alert was seen, it is gone."""


class Reading(NamedTuple):
    """A row of one machine.

    Attributes:
        machine: Its name.
        cycle: Its time, in the run's cycles.
        numbers: The values of sensors, then of settings; NaN where there is none.
        checksum: Of the numbers; the same reading is known by it when it comes again.
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
        machine: The fields that name a machine; of several the values are joined by `|`, as in a run's data.
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
        if len(line) > LONGEST:
            raise DataError(f"reading: must be a line of {LONGEST:,} bytes at most.")
        fields = parsed(line, "reading")
        if "of" in fields and any(name in fields for name in CONTROLS):
            return self._control(fields)
        machine = self._name(fields)
        cycle = fields.get(self._cycle)
        if isinstance(cycle, bool) or not isinstance(cycle, float | int) or not -LARGEST <= cycle <= LARGEST:
            raise DataError(f"reading of '{machine}': must have a number under '{self._cycle}', got {shortened(cycle)}.")
        numbers = tuple([self._number(machine, name, fields.get(name)) for name in self.names])
        if any(map(isnan, numbers)):
            self._refuse_misspelt(machine, fields)
        return Reading(machine, float(cycle), numbers, crc32(self._layout.pack(*numbers)))

    def named(self, machine: str, cycle: float) -> dict[str, Any]:
        """Return the fields that say which machine and cycle a reading is of."""
        parts = machine.split("|") if len(self._machine) > 1 else [machine]
        return {**dict(zip(self._machine, parts, strict=False)), self._cycle: cycle}

    def _name(self, fields: Mapping[str, Any]) -> str:
        parts = [fields.get(name) for name in self._machine]
        for name, part in zip(self._machine, parts, strict=True):
            if type(part) not in (str, int) or not str(part) or len(str(part)) > LONGEST_NAME:
                raise DataError(
                    f"reading: must have the machine's name under '{name}', {LONGEST_NAME} characters at most,"
                    f" got {shortened(part)}."
                )
        return "|".join(map(str, parts))

    def _number(self, machine: str, name: str, value: Any) -> float:
        """Return a number, NaN where there is none."""
        if type(value) is float and -LARGEST <= value <= LARGEST:
            return value
        if value is None or (type(value) is float and isnan(value)):
            return nan
        if type(value) is not int and type(value) is not float:
            raise DataError(f"reading of '{machine}': '{name}' must be a number, got {shortened(value)}.")
        if not -LARGEST <= value <= LARGEST:
            raise DataError(f"reading of '{machine}': '{name}' must be within {LARGEST:g}, got {shortened(value)}.")
        return float(value)

    def _refuse_misspelt(self, machine: str, fields: Mapping[str, Any]) -> None:
        """Refuse a reading that lacks a sensor and has a field of nearly its name."""
        absent = [name for name in self.names if name not in fields]
        for name in fields:
            hint = nearest(name, absent, ()) if name not in (*self._machine, self._cycle, *self.names) else "."
            if hint.startswith("; did"):
                raise DataError(f"reading of '{machine}': no sensor '{name}'{hint}")

    def _control(self, fields: Mapping[str, Any]) -> Control:
        given = [name for name in CONTROLS if name in fields]
        machine, what = fields["of"], given[0]
        if type(machine) not in (str, int):
            self._refuse(f"must have the machine's name under 'of', got {shortened(machine)}")
        if len(given) > 1:
            self._refuse(f"says {' and '.join(given)} at once")
        on, at = fields[what], fields.get("at")
        if not isinstance(on, bool) or not (on or what == "maintenance"):
            self._refuse(f"'{what}' must be true{' or false' if what == 'maintenance' else ''}, got {shortened(on)}")
        if at is not None and (type(at) not in (int, float) or not -LARGEST <= at <= LARGEST or what != "maintenance"):
            self._refuse(f"'at' must be a cycle, and goes with maintenance alone, got {shortened(at)}")
        return Control(str(machine), what, on, None if at is None else float(at))

    def _refuse(self, why: str) -> NoReturn:
        raise DataError(f"message: {why}.")
