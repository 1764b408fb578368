"""ab_peeking.png: how often each rule declares a winner where there is none, against the number of looks; and what it finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from hwds.ab.report.scores import rate_rows
from hwds.ab.report.tables import RULES
from hwds.report.pictures.style import GREY, INK, NAIVE_COLOUR, OWN, drawable, new_figure, tidy
from hwds.results.tables import TRUTH, Tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = (NAIVE_COLOUR, "#7b5ea7", INK, "#2e8b57", "#c0504d", "#8c8c3c", "#4bacc6")

PANELS = {
    "false_positive_rate": "False winners: no effect is true",
    "power": "Power: the minimum effect of a fixed test is true",
}


ASIDE = 0.025
"""The offset between lines, as a share of the way from 1 to 10 looks, so that equal ones do not hide each other."""


def peeking_figure(tables: Tables, model: str) -> Figure | None:
    """Draw the simulated rates; None where nothing was simulated."""
    rows = {metric: rate_rows(tables, metric).filter(pl.col("model") != TRUTH) for metric in PANELS}
    wins = rows["false_positive_rate"]
    if wins.is_empty():
        return None
    figure = new_figure(11, 5.2)
    grid = figure.subplots(1, 2)
    lines = _lines(wins, model)
    for axes, (metric, title) in zip(grid, PANELS.items(), strict=True):
        _draw(axes, rows[metric], lines)
        axes.set_title(title, loc="left", fontsize=11, color=INK)
    nominal = 100 * (1 - tables.measure("effect").confidence)
    label = f"{nominal:.3g} %, what the level of the intervals promises"
    grid[0].axhline(nominal, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=0, label=label)
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    title = f"How often each rule declares a winner: {wins['n'][0]:,} simulated tests, bars: two standard errors"
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    return figure


def _lines(wins: pl.DataFrame, model: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the style of each model and rule, the most false winners first, as in the picture."""
    last = wins.filter(pl.col("step") == pl.col("step").max()).sort("value", descending=True, maintain_order=True)
    of_model = next((pair for pair in wins.select("model", "ci_method").iter_rows() if pair[0] == model), None)
    styles = {}
    for place, (label, rule) in enumerate(last.select("model", "ci_method").iter_rows()):
        styles[label, rule] = {
            "color": OWN if (label, rule) == of_model else PALETTE[place % len(PALETTE)],
            "linewidth": 2.4 if label == model else 1.5,
            "linestyle": "-" if place < len(PALETTE) else "--",
            "label": drawable(f"{label} ({RULES.get(rule, rule)})"),
        }
    return styles


def _draw(axes: Axes, rows: pl.DataFrame, lines: dict[tuple[str, str], dict[str, Any]]) -> None:
    """Draw a line for each model and rule, with two standard errors."""
    from matplotlib.ticker import ScalarFormatter

    parts = rows.sort("step").partition_by("model", "ci_method", as_dict=True)
    for place, ((label, rule), style) in enumerate(lines.items()):
        part = parts.get((label, rule))
        if part is not None:
            looks = part["step"] * 10 ** (ASIDE * (place - (len(lines) - 1) / 2))
            more: dict[str, Any] = {"marker": "o", "markersize": 4, "capsize": 2, **style}
            axes.errorbar(looks, 100 * part["value"], yerr=200 * part["stderr"], **more)
    axes.set_xscale("log")
    axes.set_xticks(sorted(rows["step"].unique().to_list()))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    tidy(axes)
    axes.set_xlabel("looks at the test, log scale", fontsize=9.5, color=INK)
    axes.set_ylabel("tests with a winner, %", fontsize=9.5, color=INK)
