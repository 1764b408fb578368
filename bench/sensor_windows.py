"""Windows of sensors and PCA: readings a second of one core, in a batch and a stream, beside the
same windows of rivals.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import polars as pl

from bench.rows import Row, compared
from hwds.frames.features.signal_windows import LearnedSignalWindows
from hwds.frames.roles import Roles
from hwds.frames.runs import Runs
from hwds.sensors.models.base import WINDOWS, FittedSensors, SensorContext
from hwds.sensors.models.pca import PCA
from hwds.serve.stream.machines import StreamRules
from hwds.serve.stream.shard import FollowedModel, Shard
from hwds.serve.stream.sources import JsonLines

NAME = "sensor windows (mean and standard deviation of ten rows of eight sensors) and PCA"
SIZE = 100_000
"""Rows of eight readings each, of ten machines."""

SENSORS = tuple(f"sensor_{i}" for i in range(1, 9))
MACHINES = 10
TOLERANCE = 1e-6
REPEATS = 3


FEW = 2_000
"""Rows that tsfresh is given, which is not installed with hwds: `pip install tsfresh`."""

STREAMED = 20_000
"""Lines of a stream."""


def measure(rows: int = SIZE) -> list[Row]:
    """The windows against pandas' rolling ones and tsfresh's, and how many readings a second go
    through windows and PCA.
    """
    runs = machines_of(rows)
    fitted = PCA().fit(runs, context=SensorContext(0, first=400))
    fitted.predict(runs)  # the first call compiles, or reads what was compiled
    both = min(_seconds(lambda: fitted.predict(runs)) for _ in range(REPEATS))
    learned = WINDOWS.learn(runs)
    ours, theirs = learned.compute(runs), _pandas(learned, runs)
    mine = [_seconds(lambda: learned.compute(runs)) for _ in range(REPEATS)]
    rival = [_seconds(lambda: _pandas(learned, runs)) for _ in range(REPEATS)]
    readings = len(runs.data) * len(SENSORS)
    row = compared(
        f"{readings:,} readings, windows",
        mine,
        "pandas rolling",
        rival,
        np.allclose(ours, theirs, atol=TOLERANCE),
    )
    lines = STREAMED / _streamed(fitted)
    note = (
        f"windows, PCA, limits and reasons: {readings / both:,.0f} readings/s of one core;"
        f" as a stream of JSON {len(SENSORS) * lines:,.0f} ({lines:,.0f} lines/s)"
    )
    return [replace(row, note=note), *(_against_tsfresh() if find_spec("tsfresh") else [])]


def _against_tsfresh() -> list[Row]:
    """The same windows of fewer rows by tsfresh, which takes each window apart."""
    runs = machines_of(FEW)
    learned = WINDOWS.learn(runs)
    ours, theirs = learned.compute(runs), _tsfresh(learned, runs)
    mine = [_seconds(lambda: learned.compute(runs)) for _ in range(REPEATS)]
    rival = [_seconds(lambda: _tsfresh(learned, runs)) for _ in range(REPEATS)]
    equal = np.allclose(ours, theirs, atol=TOLERANCE)
    return [
        compared(
            f"{len(runs.data) * len(SENSORS):,} readings, windows",
            mine,
            "tsfresh, rolled",
            rival,
            equal,
        )
    ]


def _tsfresh(learned: LearnedSignalWindows, runs: Runs) -> np.ndarray:
    import pandas as pd
    from tsfresh import extract_features
    from tsfresh.utilities.dataframe_functions import roll_time_series

    table = pd.DataFrame(learned.scaling.scale(runs), columns=list(SENSORS))
    table["id"], table["time"] = runs.run_of_row, runs.cycles
    windows = roll_time_series(
        table, "id", "time", max_timeshift=9, min_timeshift=0, n_jobs=0, disable_progressbar=True
    )
    made = extract_features(
        windows,
        column_id="id",
        column_sort="time",
        default_fc_parameters={"mean": None, "standard_deviation": None},
        n_jobs=0,
        disable_progressbar=True,
    ).sort_index()
    return np.column_stack(
        [made[f"{sensor}__{what}"] for what in ("mean", "standard_deviation") for sensor in SENSORS]
    )


def _streamed(fitted: FittedSensors) -> float:
    """Return the seconds in which lines of a file go through a stream, log and files included."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(STREAMED, len(SENSORS))).round(4).tolist()
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "readings.jsonl")
        with path.open("w") as file:
            for number, row in enumerate(values):
                named = {
                    "entity": f"m{number % MACHINES}",
                    "cycle": number // MACHINES,
                    **dict(zip(SENSORS, row, strict=True)),
                }
                file.write(json.dumps(named) + "\n")
        with Shard(FollowedModel(fitted), Path(place, "store"), StreamRules()) as shard:
            source = JsonLines(path)
            return _seconds(lambda: shard.run(source))


def _seconds(work: Callable[[], Any]) -> float:
    start = process_time()
    work()
    return process_time() - start


def machines_of(rows: int) -> Runs:
    """Return machines whose sensors are noise around levels of their own."""
    rng = np.random.default_rng(0)
    each = rows // MACHINES
    names = np.repeat([f"m{i}" for i in range(MACHINES)], each)
    values = rng.normal(size=(each * MACHINES, len(SENSORS))) + np.repeat(
        rng.normal(size=(MACHINES, len(SENSORS))), each, axis=0
    )
    columns = {name: values[:, j] for j, name in enumerate(SENSORS)}
    table = pl.DataFrame(
        {"machine": names, "second": np.tile(np.arange(1.0, each + 1), MACHINES), **columns}
    )
    return Runs.build(table, Roles(entity="machine", cycle="second", sensor=SENSORS))


def _pandas(learned: LearnedSignalWindows, runs: Runs) -> np.ndarray:
    import pandas as pd

    scaled = pd.DataFrame(learned.scaling.scale(runs), columns=list(SENSORS))
    by_run = scaled.groupby(runs.run_of_row).rolling(10, min_periods=1)
    return np.column_stack([by_run.mean().to_numpy(), by_run.std(ddof=0).to_numpy()])
