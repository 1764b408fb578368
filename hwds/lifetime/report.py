"""The report of runs about remaining lives: sentences, a table by life, and pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from polars import DataFrame, col

from hwds.frames.runs import ENTITY, Runs
from hwds.lifetime.metrics import QUANTILE_COLUMNS, TEST_PREFIX
from hwds.report.grid import Grid, declared_grid
from hwds.report.hooks import TaskReport
from hwds.report.pictures import (
    GREY,
    INK,
    LIGHT,
    OWN_COLOUR,
    RIVAL_COLOURS,
    drawable,
    headline,
    new_figure,
    save_png,
    tidy,
)
from hwds.report.standings import Standings
from hwds.report.words import coverage_words, say_lines, scores_of
from hwds.results.tables import Column, Declared, Tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# The conclusion of a run on remaining lives, in a few sentences.


CONCLUSION = """
{%- macro ends(score, digits) %}{% if score.ci_low is not none %} (95 %:
{{ score.ci_low | written(digits) }} to {{ score.ci_high | written(digits) }}){% endif %}
{%- endmacro %}
{%- set own, cover = of("rmse_capped"), of("coverage") -%}
{{ model }} is off by {{ own.value | written(".1f") }} {{ unit }}{{ ends(own, ".1f") }} in
{{ own.n | counted("predictions") }} for {{ machines }}.

{% if cover.value is not none -%}
Its 90 % intervals hold {{ (100 * cover.value) | written(".0f") }} % of lives
{%- if cover.ci_high is not none and cover.ci_high < 0.9 %}: they are too narrow{% endif %}; they
are {{ of("width").value | written(".0f") }} {{ unit }} wide.
{%- endif %}

{% if test -%}
On the official test the error of {{ test.model }} is {{ test.value | written(".2f") }}
{{- ends(test, ".2f") }} with lives capped, {{ whole.value | written(".2f") }} without.

The official test is read for the model alone that the folds put first. NASA's score is
{{ nasa.value | written(".0f") }}, of {{ test.n }} machines.
{%- endif %}

Lives count up to {{ cap }} {{ unit }}; without that cap the error is
{{ of("rmse_uncapped").value | written(".1f") }}.
"""


def life_conclusion(runs: Runs | None, tables: Tables, model: str) -> str:
    """Return the error of lives with its interval, the share of lives that intervals hold, and the
    official test, which one model has: a line each.

    Args:
        runs: The data; None where it is gone.
        tables: The tables of the run.
        model: The experiment's own.
    """
    of = scores_of(tables, model)
    if of("rmse_capped")["value"] is None:
        return ""
    official = col("metric").str.starts_with(f"{TEST_PREFIX}rmse_capped")
    test = next(tables.scores.filter(official).iter_rows(named=True), None)
    tested = scores_of(tables, test["model"] if test else "")
    lines = say_lines(
        CONCLUSION,
        model=model,
        of=of,
        unit=tables.measure("rmse_capped").measured_in or "cycles",
        cap=of("rmse_capped")["metric"].partition("cap=")[2].rstrip("]"),
        machines=asked_machines(tables),
        test=test,
        whole=tested(f"{TEST_PREFIX}rmse_uncapped"),
        nasa=tested(f"{TEST_PREFIX}nasa_score"),
    )
    return "\n".join(lines)


def asked_machines(tables: Tables) -> str:
    """Return which machines were asked for: those of other folds, or those that ran at a review and
    may be learned from too.
    """
    rows = tables.predictions
    reviewed = "part" in rows.columns and (rows["part"] == "review").any()
    return "machines that were running" if reviewed else "held-out machines"


# lives.png and machines.png: predicted lives against those that came, and along the lives of
# some machines.

LOW, HIGH = QUANTILE_COLUMNS[0], QUANTILE_COLUMNS[-1]
SHOWN_MACHINES = 6
"""Machines whose lives are drawn."""

LEAST_PREDICTIONS = 3
"""Predictions of a machine at least, for its life to be drawn."""


def known_rows(tables: Tables, model: str) -> DataFrame:
    """Return the predictions of a model whose life is known; empty where there are none."""
    rows = tables.predictions
    if "actual" not in rows.columns:
        return DataFrame()
    return rows.filter(col("actual").is_not_null(), model=model)


def lives_figure(tables: Tables, model: str, unit: str) -> Figure | None:
    """Draw points and intervals against the lives that came, and the errors by them.

    None where nothing is known.
    """
    rows = known_rows(tables, model)
    if len(rows) < LEAST_PREDICTIONS:
        return None
    figure = new_figure(11, 4.8)
    left, right = figure.subplots(1, 2)
    _draw_against(left, rows, unit)
    _draw_errors(right, rows, unit)
    headline(figure, f"{len(rows):,} predictions for {asked_machines(tables)} by {model}", 12.5)
    return figure


def _draw_against(axes: Axes, rows: DataFrame, unit: str) -> None:
    """Draw the point and the 90 % interval of at most some 150 predictions, in the order of the
    lives that came.
    """
    some = rows.sort("actual", ENTITY)
    some = some.gather_every(-(-len(some) // 150))
    actual, point = some["actual"].to_numpy(), some["predicted"].to_numpy()
    low, high = some[LOW].to_numpy(), some[HIGH].to_numpy()
    out = (actual < low) | (actual > high)
    reach = float(max(np.quantile(high, 0.98), actual.max())) * 1.02
    for rows_of, colour, alpha, label in (
        (~out, OWN_COLOUR, 0.25, "90 % interval that holds it"),
        (out, RIVAL_COLOURS[2], 0.5, "and that does not"),
    ):
        axes.vlines(
            actual[rows_of],
            low[rows_of],
            high[rows_of],
            color=colour,
            alpha=alpha,
            linewidth=1.5,
            label=label,
        )
    axes.plot(actual, point, "o", color=OWN_COLOUR, markersize=3, markeredgewidth=0, label="point")
    axes.plot([0, reach], [0, reach], color=GREY, linewidth=1, linestyle="--")
    axes.set_xlim(0, float(actual.max()) * 1.02)
    axes.set_ylim(0, reach)
    tidy(axes, x=f"remaining life, {unit}", y=f"predicted, {unit}")
    axes.legend(loc="upper left", frameon=False, fontsize=9)


def _draw_errors(axes: Axes, rows: DataFrame, unit: str) -> None:
    """Draw the errors of points by the life that came: each, and the mean of twelfths of equal
    number.
    """
    actual = rows["actual"].to_numpy()
    error = rows["predicted"].to_numpy() - actual
    axes.axhline(0, color=LIGHT, linewidth=1, zorder=0)
    axes.plot(actual, error, "o", color=OWN_COLOUR, alpha=0.25, markersize=3, markeredgewidth=0)
    groups = [
        part for part in np.array_split(np.argsort(actual, kind="stable"), 12) if len(part) > 1
    ]
    x, y = ([float(values[part].mean()) for part in groups] for values in (actual, error))
    spread = [float(error[part].std()) for part in groups]
    axes.errorbar(
        x,
        y,
        spread,
        fmt="o",
        color=INK,
        markersize=4,
        linewidth=1.1,
        label="mean and sd of a twelfth",
    )
    tidy(axes, x=f"remaining life, {unit}", y=f"predicted less remaining life, {unit}")
    axes.legend(loc="lower left", frameon=False, fontsize=9)


def machines_figure(tables: Tables, model: str, unit: str) -> Figure | None:
    """Draw the predictions along the lives of some machines; None where none has enough of them."""
    rows = known_rows(tables, model)
    names = _some_machines(rows)
    if not names:
        return None
    figure = new_figure(11, 5.6)
    grid = figure.subplots(2, 3, squeeze=False).ravel()
    top = float(max(rows["actual"].max(), rows[HIGH].quantile(0.98)))  # type: ignore[type-var, arg-type]
    for axes, name in zip(grid, names, strict=False):
        _draw_life(axes, rows.filter(col(ENTITY) == name).sort("age"), name, top)
    for axes in grid[len(names) :]:
        axes.set_axis_off()
    figure.supxlabel(f"age, {unit}", fontsize=10, color=INK)
    figure.supylabel(f"remaining life, {unit}", fontsize=10, color=INK)
    headline(figure, f"{drawable(model, 36)} along lives: dashed what came, the band 90 %", 12)
    return figure


def _some_machines(rows: DataFrame) -> list[str]:
    """Return names of machines, evenly from the shortest to the longest life."""
    if rows.is_empty():
        return []
    lives = rows.group_by(ENTITY, maintain_order=True).agg(
        (col("age") + col("actual")).max().alias("life"), pl.len()
    )
    often = lives.filter(col("len") >= LEAST_PREDICTIONS).sort("life", ENTITY)[ENTITY]
    if often.is_empty():
        return []
    places = np.unique(np.linspace(0, len(often) - 1, SHOWN_MACHINES).round().astype(int))
    return [often[int(place)] for place in places.tolist()]


def _draw_life(axes: Axes, rows: DataFrame, name: str, top: float) -> None:
    age = rows["age"].to_numpy()
    axes.fill_between(
        age, rows[LOW].to_numpy(), rows[HIGH].to_numpy(), color=OWN_COLOUR, alpha=0.18, linewidth=0
    )
    axes.plot(
        age, rows["predicted"].to_numpy(), color=OWN_COLOUR, marker="o", markersize=3, linewidth=1.3
    )
    axes.plot(age, rows["actual"].to_numpy(), color=INK, linewidth=1.2, linestyle="--")
    axes.set_ylim(0, top)
    tidy(axes, title=drawable(name, 30))


# A table of errors and intervals by how long machines still lasted.

BOUNDS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
"""The parts of the longest capped life by which predictions are told apart; the last is open."""


BY_LIFE = Declared.of(
    Column("life", "text", "", "remaining life", "life"),
    Column("n", "count", "", "predictions", "n"),
    Column("rmse", "made", "", "root mean squared error", "rmse", "{{ rmse | written('.1f') }}"),
    Column("bias", "made", "", "mean error", "bias", "{{ bias | written('+.1f') }}"),
    Column(
        "coverage",
        "made",
        "",
        "within the 90 % interval",
        "coverage",
        "{{ (100 * coverage) | written('.0f') }} %",
    ),
    Column("width", "made", "", "its width", "width", "{{ width | written('.0f') }}"),
)


def by_life_grid(tables: Tables, model: str) -> Grid:
    """Return the errors of points and what intervals hold, by the remaining life."""
    rows, parts = known_rows(tables, model), []
    if len(rows):
        name = tables.headline("rmse_capped", model).get("metric", "")
        cap = float(name.partition("cap=")[2].rstrip("]") or rows["actual"].max())  # type: ignore[arg-type]
        edges = [part * cap for part in BOUNDS]
        for low, high in zip(edges, [*edges[1:], np.inf], strict=True):
            part = rows.filter((col("actual") > low) & (col("actual") <= high))
            if len(part):
                life = f"{low:g} to {high:g}" if np.isfinite(high) else f"above {low:g}"
                parts.append({"life": life, "n": len(part)} | _life_errors(part, cap))
    caption = "By how long machines still lasted; points are capped"
    return declared_grid(BY_LIFE, DataFrame(parts), caption=caption)


def _life_errors(part: DataFrame, cap: float) -> dict[str, float]:
    """Return the errors of some predictions, and what their intervals hold."""
    actual, low, high = (part[name].to_numpy() for name in ("actual", LOW, HIGH))
    error = np.minimum(part["predicted"].to_numpy(), cap) - np.minimum(actual, cap)
    return {
        "rmse": float(np.sqrt((error**2).mean())),
        "bias": float(error.mean()),
        "coverage": float(((actual >= low) & (actual <= high)).mean()),
        "width": float((high - low).mean()),
    }


# The pictures, tables and sentences of runs about remaining lives.


def draw(runs: Runs, tables: Tables, model: str, folder: Path) -> None:
    """Draw the predictions.

    `lives.png`: predicted against remaining lives with intervals, and errors by remaining life;
    `machines.png`: what was said along the lives of six machines, from the shortest to the longest.
    """
    save_png(lives_figure(tables, model, runs.unit), folder / "lives.png")
    save_png(machines_figure(tables, model, runs.unit), folder / "machines.png")


def coverage_lines(tables: Tables, board: Standings) -> Iterator[str]:
    """Yield a sentence on intervals that surely hold another share of lives than promised."""
    held = scores_of(tables, board.own.model if board.own else "")("coverage")
    if held["value"] is None:
        return
    level = float(held["metric"].partition("[")[2].rstrip("]"))
    cure = (
        "Intervals are right with more machines to learn from; lifetime/lstm_cnn needs "
        "model.intervals=conformal."
    )
    ends = held["ci_low"], held["ci_high"]
    words = coverage_words("intervals", level, held["value"], ends, cure)
    yield from [words] if words else []


REPORT = TaskReport(
    lines=coverage_lines,
    compared=True,
    sentence=life_conclusion,
    next=lambda config, board: (
        "which machine first: protocol=life_slots decision=maintenance"
        if config["protocol"]["name"] == "last_window"
        else ""
    ),
    page_grids=lambda tables, model: [by_life_grid(tables, model)],
    draw=draw,
    captions={
        "lives.png": "Predicted against remaining lives with intervals, and errors by remaining "
        "life",
        "machines.png": "What was said along the lives of six machines, from the shortest to the "
        "longest",
    },
)
