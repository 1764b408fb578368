"""The lives of machines one after the other in their places, with what their sensors measure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from hwds.core.seeds import stream
from hwds.datasets.simulated.plants.faults import Fault, at_fault, draw_faults
from hwds.datasets.simulated.plants.vibration import raw_windows, window_features
from hwds.datasets.simulated.wear.fleet import WearLaw, worn_life

NOISE = {"temperature": 0.3, "current": 0.15, "pressure": 0.05, "debris": 0.03}
"""The standard deviations of the slow sensors, in degrees, ampere, bar, and of the count of particles in the oil."""

INERTIA = 0.1
"""The share of a change of load that the temperature follows in a cycle."""

STAYS = 0.95
"""The chance that the operating condition of the next cycle is the same."""

REPAIR = 24
"""Cycles that a machine stands still after a failure; replaced in time it stands for a third of that."""


class Kind(NamedTuple):
    """A kind of machine: the turns of its shaft a second at full speed, and blows of its bearing a turn."""

    name: str
    shaft: float
    blows: float


MACHINES = (Kind("pump", 25.0, 3.58), Kind("fan", 16.0, 5.41), Kind("compressor", 29.0, 4.9))


@dataclass(frozen=True, eq=False)
class FactoryLife:
    """A machine from new to its failure or its replacement.

    Attributes:
        name: Of the run: plant, machine and number of the life.
        plant, kind: Where it stands, and what it is.
        wear: After each cycle, shape (t,).
        failed: Whether it failed in its last cycle, or was replaced.
        start: When it was new, on the clock that all share.
        settings: Load and speed in each cycle, shape (t, 2).
        sensors: What is measured, shape (t, sensors).
        faults: Of the life.
    """

    name: str
    plant: str
    kind: str
    wear: np.ndarray
    failed: bool
    start: float
    settings: np.ndarray
    sensors: np.ndarray = field(repr=False)
    faults: tuple[Fault, ...]


@dataclass(frozen=True)
class Plan:
    """The law by which lives of a factory are drawn; the fields are those of the dataset."""

    plants: int
    machines: int
    lives: int
    regimes: int
    rate: int
    samples: int
    faults: float
    leaving: float
    law: WearLaw
    seed: int


def lives_of(plan: Plan) -> Iterator[FactoryLife]:
    """Yield the lives of all machines, plant by plant."""
    for number in range(plan.machines):
        clock = float(stream(plan.seed, "place", number).integers(0, max(int(plan.law.mean_life), 1)))
        for count in range(plan.lives):
            one = _life(plan, number, count, clock)
            clock += len(one.wear) + (REPAIR if one.failed else REPAIR // 3)
            yield one


def _life(plan: Plan, number: int, count: int, start: float) -> FactoryLife:
    rng = stream(plan.seed, "life", number, count)
    wear, cycles, failed = worn_life(rng, plan.law, plan.leaving)
    wear = wear[:cycles]
    kind, plant = MACHINES[number % len(MACHINES)], number % plan.plants
    drawn = stream(plan.seed, "faults", number, count)
    faults = draw_faults(drawn, wear, plan.faults, number * plan.lives + count)
    settings = _conditions(plan, rng, cycles)
    own = stream(plan.seed, "machine", number).uniform(0.95, 1.05, 4)
    shaken = _vibration(plan, rng, kind, settings[:, 1], wear, faults, own[0])
    slow = _slow(rng, settings[:, 0], wear, own[1:], start + np.arange(cycles), plant)
    for fault in (each for each in faults if each.sensor):
        place = list(NOISE).index(fault.sensor)
        slow[:, place] = at_fault(slow[:, place], fault, NOISE[fault.sensor], rng)
    name = f"plant {plant + 1} {kind.name} {number + 1:03d} life {count + 1}"
    sensors = np.column_stack([shaken, slow])
    return FactoryLife(name, f"plant {plant + 1}", kind.name, wear, failed, start, settings, sensors, faults)


def _conditions(plan: Plan, rng: np.random.Generator, cycles: int) -> np.ndarray:
    """Return load and speed, in regimes that stay for a while; shape (cycles, 2)."""
    levels = np.linspace(0.5, 1.0, plan.regimes) if plan.regimes > 1 else np.ones(1)
    changes = (rng.random(cycles) > STAYS) | (np.arange(cycles) == 0)
    drawn = rng.integers(0, plan.regimes, cycles)
    regime = drawn[np.maximum.accumulate(np.where(changes, np.arange(cycles), 0))]
    return np.column_stack([levels[regime], 0.7 + 0.3 * levels[regime]]) + 0.005 * rng.standard_normal((cycles, 2))


def _vibration(
    plan: Plan, rng: np.random.Generator, kind: Kind, speed: np.ndarray, wear: np.ndarray, faults: tuple[Fault, ...], own: float
) -> np.ndarray:
    """Return the features of a window of acceleration in each cycle; blows grow with wear, slowly at first."""
    shaft = kind.shaft * speed
    unbalance = 0.5 * own * speed**2
    for fault in faults:
        if fault.kind == "imbalance":
            unbalance[fault.begin : fault.end] *= 1 + fault.size
    damage = 0.15 + 0.3 * wear + 2.0 * np.maximum(wear - 0.7, 0.0)
    windows = raw_windows(rng, shaft, kind.blows * shaft, unbalance, damage, plan.rate, plan.samples)
    return window_features(windows, shaft, kind.blows * shaft, plan.rate)


def _slow(
    rng: np.random.Generator, load: np.ndarray, wear: np.ndarray, own: np.ndarray, clock: np.ndarray, plant: int
) -> np.ndarray:
    """Return temperature, current, pressure and debris; the temperature follows the load slowly, and the day of its plant.

    The oil gathers particles as the machine wears, and their counter is calibrated: 1 where a machine fails.
    """
    day = 2.0 * np.sin(2 * np.pi * clock / 24 + plant)
    heat = np.empty(len(load))
    level = 40.0 + 20 * load[0]
    for row, wanted in enumerate(40.0 + own[0] * 20 * load + 4.0 * wear):
        level += INERTIA * (wanted - level)
        heat[row] = level
    drawn, pressure, debris = own[1] * 10 * load * (1 + 0.05 * wear), own[2] * (3 + load), np.minimum(wear, 1.0)
    values = np.column_stack([heat + day, drawn, pressure, debris])
    return np.asarray(values + rng.standard_normal(values.shape) * np.array(list(NOISE.values())))
