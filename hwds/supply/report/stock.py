"""The report of stock: costs and service of each model in held-out periods, and the levels of each series."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from hwds.report.grid import Grid, grid_of
from hwds.report.hooks import TableReport
from hwds.report.pictures.style import FLOOR_COLOUR, GREY, INK, LIGHT, OWN, drawable, new_figure, save_png, tidy
from hwds.results.formatting import column, counted, percent_cell
from hwds.results.tables import TRUTH
from hwds.supply.stock.record import ALONE, TEXTBOOK
from hwds.supply.stock.verdict import StockVerdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 24
"""Series that are shown."""

TARGET = "#b3382c"
"""The colour of the service that is meant."""


def record_grid(verdict: StockVerdict) -> Grid:
    """Return a line for each model: cost, saving, service and fill rate, units held and owed."""
    rows = verdict.record.to_dicts()
    titles = [
        ("levels from", "levels from"),
        ("cost a period and series", "cost"),
        ("95 %", "95 %"),
        (f"saves against {verdict.base}, %", "saves\n%"),
        ("periods without a shortage, %", "service\n%"),
        ("95 % of these", ""),
        ("demand served in its period, %", "fill\n%"),
        ("units held", "held"),
        ("units owed", "owed"),
        ("orders a period", "orders"),
        ("cases", "cases"),
    ]
    numbers = {name: column([row[name] for row in rows]) for name in ("cost", "cost_low", "cost_high", "held", "short")}
    cells = [
        (
            _called(row["model"]),
            numbers["cost"][place],
            _between(numbers["cost_low"][place], numbers["cost_high"][place]),
            _saving(row),
            percent_cell(row["service"]),
            _between(percent_cell(row["service_low"]), percent_cell(row["service_high"])),
            percent_cell(row["fill"]),
            numbers["held"][place],
            numbers["short"][place],
            f"{row['orders']:.2f}",
            f"{row['cases']:,}",
        )
        for place, row in enumerate(rows)
    ]
    return grid_of(
        titles, cells, own=verdict.model, caption=f"What stock would have cost ({verdict.policy}, {_costs(verdict)}):"
    )


def _called(model: str) -> str:
    return model.replace(TEXTBOOK, ", textbook rule").replace(ALONE, ", no depot")


def _costs(verdict: StockVerdict) -> str:
    order = f", {verdict.order:g} an order" if verdict.order else ""
    return f"{verdict.holding:g} a unit held, {verdict.shortage:g} one short{order}, lead time {verdict.lead}"


def _between(low: str, high: str) -> str:
    return f"{low} to {high}" if low else ""


def _saving(row: dict[str, Any]) -> str:
    if row["saving"] is None:
        return ""
    half = "" if row["saving_low"] is None else f" ± {50 * (row['saving_high'] - row['saving_low']):.1f}"
    return f"{100 * row['saving']:+.1f}{half}"


def levels_grid(verdict: StockVerdict) -> Grid:
    """Return a line for each of the largest levels; all are in stock_levels.csv."""
    rows = verdict.levels[:MOST]
    titles = [
        ("series", "series"),
        ("order up to", "order\nup to"),
        ("reorder at", "reorder\nat"),
        ("up to which the store orders from the depot", "store\nup to"),
        ("mean demand that it covers", "covers"),
        ("stock beyond that", "safety"),
        ("expected demand served, %", "fill\n%"),
        ("expected cost a period", "cost"),
    ]
    cells = zip(
        rows["series"],
        column(rows["upto"].to_list()),
        column(rows["reorder"].to_list()) if verdict.policy == "reorder_point" else [""] * len(rows),
        column(rows["store"].to_list()) if verdict.policy == "two_echelons" else [""] * len(rows),
        *(column(rows[name].to_list()) for name in ("covered", "safety")),
        map(percent_cell, rows["fill"]),
        column(rows["cost"].to_list()),
        strict=True,
    )
    more = f", {len(rows)} of {verdict.n_series}" if len(rows) < verdict.n_series else ""
    return grid_of(titles, list(cells), caption=f"The largest levels after {verdict.cutoff}{more}:")


def draw_record(verdict: StockVerdict, path: Path) -> None:
    """Draw the cost of each model's levels with its interval, and the service that they reached beside what is meant."""
    save_png(record_figure(verdict), path)


def record_figure(verdict: StockVerdict) -> Figure | None:
    """Return the figure; None where nothing was back-tested."""
    rows = verdict.record.reverse()
    if rows.is_empty():
        return None
    figure = new_figure(11, 1.9 + 0.42 * len(rows))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
    colours = [OWN if name == verdict.model else FLOOR_COLOUR if name == TRUTH else GREY for name in rows["model"]]
    place = np.arange(len(rows))
    left.barh(place, rows["cost"].to_numpy(), color=colours, height=0.62)
    _lines(left, rows, "cost", 1.0)
    left.set_yticks(place, [drawable(_called(name), 44) for name in rows["model"]], fontsize=8.5, parse_math=False)
    left.set_title(f"cost a period and series ({_costs(verdict)})", fontsize=9, loc="left", color=INK)
    left.set_xlim(left=0)
    right.plot(100 * rows["service"].to_numpy(), place, "o", color=OWN, label="periods without a shortage")
    right.plot(100 * rows["fill"].to_numpy(), place, "|", color=INK, markersize=12, label="demand served in its period")
    _lines(right, rows, "service", 100.0)
    if verdict.policy in ("newsvendor", "base_stock"):
        right.axvline(100 * verdict.target, color=TARGET, linewidth=1.2, linestyle="--", label="meant")
    right.set_title("service, %", fontsize=9, loc="left", color=INK)
    right.legend(fontsize=7.5, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=3)
    for axes in (left, right):
        tidy(axes, "x")
    why = "" if verdict.rule == "none" else f" ({verdict.rule})"
    title = (
        f"{verdict.action}{why}: {counted(int(rows['cases'].max()), 'cases')} of {counted(int(rows['series'].max()), 'series')}"  # type: ignore[arg-type]
    )
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    return figure


def _lines(axes: Axes, rows: pl.DataFrame, name: str, scale: float) -> None:
    for place, (low, high) in enumerate(rows.select(f"{name}_low", f"{name}_high").iter_rows()):
        if low is not None:
            axes.hlines(place, scale * low, scale * high, color=INK, linewidth=1.2)


def draw_levels(verdict: StockVerdict, path: Path) -> None:
    """Draw the largest levels: the mean demand that each covers, and the stock beyond it."""
    save_png(levels_figure(verdict), path)


def levels_figure(verdict: StockVerdict) -> Figure | None:
    """Return the figure; None where there is no level."""
    rows = verdict.levels[:MOST].reverse()
    if rows.is_empty():
        return None
    figure = new_figure(9, 1.8 + 0.24 * len(rows))
    axes = figure.subplots()
    place = np.arange(len(rows))
    covered, upto = rows["covered"].to_numpy(), rows["upto"].to_numpy()
    axes.barh(place, np.minimum(covered, upto), color=LIGHT, height=0.66, label="mean demand that it covers")
    axes.barh(place, np.maximum(upto - covered, 0), left=covered, color=OWN, height=0.66, label="stock beyond that")
    if verdict.policy == "reorder_point":
        axes.plot(rows["reorder"].to_numpy(), place, "|", color=INK, markersize=10, markeredgewidth=1.6, label="reorder at")
    if verdict.policy == "two_echelons":
        axes.plot(rows["store"].to_numpy(), place, "|", color=INK, markersize=10, markeredgewidth=1.6, label="store up to")
    axes.set_yticks(place, [drawable(name, 34) for name in rows["series"]], fontsize=8, parse_math=False)
    axes.set_xlabel(drawable(verdict.unit or "units"), fontsize=9, color=GREY, parse_math=False)
    axes.legend(fontsize=8, frameon=False, ncols=3, loc="lower right", bbox_to_anchor=(1.0, 1.0))
    tidy(axes, "x")
    axes.set_xlim(left=min(0.0, float(rows["reorder"].min() or 0.0)))  # type: ignore[arg-type]
    shown = (
        counted(verdict.n_series, "levels") if len(rows) == verdict.n_series else f"{len(rows)} of {verdict.n_series} levels"
    )
    figure.suptitle(f"{shown} after {verdict.cutoff}", x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    return figure


RECORD = TableReport(grid=record_grid, draw=draw_record)
LEVELS = TableReport(grid=levels_grid, draw=draw_levels)
