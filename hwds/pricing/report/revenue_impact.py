"""The report of changes of prices: a table of all cells together, and the picture of units, revenue and margin by change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from hwds.pricing.scenarios.impact import EVERYTHING, MEASURES
from hwds.pricing.scenarios.verdict import RevenueImpactVerdict
from hwds.report.grid import Grid, grid_of
from hwds.report.hooks import TableReport
from hwds.report.pictures.style import FLOOR_COLOUR, GREY, INK, LIGHT, NAIVE_COLOUR, OWN, new_figure, save_png, tidy
from hwds.results.formatting import column, counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"units": OWN, "revenue": NAIVE_COLOUR, "margin": FLOOR_COLOUR}


def grid(verdict: RevenueImpactVerdict) -> Grid:
    """Return a line for each change of all prices together; those of each scope are in revenue_impact.csv."""
    rows = verdict.impacts.filter(pl.col("scope") == EVERYTHING)
    shares = {name: _with_ends(rows, name) for name in MEASURES}
    chances = ["" if each is None else f"{100 * each:.0f}" for each in rows["probability_margin_up"]]
    beyond = [f"{out} of {cells}" if out else "" for out, cells in rows.select("beyond", "cells").iter_rows()]
    titles = [
        ("change of all prices, %", "prices\n%"),
        ("units, %", "units\n%"),
        ("revenue, %", "revenue\n%"),
        ("margin, %", "margin\n%"),
        ("probability that margin rises, %", "P(up)\n%"),
        (f"margin of substitutes a {verdict.period}", ""),
        (f"units a {verdict.period} that only come earlier", ""),
        ("cells beyond the observed prices", "beyond"),
    ]
    cells = [
        [f"{100 * change:+g}" for change in rows["change"]],
        *shares.values(),
        chances,
        column(rows["others_margin"].to_list()),
        column(rows["brought_forward"].to_list()),
        beyond,
    ]
    return grid_of(titles, list(zip(*cells, strict=True)), caption=f"All prices together, a {verdict.period}, what stays:")


def _with_ends(rows: pl.DataFrame, name: str) -> list[str]:
    """Return a change as a share of today's with its interval: `+12.3 (8.1 to 16.0)`."""
    said = []
    for now, value, low, high in rows.select(f"{name}_now", name, f"{name}_low", f"{name}_high").iter_rows():
        shown = [] if value is None or not now else [100 * each / now for each in (value, low, high)]
        said.append(f"{shown[0]:+.1f} ({shown[1]:.1f} to {shown[2]:.1f})" if shown else "")
    return said


def draw(verdict: RevenueImpactVerdict, path: Path) -> None:
    """Draw units, revenue and margin by the change of all prices, with bands; grey where prices were not observed."""
    save_png(impact_figure(verdict), path)


def impact_figure(verdict: RevenueImpactVerdict) -> Figure | None:
    """Return the figure, a panel a measure; None where nothing is known."""
    rows = verdict.impacts.filter(pl.col("scope") == EVERYTHING).sort("change")
    names = [name for name in MEASURES if len(rows) and not rows[name].null_count()]
    if not names:
        return None
    figure = new_figure(3.9 * len(names), 4.0)
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        _draw(axes, rows, name, verdict)
    change = "no change is sure to pay" if verdict.change is None else f"{100 * verdict.change:+g} %"
    title = f"{verdict.action}: {change}; {counted(verdict.known, 'prices')} together, a {verdict.period}"
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    return figure


def _draw(axes: Axes, rows: pl.DataFrame, name: str, verdict: RevenueImpactVerdict) -> None:
    rows = pl.concat([rows, pl.DataFrame({"change": [0.0], "beyond": [0]})], how="diagonal_relaxed").sort("change")
    change, colour = 100 * rows["change"].to_numpy(), COLOURS[name]
    shares = [100 * (rows[f"{name}{end}"] / rows[f"{name}_now"]).fill_null(0.0).to_numpy() for end in ("", "_low", "_high")]
    inside = change[rows["beyond"].to_numpy() == 0]
    for low, high in ((change.min(), inside.min()), (inside.max(), change.max())):
        axes.axvspan(low, high, color=LIGHT, alpha=0.5, linewidth=0)
    axes.fill_between(change, shares[1], shares[2], color=colour, alpha=0.18, linewidth=0)
    axes.plot(change, shares[0], "o-", color=colour, linewidth=1.8, markersize=4)
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.axvline(0, color=INK, linewidth=1.2)
    if verdict.change is not None:
        axes.axvline(100 * verdict.change, color=colour, linewidth=1.2, linestyle="--")
    axes.set_title(f"{name}, %", fontsize=10, loc="left", color=INK)
    axes.set_xlabel("change of prices, %; grey: some cells beyond the observed", fontsize=8, color=GREY)
    axes.margins(x=0)
    tidy(axes)


REPORT = TableReport(grid=grid, draw=draw)
