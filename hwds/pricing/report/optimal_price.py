"""The report of recommended prices: a table of cells, and the picture of today's and the recommended prices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from hwds.pricing.optimum.verdict import OptimalPriceVerdict
from hwds.report.grid import Grid, grid_of
from hwds.report.hooks import TableReport
from hwds.report.pictures.style import FLOOR_COLOUR, GREY, INK, LIGHT, OWN, drawable, new_figure, save_png, tidy
from hwds.results.formatting import column, counted, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 24
"""Cells in the table and in the picture: those with the largest gain, or else with the largest value of a test."""


def shown(verdict: OptimalPriceVerdict, most: int = MOST) -> pl.DataFrame:
    """Return the rows that are shown: those that change, largest gain first, then those on hold by the value of a test."""
    moves = (pl.col("status") != "HOLD").alias("moves")
    order = verdict.prices.with_columns(moves, worth=pl.col("value_of_test").fill_null(0.0))
    return order.sort("moves", "gain", "worth", descending=True, maintain_order=True).head(most)


def grid(verdict: OptimalPriceVerdict) -> Grid:
    """Return a line for each cell: its prices, what bound them, and the gain of a period with its interval."""
    rows = shown(verdict)
    moves = rows["moves"].to_list()
    gains = column([gain if changes else None for gain, changes in zip(rows["gain"], moves, strict=True)])
    chances = ["" if each is None else f"{100 * each:.0f}" for each in rows["probability_gain"]]
    change = [f"{100 * each:+.1f}" if changes else "" for each, changes in zip(rows["change"], moves, strict=True)]
    titles = [
        ("cell", "cell"),
        ("status", "status"),
        ("what bound it, or why it stays", "bound by"),
        ("today's price", "today"),
        ("recommended price", "then"),
        ("change, %", "change\n%"),
        (f"gain a {verdict.period}", "gain"),
        (f"{100 * verdict.level:g} % interval", ""),
        ("probability of a gain, %", "P(gain)\n%"),
        (f"value of a test a {verdict.period}", "test\nworth"),
        ("from no guardrail to the price", ""),
    ]
    ends = [
        f"{low:,.4g} to {high:,.4g}" if on else ""
        for low, high, on in rows.select("gain_low", "gain_high", "moves").iter_rows()
    ]
    prices, then = column(rows["price"].to_list()), column(rows["recommended"].to_list())
    rules, worth = [rule.replace("_", " ") for rule in rows["rule"]], column(rows["value_of_test"].to_list())
    cells = [rows["cell"], rows["status"], rules, prices, then, change, gains, ends, chances, worth, rows["trail"]]
    left = len(verdict.prices) - len(rows)
    caption = f"Prices of {counted(len(rows), 'cells')}" + (
        f" of {len(verdict.prices):,}; all are in optimal_price.csv:" if left else ":"
    )
    return grid_of(titles, list(zip(*cells, strict=True)), names=3, caption=caption)


def draw(verdict: OptimalPriceVerdict, path: Path) -> None:
    """Draw today's and the recommended price of each cell within its bounds, and the gains; cells with the largest gain."""
    save_png(price_figure(verdict), path)


def price_figure(verdict: OptimalPriceVerdict) -> Figure:
    """Return the figure: prices relative to today's on the left, gains on the right."""
    rows = shown(verdict)
    figure = new_figure(11.0, 1.6 + 0.28 * max(len(rows), 6))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
    _draw_prices(left, rows)
    _draw_gains(right, rows, verdict)
    left.set_yticks(range(len(rows)), [drawable(name, 34) for name in rows["cell"]], fontsize=8.5)
    left.set_ylim(len(rows) - 0.4, -0.6)
    share = f", {percent(verdict.gain / verdict.now)} more {verdict.objective}" if verdict.now > 0 else ""
    title = f"{verdict.action}: {verdict.changed} of {counted(verdict.cells, 'prices')}{share if verdict.changed else ''}"
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    return figure


def _draw_prices(axes: Axes, rows: pl.DataFrame) -> None:
    for place, row in enumerate(rows.iter_rows(named=True)):
        ends = [100 * (row[end] / row["price"] - 1) for end in ("lowest", "highest")]
        if ends[0] <= ends[1]:
            axes.hlines(place, *ends, color=LIGHT, linewidth=7, label="within the bounds" if not place else "_")
        axes.plot(0, place, "|", color=INK, markersize=11, markeredgewidth=1.5, label="today" if not place else "_")
        if row["moves"]:
            axes.plot(100 * row["change"], place, "o", color=OWN, markersize=6)
        words = "" if row["rule"] == "none" else row["rule"].replace("_", " ")
        axes.annotate(words, (1.01, place), xycoords=("axes fraction", "data"), fontsize=7.5, color=GREY, va="center")
    axes.plot([], [], "o", color=OWN, label="recommended")
    axes.set_xlabel("change of the price, %; in grey what bound it, or why it stays", fontsize=9, color=GREY)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=8.5, frameon=False, borderaxespad=0.2)
    tidy(axes, "x")


def _draw_gains(axes: Axes, rows: pl.DataFrame, verdict: OptimalPriceVerdict) -> None:
    from matplotlib.ticker import EngFormatter, MaxNLocator

    for place, row in enumerate(rows.iter_rows(named=True)):
        if row["moves"]:
            axes.hlines(place, row["gain_low"], row["gain_high"], color=FLOOR_COLOUR, linewidth=2)
            axes.plot(row["gain"], place, "o", color=FLOOR_COLOUR, markersize=5)
    axes.axvline(0, color=GREY, linewidth=0.8)
    unit = f", {verdict.unit}" if verdict.unit else ""
    axes.set_xlabel(f"gain a {verdict.period}{unit}, {100 * verdict.level:g} % interval", fontsize=9, color=GREY)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    tidy(axes, "x")


REPORT = TableReport(grid=grid, draw=draw)
