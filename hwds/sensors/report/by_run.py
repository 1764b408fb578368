"""A table of scores by run."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.frames.run_checks import ENTITY
from hwds.report.grid import Grid, grid_of
from hwds.results.tables import Tables
from hwds.sensors.metrics.scores import f1_of, f1_of_everything, run_counts, share

MOST = 40
"""Runs of the table."""


def by_run_grid(tables: Tables, model: str) -> Grid:
    """Return F1, false and missed alarms, the delay and the sensor that is named most, run by run."""
    titles = [("run", "run"), ("F1", "f1"), ("F1 of flagging every row", "all"), ("false alarms", "far")]
    titles += [("missed", "mar"), ("first alarm after", "delay"), ("named most in alarms", "reason")]
    rows = scored(tables, model)
    if rows.is_empty():
        return grid_of(titles, [])
    parts = rows.sort(ENTITY, "row", maintain_order=True).partition_by(ENTITY, maintain_order=True)
    return grid_of(titles, [_run(part) for part in parts[:MOST]], caption="By run")


def scored(tables: Tables, model: str) -> pl.DataFrame:
    """Return the rows that a model scored, empty where there are none."""
    rows = tables.predictions
    return rows.filter(pl.col("model") == model) if "alarm" in rows.columns else pl.DataFrame()


def _run(rows: pl.DataFrame) -> list[str]:
    counts = run_counts(rows, 0)
    named = rows.filter("alarm")["reason"].drop_nulls().value_counts(sort=True)
    return [
        rows[ENTITY][0],
        _number(f1_of(counts), "{:.3f}"),
        _number(f1_of_everything(counts), "{:.3f}"),
        _number(100 * share(counts.false, counts.false + counts.right), "{:.1f} %"),
        _number(100 * share(counts.missed, counts.hits + counts.missed), "{:.1f} %"),
        ", ".join(f"{delay:.0f}" for delay in counts.delays[:3]) or "-",
        named["reason"][0] if len(named) else "-",
    ]


def _number(value: float, form: str) -> str:
    return "-" if np.isnan(value) else form.format(value)
