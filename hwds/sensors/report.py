"""The pictures, tables and sentences of runs about sensor anomalies, and their comparison."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from polars import DataFrame, col

from hwds.core.settings import read_beside
from hwds.frames.runs import CYCLE, ENTITY, Runs
from hwds.report.grid import Grid, declared_grid
from hwds.report.hooks import TaskReport
from hwds.report.pictures import (
    ALARM_COLOUR,
    GREY,
    INK,
    NAIVE_COLOUR,
    OWN_COLOUR,
    drawable,
    headline,
    new_figure,
    save_png,
    tidy,
)
from hwds.report.words import rivals_words, say, scores_of, verdict_word
from hwds.results.tables import Column, Declared, Tables
from hwds.sensors.metrics import flagged_stretches, run_counts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
from collections.abc import Sequence
from operator import attrgetter

from hwds.sensors.metrics import RunCounts
from hwds.stats.evidence import (
    TaskComparison,
    UnitEvidence,
    by_dataset,
    compared_metric,
    long_table,
)
from hwds.stats.sources import ModelRows, shared_rows

# A table of scores by run.

MOST_LISTED_RUNS = 40
"""Runs of the table."""


RUNS = Declared.of(Column(**column) for column in read_beside(__file__, "report.yaml"))


def by_run_grid(tables: Tables, model: str) -> Grid:
    """Return F1, false and missed alarms, the delay and the sensor that is named most, run by
    run.
    """
    rows = rows_of_model(tables, model)
    parts = (
        rows.sort(ENTITY, "row", maintain_order=True).partition_by(ENTITY, maintain_order=True)
        if len(rows)
        else []
    )
    cells = [_run_cells(part) for part in parts[:MOST_LISTED_RUNS]]
    return declared_grid(RUNS, RUNS.frame(cells).fill_nan(None), caption="By run")


def rows_of_model(tables: Tables, model: str) -> DataFrame:
    """Return the rows that a model scored, empty where there are none."""
    rows = tables.predictions
    return rows.filter(model=model) if "alarm" in rows.columns else DataFrame()


def _run_cells(rows: DataFrame) -> tuple[object, ...]:
    counts = run_counts(rows, 0)
    named = rows.filter("alarm")["reason"].drop_nulls().value_counts(sort=True)
    return (
        rows[ENTITY][0],
        counts.f1,
        counts.f1_everything,
        counts.far,
        counts.mar,
        ", ".join(f"{delay:.0f}" for delay in counts.delays[:3]) or "-",
        named["reason"][0] if len(named) else "-",
    )


# sensors.png and runs.png: readings, scores, anomalies and alarms.

MOST_SENSORS, MOST_RUNS, MOST_POINTS = 8, 16, 1500
LARGEST_SCORE = 10.0
"""The score beyond which it is cut in pictures."""


def sensors_figure(runs: Runs, tables: Tables, model: str) -> Figure | None:
    """Draw the sensors of the run with the median F1, the score and the alarms.

    None where nothing is scored.
    """
    rows = rows_of_model(tables, model)
    if rows.is_empty():
        return None
    name = typical_run(rows)
    own = rows.filter(col(ENTITY) == name).sort("row")
    whole = runs.data.filter(col(ENTITY) == name)
    sensors = _sensors_to_draw(own, runs.sensors)
    figure = new_figure(11, 1.0 * len(sensors) + 3.2)
    grid = figure.subplots(
        len(sensors) + 1, 1, sharex=True, height_ratios=[1.0] * len(sensors) + [1.8], squeeze=False
    ).ravel()
    for axes, sensor in zip(grid, sensors, strict=False):
        _draw_sensor(axes, whole, own, sensor)
    _draw_score(grid[-1], own, label=True)
    grid[-1].set_xlabel(f"age, {runs.unit}", fontsize=10, color=INK)
    title = f"{drawable(name, 30)} by {drawable(model, 36)}: the run with the median F1"
    headline(figure, title, 12)
    return figure


def typical_run(rows: DataFrame) -> str:
    """Return the name of the run whose F1 is the median.

    Of the first run where none has an anomaly.
    """
    parts = rows.sort(ENTITY, "row").partition_by(ENTITY, maintain_order=True)
    known = sorted(
        (run_counts(part, 0).f1, part[ENTITY][0]) for part in parts if (part["label"] == 1).any()
    )
    return str(known[(len(known) - 1) // 2][1] if known else parts[0][ENTITY][0])


def _sensors_to_draw(rows: DataFrame, sensors: tuple[str, ...]) -> list[str]:
    """Return the sensors to draw, those first that are named most in alarms."""
    named = rows["reason"].drop_nulls().value_counts(sort=True)["reason"].to_list()
    return [
        *(name for name in named if name in sensors),
        *(name for name in sensors if name not in named),
    ][:MOST_SENSORS]


def _draw_sensor(axes: Axes, whole: DataFrame, own: DataFrame, sensor: str) -> None:
    every = -(-len(whole) // MOST_POINTS)
    some = whole.gather_every(every)
    _shade_anomalies(axes, own)
    axes.plot(some[CYCLE].to_numpy(), some[sensor].to_numpy(), color=INK, linewidth=0.6)
    axes.axvline(float(own[CYCLE][0]), color=GREY, linewidth=0.8, linestyle="--")
    tidy(axes)
    axes.set_ylabel(
        drawable(sensor, 20), fontsize=7.5, color=INK, rotation=0, ha="right", va="center"
    )
    axes.tick_params(labelsize=7)


def _shade_anomalies(axes: Axes, rows: DataFrame) -> None:
    """Shade the anomalies."""
    cycle = rows[CYCLE].to_numpy()
    ill = (rows["label"].cast(pl.Float64) == 1).fill_null(False).to_numpy()
    for place, (start, stop) in enumerate(flagged_stretches(ill).tolist()):
        label = "anomaly" if place == 0 else None
        axes.axvspan(
            cycle[start],
            cycle[min(stop, len(cycle) - 1)],
            color=NAIVE_COLOUR,
            alpha=0.2,
            linewidth=0,
            label=label,
        )


def _draw_score(axes: Axes, rows: DataFrame, *, label: bool) -> None:
    """Draw the score on a log axis, the limit, anomalies and alarms."""
    _shade_anomalies(axes, rows)
    cycle = rows[CYCLE].to_numpy()
    score = np.clip(rows["score"].to_numpy(), 1 / LARGEST_SCORE, LARGEST_SCORE)
    alarm = rows["alarm"].to_numpy()
    axes.semilogy(cycle, score, color=OWN_COLOUR, linewidth=0.9, label="score")
    axes.axhline(1.0, color=GREY, linewidth=0.9, linestyle="--", label="limit")
    marks = np.where(alarm, 1.15 / LARGEST_SCORE, np.nan)
    axes.plot(cycle, marks, color=ALARM_COLOUR, linewidth=4, solid_capstyle="butt", label="alarm")
    axes.set_ylim(1 / LARGEST_SCORE, LARGEST_SCORE)
    axes.set_yticks(
        [1 / LARGEST_SCORE, 1.0, LARGEST_SCORE],
        [f"{1 / LARGEST_SCORE:g}", "1", f"{LARGEST_SCORE:g}+"],
    )
    axes.minorticks_off()
    tidy(axes)
    if label:
        axes.set_ylabel("score", fontsize=9, color=INK)
        axes.legend(loc="upper left", frameon=False, fontsize=8, ncols=4)


def runs_figure(runs: Runs, tables: Tables, model: str) -> Figure | None:
    """Draw the score of every run; None where nothing is scored."""
    rows = rows_of_model(tables, model)
    if rows.is_empty():
        return None
    there = set(rows[ENTITY])
    names = [name for name in runs.names if name in there][:MOST_RUNS]
    across = 2 if len(names) > 1 else 1
    figure = new_figure(11, 0.9 * -(-len(names) // across) + 1.2)
    grid = figure.subplots(-(-len(names) // across), across, squeeze=False).T.ravel()
    for axes, name in zip(grid, names, strict=False):
        _draw_score(axes, rows.filter(col(ENTITY) == name).sort("row"), label=False)
        axes.set_title(
            drawable(name, 30), fontsize=8, color=INK, loc="left", pad=2, parse_math=False
        )
        axes.tick_params(labelsize=7)
    for axes in grid[len(names) :]:
        axes.set_axis_off()
    figure.supxlabel(f"age, {runs.unit}", fontsize=9, color=INK)
    title = f"Scores by {drawable(model, 36)}: 1 is the limit, anomalies shaded, alarms below"
    headline(figure, title, 12)
    return figure


# The conclusion of a run on sensor anomalies, in a few sentences.


CONCLUSION = """
{%- set own, far, mar = of("f1"), of("far"), of("mar") %}
{%- if own.value is none and far.value is not none -%}
ESTIMATE: {{ model }} calls {{ far.value | percent }} of normal rows anomalous; no row has the
label anomalous.
{%- elif own.value is not none %}
{%- set gain, recall, late = of("f1_gain"), of("event_recall"), of("delay") -%}
{{ verdict_word(gain.ci_low, gain.ci_high) }}: {{ model }} finds anomalous rows with F1
{{ own.value | written(".3f") }}, {{ gain.value | abs | written(".3f") }}
{{ "above" if gain.value >= 0 else "below" }} flagging every row
{%- if gain.ci_low is not none %} (95 %: {{ gain.ci_low | written("+.3f") }} to
{{ gain.ci_high | written("+.3f") }}; {{ own.n | counted("runs") }}){% endif %}.
It calls
{{ far.value | quoted_share(far.ci_low, far.ci_high) or "no part" }} of normal rows anomalous and
misses {{ mar.value | percent or "no part" }} of anomalous ones.
{% if recall.value is not none -%}
An alarm is on in {{ recall | number_of }} of {{ recall.n | count }} anomalies, and begins in
{{ of("fresh_recall") | number_of }}
{%- if late.value is not none %}, {{ late.value | written(".0f") }} {{ unit }} after the beginning
on average{% endif %}.
{% if of("event_precision").value is not none -%}
{{ of("event_precision").value | percent }} of episodes of alarms meet an anomaly.
{%- endif %}
{%- endif %}
Flagging every row has F1 {{ of("f1_everything").value | written(".3f") }}, flagging none
{{ of("f1_nothing").value | default(0.0, true) | written(".3g") }}.
{% if rivals %}F1 of the others: {{ rivals }}.{% endif %}
{%- endif %}
"""


def sensor_sentence(runs: Runs, tables: Tables, model: str) -> str:
    """Return F1 beside that of flagging everything, false and missed alarms, anomalies seen and how
    late, and the rivals.

    Args:
        runs: The data of the run.
        tables: The tables of the run.
        model: The experiment's model.
    """
    floor = "the truth, which knows the law of normal readings,"
    return say(
        CONCLUSION,
        verdict_word=verdict_word,
        model=model,
        of=scores_of(tables, model),
        unit=tables.measure("delay").measured_in or "cycles",
        rivals=rivals_words(tables, "f1", model, floor, "{{ value | written('.3f') }}"),
    )


# The pictures, tables and sentences of runs about sensor anomalies.


def draw_sensors(runs: Runs, tables: Tables, model: str, folder: Path) -> None:
    """Draw the scores.

    `sensors.png`: the readings of one run, their score against the limit, anomalies shaded and
    alarms below; `runs.png`: the score of every run, with its anomalies and alarms.
    """
    save_png(sensors_figure(runs, tables, model), folder / "sensors.png")
    save_png(runs_figure(runs, tables, model), folder / "runs.png")


REPORT = TaskReport(
    sentence=sensor_sentence,
    page_grids=lambda tables, model: [by_run_grid(tables, model)],
    draw=draw_sensors,
    captions={
        "sensors.png": "The readings of one run, their score against the limit, anomalies shaded "
        "and alarms below",
        "runs.png": "The score of every run, with its anomalies and alarms",
    },
)


# Evidence of sensor anomalies: scores by run, of the rows that all models scored.

COMPARED = ("f1", "far", "mar")
"""The metrics by which models are compared, by their short names."""


def sensor_evidence(
    answers: Sequence[ModelRows], metric: str, resamples: int
) -> tuple[UnitEvidence, int]:
    """Return the scores of runs, and how many rows were left out because some model has none.

    Args:
        answers: The rows of every model, dataset and seed.
        metric: One of `COMPARED`.
        resamples: The number of resamples of each bootstrap.

    Raises:
        ConfigError: The metric is another one.
    """
    score = attrgetter(compared_metric(metric, COMPARED, "sensor anomalies"))
    kept, left_out = shared_rows(list(answers), [ENTITY, "row"])

    def table(own: list[ModelRows]) -> pl.DataFrame:
        counts = [_counts_by_run(answer.rows) for answer in own]
        runs = [name for name in counts[0] if not np.isnan(score(counts[0][name]))]
        return long_table(
            own,
            pl.Series(runs, dtype=pl.String),
            [np.array([score(each[name]) for name in runs]) for each in counts],
        )

    return UnitEvidence(by_dataset(kept, table), "runs", resamples), left_out


def _counts_by_run(rows: pl.DataFrame) -> dict[str, RunCounts]:
    parts = rows.sort(ENTITY, "row").partition_by(ENTITY, maintain_order=True)
    return {part[ENTITY][0]: run_counts(part, 0) for part in parts}


COMPARISON = TaskComparison(
    evidence=sensor_evidence, conditions="of the same rows of the same runs"
)
