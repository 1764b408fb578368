"""Faults of machines and of their sensors: when each lasts, and what it does to what is measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

KINDS = ("drift", "spike", "stuck", "imbalance")
"""A sensor that drifts away, has single values far off, or stays at one; a shaft out of balance."""

BEARING = "bearing"
ONSET = 0.7
"""The wear from which on a bearing is damaged: a fault that lasts until the machine fails or is replaced."""

QUIET = 120
"""Cycles at the beginning of a life without a fault, in which it is known to be well."""

SHORTEST, LONGEST = 20, 60
"""Cycles that a fault lasts until it is seen and mended."""

SENSORS = ("temperature", "current", "pressure")
"""The sensors that can be at fault themselves."""


@dataclass(frozen=True)
class Fault:
    """A fault of one machine.

    Attributes:
        kind: One of `KINDS`, or `BEARING`.
        begin: The first row.
        end: The row after the last.
        sensor: The sensor at fault; empty where the machine is.
        size: In standard deviations of the sensor's noise, or of the amplitude of a balanced shaft.
    """

    kind: str
    begin: int
    end: int
    sensor: str = ""
    size: float = 0.0


def draw_faults(rng: np.random.Generator, wear: np.ndarray, share: float, turn: int) -> tuple[Fault, ...]:
    """Return the faults of a life: at most one that comes by chance, and the bearing's once it is damaged.

    Args:
        rng: Draws sensor, time and size.
        wear: After each cycle, shape (t,).
        share: Of lives that meet a fault by chance, where they are long enough.
        turn: The kinds take turns: the number of the life among those of the factory.
    """
    kind, sensor = KINDS[turn % len(KINDS)], SENSORS[rng.integers(len(SENSORS))]
    size, lasts, met, when = rng.uniform(3, 8), int(rng.integers(SHORTEST, LONGEST + 1)), rng.random() < share, rng.random()
    damaged = int(np.searchsorted(wear, ONSET))
    out = []
    room = damaged - QUIET - lasts
    if met and room > 0:
        begin = QUIET + int(when * room)
        at_shaft = kind == "imbalance"
        out.append(Fault(kind, begin, begin + lasts, "" if at_shaft else sensor, size / 4 if at_shaft else size))
    if damaged < len(wear):
        out.append(Fault(BEARING, damaged, len(wear)))
    return tuple(out)


def labels_of(faults: tuple[Fault, ...], rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which rows are anomalous, and in which the state changes; shapes (rows,)."""
    label, change = np.zeros(rows), np.zeros(rows)
    for fault in faults:
        label[fault.begin : fault.end] = 1.0
        change[[place for place in (fault.begin, fault.end) if place < rows]] = 1.0
    return label, change


def at_fault(values: np.ndarray, fault: Fault, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Return what a sensor says of `values` while it is at fault, shape (rows,).

    Args:
        values: What it would say, shape (rows,).
        fault: Of the sensor.
        noise: The standard deviation of its noise.
        rng: Draws spikes.
    """
    out, part = values.copy(), slice(fault.begin, fault.end)
    rows = fault.end - fault.begin
    if fault.kind == "drift":
        out[part] += fault.size * noise * np.linspace(0, 1, rows)
    elif fault.kind == "stuck":
        out[part] = values[fault.begin]
    elif fault.kind == "spike":
        out[part] += np.where(rng.random(rows) < 0.15, 2 * fault.size * noise, 0.0)
    return out
