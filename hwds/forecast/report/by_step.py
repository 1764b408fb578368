"""by_step.png: how errors grow with the distance from the cutoff, and whether intervals hold what they promise."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from hwds.report.pictures.segments import model_colours
from hwds.report.pictures.style import GREY, INK, drawable, new_figure, plain_numbers, tidy
from hwds.report.standings import Standings
from hwds.results.tables import Tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COVERAGE = r"^coverage\[(\d+)%\]$"


def by_step_figure(tables: Tables, board: Standings) -> Figure | None:
    """Draw the headline and the coverage of the widest interval by step; None where no metric is scored by step."""
    whole = pl.col("fold").is_null() & pl.col("segment").is_null() & (pl.col("aggregate") == "mean")
    steps = tables.scores.filter(whole & pl.col("step").is_not_null() & pl.col("value").is_not_null())
    errors = steps.filter(pl.col("metric") == board.headline)
    if errors["step"].n_unique() < 2:
        return None
    covers = levels(steps)
    several = tables.scores.filter(whole & pl.col("step").is_null() & pl.col("metric").is_in(list(covers)))
    panels = 1 + bool(covers) + (len(covers) > 1)
    figure = new_figure(5.6 if panels == 1 else 11, 4.4)
    grid = figure.subplots(1, panels, squeeze=False)[0]
    paints = model_colours(board)
    _lines(grid[0], errors, paints, board)
    _named(grid[0], "steps from the cutoff", drawable(board.called_in))
    if covers:
        widest = max(covers, key=lambda name: covers[name])
        grid[1].axhline(covers[widest], color=GREY, linewidth=1.3, linestyle="--", zorder=1)
        grid[1].set_title("dashed: what is promised", loc="left", fontsize=9.5, color=GREY)
        _lines(grid[1], steps.filter(pl.col("metric") == widest), paints, board)
        _named(grid[1], "steps from the cutoff", widest)
    if len(covers) > 1:
        _calibration(grid[2], several, covers, paints, board)
        _named(grid[2], "share that an interval promises", "share of actuals inside it")
    handles, labels = grid[0].get_legend_handles_labels()
    legend = figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 4), frameon=False, fontsize=9)
    for text in legend.get_texts():
        text.set_parse_math(False)
    title = f"By step, with {100 * board.measure.confidence:g} % intervals"
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    return figure


def levels(scores: pl.DataFrame) -> dict[str, float]:
    """Return the central intervals whose coverage was scored, and what each should hold."""
    names = scores["metric"].drop_nulls().unique(maintain_order=True)
    return {name: int(match[1]) / 100 for name in names if (match := re.match(COVERAGE, name))}


def _lines(axes: Axes, rows: pl.DataFrame, paints: dict[str, str], board: Standings) -> None:
    for line in board.all:
        of_model = rows.filter(pl.col("model") == line.model).sort("step")
        if line.model not in paints or of_model.is_empty():
            continue
        name, colour = drawable(board.called(line), 40), paints[line.model]
        steps = of_model["step"].to_numpy()
        bold, marked = (2.2, 3) if line is board.own else (1.4, 2)
        axes.plot(
            steps,
            of_model["value"].to_numpy(),
            color=colour,
            linewidth=bold,
            marker="o",
            markersize=3.5,
            label=name,
            zorder=marked,
        )
        if line is board.own and of_model["ci_low"].null_count() == 0:
            ends = of_model["ci_low"].to_numpy(), of_model["ci_high"].to_numpy()
            axes.fill_between(steps, *ends, color=colour, alpha=0.15, linewidth=0, gid=name)


def _calibration(axes: Axes, rows: pl.DataFrame, covers: dict[str, float], paints: dict[str, str], board: Standings) -> None:
    """Draw the coverage of intervals over their nominal level."""
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1.3, linestyle="--", zorder=1)
    for line in board.all:
        of_model = rows.filter(pl.col("model") == line.model)
        if line.model not in paints or of_model.is_empty():
            continue
        points = sorted(
            (covers[name], value) for name, value in of_model.select("metric", "value").iter_rows() if value is not None
        )
        name = drawable(board.called(line), 40)
        axes.plot(*zip(*points, strict=True), color=paints[line.model], marker="o", markersize=4, linewidth=1.4, label=name)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)


def _named(axes: Axes, across: str, up: str) -> None:
    from matplotlib.ticker import MaxNLocator

    tidy(axes)
    axes.set_xlabel(across, fontsize=9.5, color=INK)
    axes.set_ylabel(up, fontsize=9.5, color=INK, parse_math=False)
    plain_numbers(axes.yaxis)
    low, high = axes.get_ylim()
    if all(np.nanmin(np.asarray(line.get_ydata(), float)) >= 0 for line in axes.lines):
        axes.set_ylim(
            max(low, 0.0), min(high, 1.02) if "coverage" in up else high
        )  # an interval by the normal law may go beyond
    if across.startswith("steps"):
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
