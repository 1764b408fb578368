"""The report of a supply plan: its steps, the volumes that can be committed to, and their pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from hwds.report.grid import Grid, grid_of
from hwds.report.hooks import TableReport
from hwds.report.pictures.style import GREY, INK, LIGHT, NAIVE_COLOUR, OWN, drawable, new_figure, save_png, tidy
from hwds.results.formatting import column, counted, percent_cell
from hwds.supply.plan.verdict import SupplyVerdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 24
"""Deals that are shown."""

MOST_STEPS = 30
"""Steps of plants in the table."""

LOST = "#b3382c"
"""The colour of capacity that outages take."""


def steps_grid(verdict: SupplyVerdict) -> Grid:
    """Return a line for each plant and step: capacity, demand, plan, stock and fill rate; all are in supply_plan.csv."""
    rows = verdict.plan[:MOST_STEPS]
    titles = [
        ("plant", "plant"),
        ("step", "step"),
        ("capacity with all machines", "capacity"),
        ("share that runs, %", "runs\n%"),
        ("its P10, %", ""),
        ("mean demand", "demand"),
        ("P90 of demand", "P90"),
        ("planned production", "plan"),
        ("mean stock at the end", "stock"),
        ("stock, in steps of mean demand", "cover"),
        ("demand served in its step, %", "fill\n%"),
        ("chance that some is not, %", "short\n%"),
    ]
    cells = zip(
        rows["plant"],
        map(str, rows["step"]),
        column(rows["capacity"].to_list()),
        *(map(percent_cell, rows[name]) for name in ("running", "running_low")),
        *(column(rows[name].to_list()) for name in ("demand", "demand_high", "planned", "stock")),
        ("" if each is None else f"{each:.2f}" for each in rows["cover"]),
        *(map(percent_cell, rows[name]) for name in ("fill", "short")),
        strict=True,
    )
    more = "" if len(rows) == len(verdict.plan) else f", {len(rows)} of {len(verdict.plan)} lines"
    return grid_of(titles, list(cells), names=1, caption=f"The plan after {verdict.cutoff}{more}:")


def volumes_grid(verdict: SupplyVerdict) -> Grid:
    """Return a line for each of the largest deals: what can be committed to, and its orders."""
    rows = verdict.volumes[:MOST]
    titles = [
        ("deal", "deal"),
        ("plant", ""),
        *((f"{band} (P{100 * level:.4g}), delivered", band) for band, level in verdict.levels.items()),
        *((f"the same of demand, P{100 * level:.4g}", "") for level in verdict.levels.values()),
        ("delivered on average", "mean"),
        ("the same if all machines ran", "all\nrun"),
        ("planned production", "plan"),
        ("demand served in its step, %", "fill\n%"),
        ("asked for in the back-test", "asked"),
        ("delivered", "served"),
    ]
    names = (*verdict.levels, *(f"demand_{band}" for band in verdict.levels), "delivered", "delivered_running", "planned")
    cells = zip(
        rows["deal"],
        rows["plant"],
        *(column(rows[name].to_list()) for name in names),
        map(percent_cell, rows["fill"]),
        *(column(rows[name].to_list()) for name in ("actual", "served")),
        strict=True,
    )
    more = "" if len(rows) == verdict.n_deals else f", {len(rows)} of {verdict.n_deals}"
    return grid_of(titles, list(cells), names=2, caption=f"What can be committed to{more}:")


def draw_steps(verdict: SupplyVerdict, path: Path) -> None:
    """Draw capacity, demand and the plan of all plants by step, and below the steps of stock and the fill rate."""
    save_png(steps_figure(verdict), path)


def steps_figure(verdict: SupplyVerdict) -> Figure:
    """Return the figure: amounts above, stock and service below."""
    rows = verdict.plan.group_by("step", maintain_order=True).agg(
        pl.col("capacity", "demand", "planned", "stock").sum(),
        (pl.col("running") * pl.col("capacity")).sum().alias("left"),
        (pl.col("running_low") * pl.col("capacity")).sum().alias("left_low"),
        pl.col("demand_high").sum(),
        (pl.col("fill") * pl.col("demand")).sum().alias("served"),
    )
    step = rows["step"].to_numpy()
    figure = new_figure(10, 6.2)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    _draw_amounts(top, rows, step)
    demand = np.maximum(rows["demand"].to_numpy(), 1e-9)
    bottom.bar(step, rows["stock"].to_numpy() / demand, color=LIGHT, width=0.6, label="stock, in steps of demand")
    bottom.plot(step, rows["served"].to_numpy() / demand, "o-", color=OWN, markersize=4, label="demand served in its step")
    bottom.set_ylim(bottom=0)
    bottom.set_xlabel("step", fontsize=9, color=GREY)
    bottom.legend(fontsize=8, frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1.0, 1.0))
    tidy(bottom)
    why = "" if verdict.rule == "none" else f" ({verdict.rule})"
    volume = f"{verdict.committed:,.0f} {verdict.unit}".rstrip()
    title = f"{verdict.action}{why}: {volume} of {counted(verdict.n_deals, 'deals')} after {verdict.cutoff}"
    figure.suptitle(drawable(title, 90), x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK, parse_math=False)
    return figure


def _draw_amounts(axes: Axes, rows: pl.DataFrame, step: np.ndarray) -> None:
    from matplotlib.ticker import EngFormatter

    axes.bar(step, rows["planned"].to_numpy(), color=OWN, alpha=0.55, width=0.6, label="planned")
    axes.fill_between(step, rows["left_low"].to_numpy(), rows["capacity"].to_numpy(), color=LOST, alpha=0.15, linewidth=0)
    axes.plot(step, rows["capacity"].to_numpy(), color=INK, linewidth=1.2, label="all machines")
    axes.plot(step, rows["left"].to_numpy(), color=LOST, linewidth=1.2, label="less outages (shade: to P10)")
    axes.errorbar(
        step,
        rows["demand"].to_numpy(),
        [np.zeros(len(step)), (rows["demand_high"] - rows["demand"]).to_numpy()],
        fmt="o",
        color=NAIVE_COLOUR,
        markersize=4,
        linewidth=1,
        label="demand, to P90",
    )
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=8, frameon=False, ncols=4, loc="lower right", bbox_to_anchor=(1.0, 1.0))
    tidy(axes)


def draw_volumes(verdict: SupplyVerdict, path: Path) -> None:
    """Draw the largest deals: what can be delivered from the committed to the upside volume, and orders."""
    save_png(volumes_figure(verdict), path)


def volumes_figure(verdict: SupplyVerdict) -> Figure | None:
    """Return the figure; None where there is no deal."""
    rows = verdict.volumes[:MOST].reverse()
    if rows.is_empty():
        return None
    figure = new_figure(9.5, 1.9 + 0.25 * len(rows))
    axes = figure.subplots()
    place = np.arange(len(rows))
    axes.hlines(place, rows["demand_committed"], rows["demand_upside"], color=LIGHT, linewidth=8, label="asked for")
    axes.hlines(place, rows["committed"], rows["upside"], color=OWN, linewidth=4, label="can be delivered")
    axes.plot(rows["committed"], place, "|", color=INK, markersize=11, markeredgewidth=1.6, label="to commit to")
    if rows["actual"].null_count() < len(rows):
        axes.plot(rows["actual"], place, "o", color=NAIVE_COLOUR, markersize=4, label="demand")
    axes.set_yticks(place, [drawable(name, 34) for name in rows["deal"]], fontsize=8, parse_math=False)
    axes.set_xlabel(drawable(verdict.unit or "units"), fontsize=9, color=GREY, parse_math=False)
    axes.set_xlim(left=0)
    axes.legend(fontsize=8, frameon=False, ncols=4, loc="lower right", bbox_to_anchor=(1.0, 1.0))
    tidy(axes, "x")
    names = ", ".join(f"{band} P{100 * level:.4g}" for band, level in verdict.levels.items())
    title = f"{counted(verdict.n_deals, 'deals')} over {verdict.steps} steps: {names}"
    figure.suptitle(drawable(title, 90), x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK, parse_math=False)
    return figure


PLAN = TableReport(grid=steps_grid, draw=draw_steps)
VOLUMES = TableReport(grid=volumes_grid, draw=draw_volumes)
