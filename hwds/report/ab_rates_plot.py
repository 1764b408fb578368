"""ab_peeking.png: how often each rule declares a winner where there is none, against the number of looks; and what it finds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from hwds.report.ab_results import rate_rows
from hwds.report.style import GREY, INK, NAIVE_COLOUR, OWN, drawable, new_figure, save_png, tidy
from hwds.results.tables import TRUTH, Tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = (OWN, NAIVE_COLOUR, "#7b5ea7", INK, "#2e8b57", "#c0504d", "#8c8c3c", "#4bacc6")

PANELS = {
    "false_positive_rate": "False winners: no effect is true",
    "power": "Power: the minimum effect of a fixed test is true",
}


def peeking_png(tables: Tables, path: Path) -> bool:
    """Draw the simulated rates.

    Returns:
        Whether there was anything to draw: no file is written where nothing was simulated.

    Raises:
        HwdsError: The folder cannot be written.
    """
    figure = peeking_figure(tables)
    if figure is None:
        return False
    save_png(figure, path)
    return True


def peeking_figure(tables: Tables) -> Figure | None:
    """The figure that `peeking_png` writes; None where nothing was simulated."""
    rows = {metric: rate_rows(tables, metric).filter(pl.col("model") != TRUTH) for metric in PANELS}
    if rows["false_positive_rate"].is_empty():
        return None
    figure = new_figure(11, 4.8)
    grid = figure.subplots(1, 2)
    for axes, (metric, title) in zip(grid, PANELS.items(), strict=True):
        _draw(axes, rows[metric])
        axes.set_title(title, loc="left", fontsize=11, color=INK)
    grid[0].axhline(5, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def _draw(axes: Axes, rows: pl.DataFrame) -> None:
    """A line for each model and rule, with two standard errors."""
    from matplotlib.ticker import ScalarFormatter

    groups = rows.sort("step", maintain_order=True).partition_by("model", "ci_method", maintain_order=True)
    for place, part in enumerate(groups):
        label = drawable(f"{part['model'][0]}, {part['ci_method'][0].replace('_', ' ')}")
        style: dict[str, Any] = {
            "color": PALETTE[place % len(PALETTE)],
            "marker": "o",
            "markersize": 4,
            "linewidth": 1.8,
            "capsize": 2,
        }
        axes.errorbar(part["step"], 100 * part["value"], yerr=200 * part["stderr"], label=label, **style)
    axes.set_xscale("log")
    axes.set_xticks(sorted(rows["step"].unique().to_list()))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    tidy(axes)
    axes.set_xlabel("looks at the test", fontsize=9.5, color=INK)
    axes.set_ylabel("tests with a winner, %", fontsize=9.5, color=INK)
