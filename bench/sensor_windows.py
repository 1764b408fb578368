"""Windows of sensors and PCA: readings a second of one core, beside the same windows in pandas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import process_time
from typing import Any

import numpy as np
import polars as pl

from bench.rows import Row, compared
from hwds.features.signal_windows import LearnedSignalWindows
from hwds.frames.roles import Roles
from hwds.frames.runs import Runs
from hwds.sensors.context import WINDOWS, SensorContext
from hwds.sensors.models.pca import PCA

NAME = "sensor windows (mean and standard deviation of ten rows of eight sensors) and PCA"
SIZE = 100_000
"""Rows of eight readings each, of ten machines."""

SENSORS = tuple(f"sensor_{i}" for i in range(1, 9))
MACHINES = 10
TOLERANCE = 1e-6
REPEATS = 3


def measure(rows: int = SIZE) -> list[Row]:
    """The windows against pandas' rolling ones, and how many readings a second go through windows and PCA."""
    runs = _runs(rows)
    fitted = PCA().fit(runs, context=SensorContext(0, first=400))
    fitted.predict(runs)  # the first call compiles, or reads what was compiled
    both = min(_seconds(lambda: fitted.predict(runs)) for _ in range(REPEATS))
    learned = WINDOWS.learn(runs)
    ours, theirs = learned.compute(runs), _pandas(learned, runs)
    mine = [_seconds(lambda: learned.compute(runs)) for _ in range(REPEATS)]
    rival = [_seconds(lambda: _pandas(learned, runs)) for _ in range(REPEATS)]
    readings = len(runs.data) * len(SENSORS)
    row = compared(f"{readings:,} readings, windows", mine, "pandas rolling", rival, np.allclose(ours, theirs, atol=TOLERANCE))
    note = f"windows, PCA, limits and reasons: {readings / both:,.0f} readings/s of one core"
    return [replace(row, note=note)]


def _seconds(work: Callable[[], Any]) -> float:
    start = process_time()
    work()
    return process_time() - start


def _runs(rows: int) -> Runs:
    """Return machines whose sensors are noise around levels of their own."""
    rng = np.random.default_rng(0)
    each = rows // MACHINES
    names = np.repeat([f"m{i}" for i in range(MACHINES)], each)
    values = rng.normal(size=(each * MACHINES, len(SENSORS))) + np.repeat(
        rng.normal(size=(MACHINES, len(SENSORS))), each, axis=0
    )
    columns = {name: values[:, j] for j, name in enumerate(SENSORS)}
    table = pl.DataFrame({"machine": names, "second": np.tile(np.arange(1.0, each + 1), MACHINES), **columns})
    return Runs.build(table, Roles(entity="machine", cycle="second", sensor=SENSORS))


def _pandas(learned: LearnedSignalWindows, runs: Runs) -> np.ndarray:
    import pandas as pd

    scaled = pd.DataFrame(learned.scaling.scaled(runs), columns=list(SENSORS))
    by_run = scaled.groupby(runs.run_of_row).rolling(10, min_periods=1)
    return np.column_stack([by_run.mean().to_numpy(), by_run.std(ddof=0).to_numpy()])
