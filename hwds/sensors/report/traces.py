"""sensors.png and runs.png: readings, scores, anomalies and alarms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from hwds.frames.run_checks import CYCLE, ENTITY
from hwds.frames.runs import Runs
from hwds.report.pictures.style import GREY, INK, OWN, drawable, new_figure, tidy
from hwds.results.tables import Tables
from hwds.sensors.metrics.episodes import stretches
from hwds.sensors.metrics.scores import f1_of, run_counts
from hwds.sensors.report.by_run import scored

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ILL, ALARM = "#d9822b", "#b5485d"
MOST_SENSORS, MOST_RUNS, MOST_POINTS = 8, 16, 1500
LARGEST = 10.0
"""The score beyond which it is cut in pictures."""


def sensors_figure(runs: Runs, tables: Tables, model: str) -> Figure | None:
    """Draw the sensors of the run with the median F1, the score and the alarms; None where nothing is scored."""
    rows = scored(tables, model)
    if rows.is_empty():
        return None
    name = typical_run(rows)
    own = rows.filter(pl.col(ENTITY) == name).sort("row")
    whole = runs.data.filter(pl.col(ENTITY) == name)
    sensors = _named_most(own, runs.sensors)
    figure = new_figure(11, 1.0 * len(sensors) + 3.2)
    grid = figure.subplots(len(sensors) + 1, 1, sharex=True, height_ratios=[1.0] * len(sensors) + [1.8], squeeze=False).ravel()
    for axes, sensor in zip(grid, sensors, strict=False):
        _trace(axes, whole, own, sensor)
    _score(grid[-1], own, label=True)
    grid[-1].set_xlabel(f"age, {runs.unit}", fontsize=10, color=INK)
    title = f"{drawable(name, 30)} by {drawable(model, 36)}: the run with the median F1"
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK, parse_math=False)
    return figure


def typical_run(rows: pl.DataFrame) -> str:
    """Return the name of the run whose F1 is the median; of the first run where none has an anomaly."""
    parts = rows.sort(ENTITY, "row").partition_by(ENTITY, maintain_order=True)
    known = sorted((f1_of(run_counts(part, 0)), part[ENTITY][0]) for part in parts if (part["label"] == 1).any())
    return str(known[(len(known) - 1) // 2][1] if known else parts[0][ENTITY][0])


def _named_most(rows: pl.DataFrame, sensors: tuple[str, ...]) -> list[str]:
    """Return the sensors to draw, those first that are named most in alarms."""
    named = rows["reason"].drop_nulls().value_counts(sort=True)["reason"].to_list()
    return [*(name for name in named if name in sensors), *(name for name in sensors if name not in named)][:MOST_SENSORS]


def _trace(axes: Axes, whole: pl.DataFrame, own: pl.DataFrame, sensor: str) -> None:
    every = -(-len(whole) // MOST_POINTS)
    some = whole.gather_every(every)
    _shaded(axes, own)
    axes.plot(some[CYCLE].to_numpy(), some[sensor].to_numpy(), color=INK, linewidth=0.6)
    axes.axvline(float(own[CYCLE][0]), color=GREY, linewidth=0.8, linestyle="--")
    tidy(axes)
    axes.set_ylabel(drawable(sensor, 20), fontsize=7.5, color=INK, rotation=0, ha="right", va="center")
    axes.tick_params(labelsize=7)


def _shaded(axes: Axes, rows: pl.DataFrame) -> None:
    """Shade the anomalies."""
    cycle = rows[CYCLE].to_numpy()
    ill = (rows["label"].cast(pl.Float64) == 1).fill_null(False).to_numpy()
    for place, (start, stop) in enumerate(stretches(ill).tolist()):
        label = "anomaly" if place == 0 else None
        axes.axvspan(cycle[start], cycle[min(stop, len(cycle) - 1)], color=ILL, alpha=0.2, linewidth=0, label=label)


def _score(axes: Axes, rows: pl.DataFrame, *, label: bool) -> None:
    """Draw the score on a log axis, the limit, anomalies and alarms."""
    _shaded(axes, rows)
    cycle, score = rows[CYCLE].to_numpy(), np.clip(rows["score"].to_numpy(), 1 / LARGEST, LARGEST)
    alarm = rows["alarm"].to_numpy()
    axes.semilogy(cycle, score, color=OWN, linewidth=0.9, label="score")
    axes.axhline(1.0, color=GREY, linewidth=0.9, linestyle="--", label="limit")
    marks = np.where(alarm, 1.15 / LARGEST, np.nan)
    axes.plot(cycle, marks, color=ALARM, linewidth=4, solid_capstyle="butt", label="alarm")
    axes.set_ylim(1 / LARGEST, LARGEST)
    axes.set_yticks([1 / LARGEST, 1.0, LARGEST], [f"{1 / LARGEST:g}", "1", f"{LARGEST:g}+"])
    axes.minorticks_off()
    tidy(axes)
    if label:
        axes.set_ylabel("score", fontsize=9, color=INK)
        axes.legend(loc="upper left", frameon=False, fontsize=8, ncols=4)


def runs_figure(runs: Runs, tables: Tables, model: str) -> Figure | None:
    """Draw the score of every run; None where nothing is scored."""
    rows = scored(tables, model)
    if rows.is_empty():
        return None
    there = set(rows[ENTITY])
    names = [name for name in runs.names if name in there][:MOST_RUNS]
    across = 2 if len(names) > 1 else 1
    figure = new_figure(11, 0.9 * -(-len(names) // across) + 1.2)
    grid = figure.subplots(-(-len(names) // across), across, squeeze=False).T.ravel()
    for axes, name in zip(grid, names, strict=False):
        _score(axes, rows.filter(pl.col(ENTITY) == name).sort("row"), label=False)
        axes.set_title(drawable(name, 30), fontsize=8, color=INK, loc="left", pad=2, parse_math=False)
        axes.tick_params(labelsize=7)
    for axes in grid[len(names) :]:
        axes.set_axis_off()
    figure.supxlabel(f"age, {runs.unit}", fontsize=9, color=INK)
    title = f"Scores by {drawable(model, 36)}: 1 is the limit, anomalies shaded, alarms below"
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK, parse_math=False)
    return figure
