"""`hwds compare` over 200 finished runs of 1,000 series each, as a user types it; beside reading
the same tables alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl

from bench.rows import Row
from hwds.forecast.metrics import forecast_measures
from hwds.results.folder import RunFolder
from hwds.results.tables import SCORES, TIMINGS, Tables, metrics_table

NAME = "compare (1,000 series, 6 steps, one model a run)"
SIZE = 200
"""Runs."""

SERIES, STEPS, METRIC = 1000, 6, "mase[m=12]"
ROOT = Path(__file__).resolve().parents[1]
READ = (
    "import sys, polars as pl\n"
    "from pathlib import Path\n"
    "tables = [pl.read_parquet(path) for path in "
    "Path('outputs/runs').glob('*/*/predictions.parquet')]\n"
    "print(sum(map(len, tables)))"
)
MEASURED = (
    "import resource, subprocess, sys, time\n"
    "began = time.perf_counter()\n"
    "code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode\n"
    "peak = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
    "print(time.perf_counter() - began, peak.ru_utime + peak.ru_stime, peak.ru_maxrss / 2**20, "
    "code)"
)


def measure(runs: int = SIZE) -> list[Row]:
    """The command, its peak memory, and a fresh process that reads every table and does nothing
    else.
    """
    with TemporaryDirectory() as folder:
        _lay(Path(folder), runs)
        seconds, spent, gigabytes, code = _ran(
            Path(folder), "-m", "hwds", "compare", "--experiment", "bench"
        )
        theirs, own, _, _ = _ran(Path(folder), "-c", READ)
    note = (
        f"{spent:.1f} CPU s, peak {gigabytes:.2f} GB; reading {own:.1f} CPU s; load "
        f"{os.getloadavg()[0]:.1f}"
    )
    return [
        Row(
            f"{runs} runs, {SERIES * runs:,} series",
            seconds,
            "reading the tables alone",
            theirs,
            theirs / seconds,
            code == 0,
            note,
        )
    ]


def _ran(folder: Path, *words: str) -> tuple[float, float, float, int]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, sys.executable, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    wall, spent, peak, code = done.stdout.split()
    return float(wall), float(spent), float(peak), int(code)


def _lay(folder: Path, runs: int) -> None:
    rng = np.random.default_rng(0)
    base = np.abs(rng.normal(size=(SERIES, STEPS)))
    keys = _keys()
    for run in range(runs):
        model = f"forecast/model_{run:03d}"
        size = 1 + 0.002 * run
        error = size * base * np.exp(rng.normal(0, 0.3, base.shape))
        mean = pl.Series("mean", 100 + error.ravel())
        rows = keys.with_columns(pl.lit(model).alias("model"), mean, mean.alias("q_0.5")).select(
            "model", *keys.columns, "mean", "q_0.5"
        )
        _write(RunFolder(folder / "outputs/runs/bench" / f"{run:016x}"), model, rows)


def _keys() -> pl.DataFrame:
    months = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, STEPS, 1), "1mo", eager=True)
    names = pl.Series("series_id", [f"s{i:04d}" for i in range(SERIES)])
    fixed: dict[str, Any] = {
        "actual": 100.0, "seasonal_naive": 101.0, "scale_abs": 1.0, "scale_sq": 1.0,
        "season": pl.Series([12], dtype=pl.Int32), "fallback": False,
    }  # fmt: skip
    rows = pl.DataFrame(names).join(
        pl.DataFrame({"time": months, "step": np.arange(1, STEPS + 1, dtype=np.int32)}), how="cross"
    )
    first = pl.lit(pl.Series([0], dtype=pl.Int32)).first().alias("fold")
    lits = [
        (value if isinstance(value, pl.Series) else pl.Series([value])).alias(name)
        for name, value in fixed.items()
    ]
    return rows.select(
        first,
        "series_id",
        pl.date(2023, 12, 1).alias("cutoff"),
        "time",
        "step",
        *(pl.lit(each).first().alias(each.name) for each in lits),
    )


def _write(folder: RunFolder, model: str, predictions: pl.DataFrame) -> None:
    config = {
        "dataset": {"name": "bench", "recipe": "bench"},
        "features": {"name": "none"},
        "model": {"name": model, "recipe": model},
        "rivals": [],
        "protocol": {"name": "holdout", "recipe": "holdout", "headline": "mase", "horizon": None},
        "seed": 0,
        "experiment": "bench",
    }
    folder.write_config(config)
    folder.write_provenance({"data": "d" * 16, "code": "c" * 16})
    score = {
        "model": model,
        "metric": METRIC,
        "aggregate": "mean",
        "value": 1.0,
        "task": "forecast",
        "status": "ok",
        "n": SERIES,
    }
    counts = dict.fromkeys(("n_undefined", "n_failed", "n_fallback"), 0)
    scores = pl.DataFrame([score | counts], schema=SCORES)
    timings = pl.DataFrame(
        [{"model": model, "fold": 0, "seconds": 1.0, "status": "ok"}], schema=TIMINGS
    )
    folder.write_tables(
        Tables(scores, predictions, timings, metrics_table(forecast_measures(12, (0.5,))))
    )
