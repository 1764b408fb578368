"""Folders of runs made by hand."""

from __future__ import annotations

import os
import time
from pathlib import Path

import polars as pl
import pytest

from hwds.results.folder import RunFolder
from hwds.results.tables import SCORES, TIMINGS, Measure, Tables, metrics_table


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Make a finished run (or one without scores) of a model with scores, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def make(
        title: str,
        *,
        seed=0,
        units=32,
        model="forecast/lstm",
        finished=True,
        days=0.0,
        joined="",
        **scores,
    ) -> Path:
        folder = RunFolder.of(*title.split("/"))
        folder.write_config(
            {
                "dataset": {
                    "name": "file",
                    "path": "a.csv",
                    "roles": {"series": ["shop", "region"], "time": None},
                },
                "features": {"name": "none"},
                "model": {"name": model, "units": units, "rates": [0.1, 0.5]},
                "rivals": [{"name": "forecast/naive"}],
                "protocol": {"name": "holdout", "headline": "mase"},
                "compute": {"name": "serial"},
                "experiment": folder.path.parent.name,
                "seed": seed,
            }
        )
        origin = {
            "data": "d1",
            "code": "c1",
            "device": "cpu",
            "threads": 1,
            "command": f"python -m hwds {title}",
            "git": None,
        }
        versions = {"python": "3.11", "numpy": "2.4"}
        about = {"versions": versions, "machine": {"cpu": "A", "cores": 2, "system": "Linux"}}
        folder.write_provenance(
            origin | about | ({"joined": {"visits": f"the mean of run {joined}"}} if joined else {})
        )
        if finished:
            folder.write_tables(
                tables_of(model, seed, scores or {"mase[m=12]": 0.8, "accuracy": 0.5})
            )
        if days:
            for path in folder.path.iterdir():
                os.utime(path, (time.time() - days * 86400,) * 2)
        return folder.path

    return make


def tables_of(model: str, seed: int, scores: dict[str, float | None]) -> Tables:
    """Totals, a score by step that is none, and those of a rival."""
    lines = []
    for metric, value in scores.items():
        line = {
            "experiment": "e",
            "dataset": "file",
            "task": "forecast",
            "model": model,
            "seed": seed,
            "metric": metric,
        }
        line |= {
            "aggregate": "mean",
            "value": value,
            "stderr": 0.02,
            "n": 4,
            "n_failed": 0,
            "status": "ok",
        }
        other = {"model": "forecast/naive", "value": None if value is None else value + 1}
        lines += [
            line | {"aggregate": "median", "value": 99.0},
            line,
            line | {"step": 1, "value": 77.0},
            line | other,
        ]
    measures = [Measure("mase[m=12]", units="series"), Measure("accuracy", better="high")]
    empty = {
        "model": model,
        "fold": 0,
        "start": 0,
        "stop": 4,
        "seconds": 1.0,
        "cached": False,
        "status": "ok",
    }
    predictions = pl.DataFrame(
        {"model": [model], "fold": [0], "series_id": ["=1+1"], "step": [1], "mean": [1.0]}
    )
    return Tables(
        pl.DataFrame(lines, schema=SCORES),
        predictions,
        pl.DataFrame([empty], schema=TIMINGS),
        metrics_table(measures),
    )
