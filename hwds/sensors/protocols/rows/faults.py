"""Faults put into normal rows, by which settings are chosen without a look at what is scored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from hwds.core.seeds import stream
from hwds.frames.runs import Runs

KINDS = ("level", "drift", "noise", "stuck", "spikes")
"""A level that moves, one that drifts away, noise that grows, a value that stays, single values far off."""

LABEL = "__fault__"
SIZES = (1.0, 3.0)
"""The smallest and the largest fault, in standard deviations of the sensor."""


def with_faults(runs: Runs, first: int, number: int) -> Runs:
    """Return runs with one fault each in up to three of their sensors, somewhere after their first rows, and its label.

    It begins in the first third of what follows and lasts for two fifths to three fifths of it. Kinds take turns.

    Args:
        runs: Normal rows without labels.
        first: The rows of each that stay as they are.
        number: Names the draw.
    """
    values = runs.numbers(runs.sensors).copy()
    label = np.zeros(len(values))
    for place, (start, stop) in enumerate(zip(runs.offsets[:-1].tolist(), runs.offsets[1:].tolist(), strict=True)):
        rng = stream(0, "faults", number, runs.names[place])
        begin, end = _stretch(start + first, stop, rng)
        spread = values[start : start + first].std(axis=0)
        kind = KINDS[(place + number) % len(KINDS)]
        for sensor in rng.permutation(len(runs.sensors))[: rng.integers(1, 4)].tolist():
            size = spread[sensor] * rng.uniform(*SIZES) * rng.choice([-1.0, 1.0])
            values[begin:end, sensor] = faulty(values[begin:end, sensor], kind, size, rng)
        label[begin:end] = 1.0
    columns = [pl.Series(name, values[:, j]) for j, name in enumerate(runs.sensors)]
    data = runs.data.with_columns(*columns, pl.Series(LABEL, label))
    return replace(runs, data=data, roles=runs.roles | {"label": LABEL})


def faulty(values: np.ndarray, kind: str, size: float, rng: np.random.Generator) -> np.ndarray:
    """Return the values of one sensor under a fault of some size, shape (rows,)."""
    rows = len(values)
    if kind == "level":
        return values + size
    if kind == "drift":
        return values + 2 * size * np.linspace(0, 1, rows)
    if kind == "noise":
        return values + rng.normal(0, abs(size), rows)
    if kind == "stuck":
        return np.full(rows, values[0])
    return values + np.where(rng.random(rows) < 0.1, 4 * size, 0.0)


def _stretch(start: int, stop: int, rng: np.random.Generator) -> tuple[int, int]:
    room = stop - start
    begin = start + int(rng.uniform(0.1, 0.33) * room)
    return begin, min(begin + max(int(rng.uniform(0.4, 0.6) * room), 1), stop)
