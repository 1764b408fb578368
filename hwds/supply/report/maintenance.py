"""The report of maintenance: rules in the back-test, the schedule of machines that run, and the outages it brings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from hwds.report.grid import Grid, grid_of
from hwds.report.hooks import TableReport
from hwds.report.pictures.style import GREY, INK, LIGHT, NAIVE_COLOUR, OWN, drawable, new_figure, save_png, tidy
from hwds.results.formatting import column, counted, percent_cell
from hwds.supply.maintenance import back_test, rules
from hwds.supply.maintenance.verdict import MaintenanceVerdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMES = {
    "renewal": "renewal rule",
    "renewal[no limits]": "renewal rule, any crew",
    "renewal[true law]": "the same by the true law",
    "threshold": "threshold on the median",
    "threshold[no limits]": "threshold on the median, any crew",
    "fixed_interval": "fixed interval",
    "run_to_failure": "run to failure",
    "foresight": "foresight",
}
"""Rules where people read."""

FAILED = "#b3382c"
"""The colour of failures."""

MOST = 30
"""Machines of a schedule that are shown."""


def policies_grid(verdict: MaintenanceVerdict) -> Grid:
    """Return a line for each rule: cost, saving, failures, downtime, and how long machines run."""
    rows = verdict.policies.to_dicts()
    unit = verdict.unit.removesuffix("s")
    titles = [
        ("rule", "rule"),
        (f"cost a running {unit}", "cost"),
        ("95 %", "95 %"),
        ("saves against the fixed interval, %", "saves\n%"),
        ("95 % of the saving", ""),
        ("saved against it by the renewal rule, %", "renewal\nsaves %"),
        ("95 % of that", ""),
        ("machines that fail, %", "fail\n%"),
        ("95 % of these", ""),
        ("time that a machine stands still, %", "still\n%"),
        (f"mean {verdict.unit} that a machine runs", "runs"),
        ("machines whose outcome is known", "known"),
    ]
    costs, runs = column([row["cost"] for row in rows]), column([row["run"] for row in rows])
    cells = [
        (
            NAMES.get(row["policy"], row["policy"]),
            cost,
            _ends(row, "cost", 1.0),
            percent_cell(row["saving"]),
            _ends(row, "saving", 100.0),
            percent_cell(row["own_saves"]),
            _ends(row, "own_saves", 100.0),
            percent_cell(row["failures"]),
            _ends(row, "failures", 100.0),
            percent_cell(row["downtime"], 2),
            run,
            str(row["known"]),
        )
        for row, cost, run in zip(rows, costs, runs, strict=True)
    ]
    return grid_of(titles, cells, own=NAMES[rules.OWN], caption="What rules would have cost on held-out machines:")


def _ends(row: dict[str, Any], name: str, scale: float) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return "" if low is None else f"{scale * low:.1f} to {scale * high:.1f}"


def schedule_grid(verdict: MaintenanceVerdict) -> Grid:
    """Return a line for each machine that is due, soonest first; all are in maintenance_schedule.csv."""
    rows = verdict.schedule.drop_nulls("slot")[:MOST]
    titles = [
        ("machine", "machine"),
        (f"age, {verdict.unit}", "age"),
        ("slot", "slot"),
        ("slot without limits", "wanted"),
        ("chance to fail before, %", "fails\nbefore %"),
        ("chance to fail in the next slot, %", "fails\nnext %"),
        ("expected cost of one slot more", "delay\ncosts"),
        (f"median remaining life, {verdict.unit}", "median\nlife"),
    ]
    cells = zip(
        rows["machine"],
        (f"{age:g}" for age in rows["age"]),
        ("now" if slot == 0 else str(slot) for slot in rows["slot"]),
        ("later" if slot is None else "now" if slot == 0 else str(slot) for slot in rows["wanted"]),
        map(percent_cell, rows["fails_before"]),
        map(percent_cell, rows["fails_next"]),
        column(rows["delay_cost"].to_list()),
        column(rows["median_life"].to_list()),
        strict=True,
    )
    left = verdict.due - len(rows)
    more = f", the first {len(rows)} of {verdict.due}" if left else ""
    return grid_of(titles, list(cells), caption=f"Machines that are due{more}:")


def draw_policies(verdict: MaintenanceVerdict, path: Path) -> None:
    """Draw the cost of each rule with its interval, and the share of machines that fail under it."""
    save_png(policies_figure(verdict), path)


def policies_figure(verdict: MaintenanceVerdict) -> Figure:
    """Return the figure: costs on the left, failures on the right."""
    rows = verdict.policies.reverse().drop_nulls("cost")
    figure = new_figure(11, 1.8 + 0.4 * len(rows))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
    colours = [_colour(name) for name in rows["policy"]]
    _bars(left, rows, "cost", 1.0, colours)
    _bars(right, rows, "failures", 100.0, colours)
    left.set_yticks(range(len(rows)), [NAMES.get(name, name) for name in rows["policy"]], fontsize=9)
    unit = verdict.unit.removesuffix("s")
    costs = f"cost a running {unit} ({verdict.planned:g} planned, {verdict.failure:g} a failure)"
    left.set_title(costs, fontsize=9.5, loc="left", color=INK)
    right.set_title("machines that fail, %", fontsize=9.5, loc="left", color=INK)
    why = "" if verdict.rule == "none" else f" ({verdict.rule})"
    title = f"{verdict.action}{why}: {counted(verdict.machines, 'held-out machines')}, lines 95 %"
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    return figure


def _colour(policy: str) -> str:
    return OWN if policy == rules.OWN else NAIVE_COLOUR if policy in back_test.BLIND else GREY


def _bars(axes: Axes, rows: pl.DataFrame, name: str, scale: float, colours: list[str]) -> None:
    values = scale * rows[name].to_numpy()
    axes.barh(range(len(rows)), values, color=colours, height=0.62)
    for place, (low, high) in enumerate(rows.select(f"{name}_low", f"{name}_high").iter_rows()):
        if low is not None:
            axes.hlines(place, scale * low, scale * high, color=INK, linewidth=1.2)
    axes.set_xlim(left=0)
    tidy(axes, "x")


def draw_schedule(verdict: MaintenanceVerdict, path: Path) -> None:
    """Draw each machine that is due with the slot of its replacement, the chance to fail before, and the use of the crew."""
    save_png(schedule_figure(verdict), path)


def schedule_figure(verdict: MaintenanceVerdict) -> Figure | None:
    """Return the figure; None where no machine runs."""
    rows = verdict.schedule[:MOST]
    if rows.is_empty():
        return None
    figure = new_figure(10, 2.9 + 0.2 * max(len(rows), 8))
    panels = figure.subplot_mosaic([["slots"], ["use"]], height_ratios=[max(len(rows), 8), 6])
    _draw_slots(panels["slots"], rows, verdict)
    _draw_use(panels["use"], verdict)
    all_machines = counted(verdict.running, "machines")
    shown = all_machines if len(rows) == verdict.running else f"{len(rows)} of {all_machines}"
    title = f"{shown}, the next {verdict.slots} slots of {verdict.slot:g} {verdict.unit}"
    figure.suptitle(drawable(title, 90), x=0.01, ha="left", fontsize=12.5, fontweight="bold", color=INK, parse_math=False)
    return figure


def _draw_slots(axes: Axes, rows: pl.DataFrame, verdict: MaintenanceVerdict) -> None:
    place = np.arange(len(rows))[::-1]
    slot = rows["slot"].fill_null(verdict.slots).to_numpy()
    risk = rows["fails_before"].to_numpy()
    axes.hlines(place, 0, slot, color=LIGHT, linewidth=5)
    known = ~rows["slot"].is_null().to_numpy()
    axes.plot(slot[known], place[known], "s", color=OWN, markersize=7, label="replaced")
    axes.plot(slot[~known], place[~known], ">", color=GREY, markersize=6, label="later")
    wanted = rows["wanted"].fill_null(verdict.slots).to_numpy()
    axes.plot(wanted, place, "|", color=INK, markersize=11, label="without limits")
    for y, x, chance in zip(place, slot, risk, strict=True):
        axes.text(x + 0.12, y, f"{100 * chance:.0f} %", va="center", fontsize=7.5, color=FAILED if chance >= 0.05 else GREY)
    axes.set_yticks(place, [drawable(name, 24) for name in rows["machine"]], fontsize=7.5, parse_math=False)
    axes.set_ylim(-0.8, len(rows) - 0.2)
    axes.set_xlim(-0.3, verdict.slots + 0.9)
    axes.set_title("slot of each machine, and its chance to fail before", fontsize=9.5, loc="left", color=INK)
    axes.legend(fontsize=8, frameon=False, ncols=3, loc="lower right", bbox_to_anchor=(1.0, 1.0))
    tidy(axes, "x")


def _draw_use(axes: Axes, verdict: MaintenanceVerdict) -> None:
    rows = verdict.outages
    slot = rows["slot"].to_numpy()
    axes.bar(slot, rows["planned"].to_numpy(), color=OWN, width=0.6, label="planned")
    axes.bar(slot, rows["failures"].to_numpy(), bottom=rows["planned"].to_numpy(), color=FAILED, width=0.6, label="failures")
    if verdict.crew is not None and verdict.crew <= 4 * max(float((rows["planned"] + rows["failures"]).max()), 1.0):  # type: ignore[arg-type]
        axes.axhline(verdict.crew, color=INK, linewidth=1.1, linestyle="--", label="crew")
    axes.set_xlim(-0.3, verdict.slots + 0.9)
    axes.set_title("expected replacements", fontsize=9.5, loc="left", color=INK)
    axes.set_xlabel("slot", fontsize=9, color=GREY)
    axes.legend(fontsize=8, frameon=False, ncols=3, loc="lower right", bbox_to_anchor=(1.0, 1.0))
    tidy(axes)


POLICIES = TableReport(grid=policies_grid, draw=draw_policies)
SCHEDULE = TableReport(grid=schedule_grid, draw=draw_schedule)
