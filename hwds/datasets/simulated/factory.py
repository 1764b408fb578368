"""Factory: simulated plants of machines that wear out, have faults, fail and are replaced."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, NamedTuple

import numpy as np
import polars as pl
from annotated_types import Ge, Le
from numpy import ndarray
from polars import DataFrame

from hwds.core.recipe import Small
from hwds.core.seeds import stream
from hwds.datasets.base import Truth
from hwds.datasets.simulated.engines import WearTruth, WearWorld, worn_life
from hwds.frames.roles import Roles
from hwds.frames.runs import Runs

# Raw windows of an accelerometer on a machine's bearing, and what is computed of each.

RESONANCE = 320.0
"""The frequency in Hz at which a blow on the bearing rings."""

DAMPING = 120.0
"""The rate at which a vibration dies away, in 1/s."""

FEATURES = (
    "vibration_rms",
    "vibration_crest",
    "vibration_kurtosis",
    "vibration_shaft",
    "vibration_bearing",
)


def raw_windows(
    rng: np.random.Generator,
    shaft: ndarray,
    bearing: ndarray,
    unbalance: ndarray,
    damage: ndarray,
    rate: int,
    samples: int,
) -> ndarray:
    """Return a window of acceleration for each row, shape (rows, samples).

    The shaft shakes at its frequency and twice of it, by its unbalance; a damaged place of the
    bearing is struck again and again, which makes it ring (McFadden and Smith 1984); the rest is
    noise. What is faster than half of the rate is filtered away before it is sampled.

    Args:
        rng: Draws phases and noise.
        shaft: Turns a second, shape (rows,).
        bearing: Blows a second, the bearing's outer-race frequency, shape (rows,).
        unbalance: The amplitude at the shaft's frequency, shape (rows,).
        damage: The height of blows, shape (rows,).
        rate: Samples a second.
        samples: The number of samples of a window.
    """
    time = np.arange(samples) / rate
    phase = rng.uniform(0, 2 * np.pi, (len(shaft), 3))
    turn = 2 * np.pi * shaft[:, None] * time
    once, twice = (unbalance * (shaft < rate / 2))[:, None], (0.2 * (2 * shaft < rate / 2))[:, None]
    shaken = once * np.sin(turn + phase[:, :1]) + twice * np.sin(2 * turn + phase[:, 1:2])
    since = ((bearing[:, None] * time + phase[:, 2:] / (2 * np.pi)) % 1.0) / bearing[:, None]
    ringing = (
        (damage * (rate / 2 > RESONANCE))[:, None]
        * np.exp(-DAMPING * since)
        * np.sin(2 * np.pi * RESONANCE * since)
    )
    return shaken + ringing + 0.3 * rng.standard_normal(shaken.shape)


def window_features(windows: ndarray, shaft: ndarray, bearing: ndarray, rate: int) -> ndarray:
    """Return the features of windows, shape (rows, features): see `FEATURES`.

    The amplitude at the shaft's frequency, and that of the envelope at the bearing's: of the signal
    less its slow part, whose absolute value is taken (envelope analysis, Randall and Antoni 2011).
    Below twice `RESONANCE` samples a second blows are not seen.

    Args:
        windows: Shape (rows, samples).
        shaft: Turns a second, shape (rows,).
        bearing: Blows a second, shape (rows,).
        rate: Samples a second.
    """
    centred = windows - windows.mean(axis=1, keepdims=True)
    rms = np.sqrt((centred**2).mean(axis=1))
    crest = np.abs(centred).max(axis=1) / rms
    kurtosis = (centred**4).mean(axis=1) / rms**4
    fast = np.diff(centred, n=2, axis=1)
    envelope = np.abs(fast)
    envelope = envelope - envelope.mean(axis=1, keepdims=True)
    return np.column_stack(
        [rms, crest, kurtosis, amplitude(centred, shaft, rate), amplitude(envelope, bearing, rate)]
    )


def amplitude(signals: ndarray, frequency: ndarray, rate: int) -> ndarray:
    """Return the amplitude of each signal at a frequency of its own, shape (rows,)."""
    time = np.arange(signals.shape[1]) / rate
    wave = np.exp(-2j * np.pi * frequency[:, None] * time)
    return 2 * np.abs((signals * wave).mean(axis=1))


# Faults of machines and of their sensors: when each lasts, and what it does to what is
# measured.

FAULT_KINDS = ("drift", "spike", "stuck", "imbalance")
"""A sensor that drifts away, has single values far off, or stays at one; a shaft out of balance."""

BEARING = "bearing"
ONSET = 0.7
"""The wear from which on a bearing is damaged: a fault that lasts until the machine fails or is
replaced.
"""

QUIET = 120
"""Cycles at the beginning of a life without a fault, in which it is known to be well."""

SHORTEST_FAULT, LONGEST_FAULT = 20, 60
"""Cycles that a fault lasts until it is seen and mended."""

FAULTY_SENSORS = ("temperature", "current", "pressure")
"""The sensors that can be at fault themselves."""


@dataclass(frozen=True)
class Fault:
    """A fault of one machine.

    Attributes:
        kind: One of `FAULT_KINDS`, or `BEARING`.
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


def draw_faults(
    rng: np.random.Generator, wear: ndarray, share: float, turn: int
) -> tuple[Fault, ...]:
    """Return the faults of a life: at most one that comes by chance, and the bearing's once it is
    damaged.

    Args:
        rng: Draws sensor, time and size.
        wear: After each cycle, shape (t,).
        share: The share of lives that meet a fault by chance, where they are long enough.
        turn: The kinds take turns: the number of the life among those of the factory.
    """
    kind = FAULT_KINDS[turn % len(FAULT_KINDS)]
    sensor, size = FAULTY_SENSORS[rng.integers(len(FAULTY_SENSORS))], rng.uniform(3, 8)
    lasts = int(rng.integers(SHORTEST_FAULT, LONGEST_FAULT + 1))
    met, when = rng.random() < share, rng.random()
    damaged = int(np.searchsorted(wear, ONSET))
    out = []
    room = damaged - QUIET - lasts
    if met and room > 0:
        begin = QUIET + int(when * room)
        at_shaft = kind == "imbalance"
        name, strength = ("", size / 4) if at_shaft else (sensor, size)
        out.append(Fault(kind, begin, begin + lasts, name, strength))
    if damaged < len(wear):
        out.append(Fault(BEARING, damaged, len(wear)))
    return tuple(out)


def fault_labels(faults: tuple[Fault, ...], rows: int) -> tuple[ndarray, ndarray]:
    """Return which rows are anomalous, and in which the state changes; shapes (rows,)."""
    label, change = np.zeros(rows), np.zeros(rows)
    for fault in faults:
        label[fault.begin : fault.end] = 1.0
        change[[place for place in (fault.begin, fault.end) if place < rows]] = 1.0
    return label, change


def faulty_values(values: ndarray, fault: Fault, noise: float, rng: np.random.Generator) -> ndarray:
    """Return what a sensor says of `values` while it is at fault, shape (rows,).

    Args:
        values: What it would say, shape (rows,).
        fault: The fault of the sensor.
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


# The lives of machines one after the other in their places, with what their sensors measure.

NOISE = {"temperature": 0.3, "current": 0.15, "pressure": 0.05, "debris": 0.03}
"""The standard deviations of the slow sensors, in degrees, ampere, bar, and of the count of
particles in the oil.
"""

INERTIA = 0.1
"""The share of a change of load that the temperature follows in a cycle."""

STAYS = 0.95
"""The chance that the operating condition of the next cycle is the same."""

REPAIR = 24
"""Cycles that a machine stands still after a failure; replaced in time it stands for a third of
that.
"""


class MachineKind(NamedTuple):
    """A kind of machine: the turns of its shaft a second at full speed, and blows of its bearing a
    turn.
    """

    name: str
    shaft: float
    blows: float


MACHINES = (
    MachineKind("pump", 25.0, 3.58),
    MachineKind("fan", 16.0, 5.41),
    MachineKind("compressor", 29.0, 4.9),
)


@dataclass(frozen=True, eq=False)
class FactoryLife:
    """A machine from new to its failure or its replacement.

    Attributes:
        name: The name of the run: plant, machine and number of the life.
        plant, kind: Where it stands, and what it is.
        wear: After each cycle, shape (t,).
        failed: Whether it failed in its last cycle, or was replaced.
        start: When it was new, on the clock that all share.
        settings: Load and speed in each cycle, shape (t, 2).
        sensors: What is measured, shape (t, sensors).
        faults: The faults of the life.
    """

    name: str
    plant: str
    kind: str
    wear: ndarray
    failed: bool
    start: float
    settings: ndarray
    sensors: ndarray = field(repr=False)
    faults: tuple[Fault, ...]


def factory_lives(plan: Factory) -> Iterator[FactoryLife]:
    """Yield the lives of all machines, plant by plant."""
    leaving = plan.leaving
    for number in range(plan.machines):
        place = stream(plan.world_seed, "place", number)
        clock = float(place.integers(0, max(int(plan.mean_life), 1)))
        for count in range(plan.lives):
            one = _life(plan, number, count, clock, leaving)
            clock += len(one.wear) + (REPAIR if one.failed else REPAIR // 3)
            yield one


def _life(plan: Factory, number: int, count: int, start: float, leaving: float) -> FactoryLife:
    rng = stream(plan.world_seed, "life", number, count)
    wear, cycles, failed = worn_life(rng, plan.law, leaving)
    wear = wear[:cycles]
    kind, plant = MACHINES[number % len(MACHINES)], number % plan.plants
    drawn = stream(plan.world_seed, "faults", number, count)
    faults = draw_faults(drawn, wear, plan.faults, number * plan.lives + count)
    settings = _conditions(plan, rng, cycles)
    own = stream(plan.world_seed, "machine", number).uniform(0.95, 1.05, 4)
    shaken = _vibration(plan, rng, kind, settings[:, 1], wear, faults, own[0])
    slow = _slow(rng, settings[:, 0], wear, own[1:], start + np.arange(cycles), plant)
    for fault in (each for each in faults if each.sensor):
        place = list(NOISE).index(fault.sensor)
        slow[:, place] = faulty_values(slow[:, place], fault, NOISE[fault.sensor], rng)
    name = f"plant {plant + 1} {kind.name} {number + 1:03d} life {count + 1}"
    sensors = np.column_stack([shaken, slow])
    return FactoryLife(
        name, f"plant {plant + 1}", kind.name, wear, failed, start, settings, sensors, faults
    )


def _conditions(plan: Factory, rng: np.random.Generator, cycles: int) -> ndarray:
    """Return load and speed, in regimes that stay for a while; shape (cycles, 2)."""
    levels = np.linspace(0.5, 1.0, plan.regimes) if plan.regimes > 1 else np.ones(1)
    changes = (rng.random(cycles) > STAYS) | (np.arange(cycles) == 0)
    drawn = rng.integers(0, plan.regimes, cycles)
    regime = drawn[np.maximum.accumulate(np.where(changes, np.arange(cycles), 0))]
    return np.column_stack(
        [levels[regime], 0.7 + 0.3 * levels[regime]]
    ) + 0.005 * rng.standard_normal((cycles, 2))


def _vibration(
    plan: Factory,
    rng: np.random.Generator,
    kind: MachineKind,
    speed: ndarray,
    wear: ndarray,
    faults: tuple[Fault, ...],
    own: float,
) -> ndarray:
    """Return the features of a window of acceleration in each cycle.

    Blows grow with wear, slowly at first.
    """
    shaft = kind.shaft * speed
    unbalance = 0.5 * own * speed**2
    for fault in faults:
        if fault.kind == "imbalance":
            unbalance[fault.begin : fault.end] *= 1 + fault.size
    damage = 0.15 + 0.3 * wear + 2.0 * np.maximum(wear - 0.7, 0.0)
    windows = raw_windows(
        rng, shaft, kind.blows * shaft, unbalance, damage, plan.rate, plan.samples
    )
    return window_features(windows, shaft, kind.blows * shaft, plan.rate)


def _slow(
    rng: np.random.Generator,
    load: ndarray,
    wear: ndarray,
    own: ndarray,
    clock: ndarray,
    plant: int,
) -> ndarray:
    """Return temperature, current, pressure and debris.

    The temperature follows the load slowly, and the day of its plant.

    The oil gathers particles as the machine wears, and their counter is calibrated: 1 where a
    machine fails.
    """
    day = 2.0 * np.sin(2 * np.pi * clock / 24 + plant)
    heat = np.empty(len(load))
    level = 40.0 + 20 * load[0]
    for row, wanted in enumerate(40.0 + own[0] * 20 * load + 4.0 * wear):
        level += INERTIA * (wanted - level)
        heat[row] = level
    current, pressure = own[1] * 10 * load * (1 + 0.05 * wear), own[2] * (3 + load)
    values = np.column_stack([heat + day, current, pressure, np.minimum(wear, 1.0)])
    return values + rng.standard_normal(values.shape) * np.array(list(NOISE.values()))


# Factory: simulated plants of machines that wear out, have faults, fail and are replaced, with
# their true state.

SENSORS = (*FEATURES, *NOISE)
ROLES = Roles(
    entity="machine",
    cycle="cycle",
    sensor=SENSORS,
    setting=("load", "speed"),
    static=("plant", "kind"),
    event="failed",
    start="start",
    label="fault",
    changepoint="change",
)


class Factory(WearWorld):
    """Simulated plants of pumps, fans and compressors, an hour a cycle; a new machine follows each
    that failed.

    In each cycle an accelerometer takes a window of raw samples, of which features are computed
    (root mean square, crest, kurtosis, the amplitude at the shaft's frequency, the envelope's
    amplitude at the bearing's); temperature, current, pressure and the particles in the oil are
    read once. Load and speed change in regimes. Wear is a gamma process (see `dataset=engines`),
    whose law of the remaining life is known at every cycle; the bearing is damaged from a wear of
    .7 on. Faults of other kinds come by chance and are mended: a sensor that drifts, has spikes or
    is stuck, a shaft out of balance. Rows with a fault bear a label, those with a damaged bearing
    too. Machines are replaced when they fail, or before, which censors that life.

    Attributes:
        plants: The number of plants, each with its own daily course.
        machines: The number of machines in all plants together.
        lives: The number of lives of each machine, one after the other.
        rate: Samples of the accelerometer a second; below 640 it does not see bearings.
        samples: The number of samples of a window.
        faults: The share of lives that meet a fault by chance, where they are long enough.
        censored: The share of lives that end by a replacement, about.
    """

    gives = Runs

    unit: str = "hours"
    mean_life: Annotated[float, Ge(5), Le(2_000)] = 300.0
    plants: Annotated[int, Ge(1), Le(1_000)] = 3
    machines: Annotated[int, Ge(2), Le(10_000), Small(6)] = 24
    lives: Annotated[int, Ge(1), Le(100), Small(1)] = 2
    rate: Annotated[int, Ge(1), Le(1_000)] = 1000
    samples: Annotated[int, Ge(16), Le(100_000)] = 256
    faults: Annotated[float, Ge(0), Le(1)] = 0.7

    def fleet(self) -> Iterator[FactoryLife]:
        """Yield the lives of all machines."""
        return factory_lives(self)

    def load(self) -> Runs:
        """Return the lives as runs."""
        table = pl.concat([_rows(life) for life in self.fleet()])
        return Runs.build(table, ROLES, regimes=self.regimes, unit=self.unit)

    def history(self) -> DataFrame:
        """Return what happened to each machine: the faults that came, what was mended, failures and
        replacements.

        Columns: `machine` (the run), `plant`, `kind` of machine, `what`, `sensor` (null where the
        machine is at fault), `begin` and `end` on the clock that all share.
        """
        return pl.concat([_history(life) for life in self.fleet()])

    def truth(self, task: str) -> Truth | None:
        """Return the model that knows each machine's wear, and the law by which it goes on."""
        return WearTruth(dataset=self) if task == "remaining_life" else None


def _rows(life: FactoryLife) -> DataFrame:
    """Return a row for each cycle of a life."""
    rows = len(life.wear)
    label, change = fault_labels(life.faults, rows)
    failed = np.zeros(rows)
    failed[-1] = life.failed
    return DataFrame(
        {
            "machine": [life.name] * rows,
            "cycle": np.arange(1.0, rows + 1),
            "load": life.settings[:, 0],
            "speed": life.settings[:, 1],
            **{name: life.sensors[:, place] for place, name in enumerate(SENSORS)},
            "plant": [life.plant] * rows,
            "kind": [life.kind] * rows,
            "failed": failed,
            "start": np.full(rows, life.start),
            "fault": label,
            "change": change,
        }
    )


def _history(life: FactoryLife) -> DataFrame:
    end = float(len(life.wear))
    events = [
        (fault.kind, fault.sensor or None, float(fault.begin), float(fault.end))
        for fault in life.faults
    ]
    events += [("failure" if life.failed else "replacement", None, end, end)]
    names = ("machine", "plant", "kind", "what", "sensor")
    rows = [
        (life.name, life.plant, life.kind, what, sensor, life.start + a, life.start + b)
        for what, sensor, a, b in events
    ]
    schema = {**dict.fromkeys(names, pl.String), "begin": pl.Float64, "end": pl.Float64}
    return DataFrame(rows, schema=schema, orient="row")
