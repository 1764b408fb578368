"""segments.png: the headline by segment, a panel for each column of segments, a dot for each model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from hwds.report.pictures.style import (
    FLOOR_COLOUR,
    INK,
    LIGHT,
    NAIVE_COLOUR,
    OWN,
    RIVAL_COLOURS,
    drawable,
    new_figure,
    plain_numbers,
    tidy,
)
from hwds.report.segments import by_column, largest
from hwds.report.standings import Standings
from hwds.results.tables import Tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 12
"""The most segments of a panel, those with the most units."""

MODELS = 8
"""The most models that are drawn: the best ones, and always the experiment's."""

SPREAD = 0.62
"""The width of a segment's models, as a share of the distance to the next segment."""


def segments_figure(tables: Tables, board: Standings) -> Figure | None:
    """Draw the headline by segment; None where no segment, or no model, has a score."""
    scored = {column: rows.filter(pl.col("value").is_not_null()) for column, rows in by_column(tables, board.headline).items()}
    panels = {column: rows for column, rows in scored.items() if len(rows)}
    paints = model_colours(board)
    if not panels or not paints:
        return None
    segments = {column: list(largest(rows, MOST)) for column, rows in panels.items()}
    heights = [0.7 + (0.22 + 0.1 * len(paints)) * len(names) for names in segments.values()]
    figure = new_figure(10, 1.0 + sum(heights))
    grid = figure.subplots(len(panels), squeeze=False, gridspec_kw={"height_ratios": heights}, sharex=True)[:, 0]
    for axes, (column, rows) in zip(grid, panels.items(), strict=True):
        _draw(axes, rows, segments[column], paints, board)
        axes.set_title(drawable(f"by {column}"), loc="left", fontsize=11, color=INK, parse_math=False)
    side = "" if board.better == "none" else f"; {board.better}er is better"
    text = drawable(f"{board.called_in}{side}; bars: {100 * board.measure.confidence:g} % interval", 110)
    grid[-1].set_xlabel(text, fontsize=9.5, color=INK, parse_math=False)
    handles, labels = grid[0].get_legend_handles_labels()
    legend = figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 4), frameon=False, fontsize=9)
    for label in legend.get_texts():
        label.set_parse_math(False)
    title = drawable(f"{board.headline} by segment", 90)
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK, parse_math=False)
    return figure


def model_colours(board: Standings) -> dict[str, str]:
    """Return the colour of each model that is drawn, by its label, in the order of the board."""
    lines = [line for line in board.all if line.headline.value is not None]
    drawn = [line for place, line in enumerate(lines) if place < MODELS or line is board.own or line is board.truth]
    others = iter(RIVAL_COLOURS[1:] * len(drawn))
    fixed = {id(board.own): OWN, id(board.truth): FLOOR_COLOUR}
    return {line.model: fixed.get(id(line)) or (NAIVE_COLOUR if board.is_reference(line) else next(others)) for line in drawn}


def _draw(axes: Axes, rows: pl.DataFrame, segments: list[str], paints: dict[str, str], board: Standings) -> None:
    shifts = np.linspace(-SPREAD / 2, SPREAD / 2, len(paints)) if len(paints) > 1 else np.zeros(1)
    called = {line.model: board.called(line) for line in board.all}
    for shift, (model, colour) in zip(shifts, paints.items(), strict=True):
        scores = rows.filter((pl.col("model") == model) & pl.col("segment").is_in(segments))
        places = np.array([segments.index(segment) for segment in scores["segment"]]) + shift
        low, high = (scores[end].fill_null(scores["value"]).to_numpy() for end in ("ci_low", "ci_high"))
        value = scores["value"].to_numpy()
        bars = np.maximum(np.stack([value - low, high - value]), 0.0)
        label = drawable(called[model], 40)
        axes.errorbar(value, places, xerr=bars, fmt="o", color=colour, markersize=5, elinewidth=1.6, label=label)
    axes.set_yticks(range(len(segments)), [drawable(segment, 36) for segment in segments], parse_math=False)
    axes.set_ylim(len(segments) - 0.5, -0.5)
    for place in range(1, len(segments)):
        axes.axhline(place - 0.5, color=LIGHT, linewidth=0.8, zorder=0)
    tidy(axes, grid="x")
    axes.tick_params(axis="y", length=0)
    plain_numbers(axes.xaxis)
