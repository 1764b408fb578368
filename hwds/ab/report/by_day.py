"""by_day.png: the effect of all units until the end of each day, with the interval that holds on any of them; and its table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from hwds.ab.protocols.analysis.rows import parted
from hwds.ab.report.scores import called, final_scores, level_of, roles_of, unit_of
from hwds.ab.report.tables import LIFT, lift_words
from hwds.report.grid import Grid, grid_of
from hwds.report.pictures.style import GREY, INK, OWN, RIVAL_COLOURS, drawable, new_figure, tidy
from hwds.results.formatting import fixed, places_of
from hwds.results.tables import Tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_ARMS = 6
"""The arms of a panel; more could not be told apart."""

TICKS = 9
"""Days that are named below the picture."""


@dataclass(frozen=True, slots=True)
class Day:
    """The effect of an arm on one outcome until the end of a day, as a share of the control's mean and in its unit."""

    outcome: str
    arm: str
    day: str
    units: int
    lift: tuple[float, float | None, float | None] | None
    effect: tuple[float, float | None, float | None]


def days_of(tables: Tables, model: str) -> list[Day]:
    """Return the effects by day of a model, by outcome, arm and day; none in runs without a time."""
    by_day = (pl.col("model") == model) & pl.col("metric").str.contains("_by_day") & pl.col("step").is_not_null()
    numbers: dict[tuple[str, str, int], dict[str, dict[str, Any]]] = {}
    for row in final_scores(tables).filter(by_day).to_dicts():
        metric, outcome = parted(row["metric"])
        numbers.setdefault((outcome, row["segment"], row["step"]), {})[metric] = row
    return [
        Day(outcome, arm, each["effect_by_day"]["cutoff"], each["effect_by_day"]["n"], _ends(each.get("lift_by_day")), ends)
        for (outcome, arm, _), each in sorted(numbers.items())
        if (ends := _ends(each.get("effect_by_day"))) is not None
    ]


def _ends(row: dict[str, Any] | None) -> tuple[float, float | None, float | None] | None:
    return None if row is None or row["value"] is None else (row["value"], row["ci_low"], row["ci_high"])


def by_day_grid(tables: Tables, model: str) -> Grid:
    """Return the effects by day, for the page; empty where there are none."""
    days = days_of(tables, model)
    titles = ("outcome", "arm", "day", "units", LIFT, "effect", f"{level_of(tables)} interval")
    rows = [[*_names(tables, day), lift_words(day.lift), *_bounded(tables, day)] for day in days]
    return grid_of([(title, title) for title in titles], rows, names=3)


def _names(tables: Tables, day: Day) -> tuple[str, str, str, str]:
    named = ", ".join(filter(None, (called(tables, day.outcome), unit_of(tables, day.outcome))))
    return named, day.arm, day.day, f"{day.units:,}"


def _bounded(tables: Tables, day: Day) -> tuple[str, str]:
    """Return the effect and its interval."""
    places = places_of(max(abs(each) for each in day.effect if each is not None), None, unit_of(tables, day.outcome))
    value, low, high = (fixed(each, places) for each in day.effect)
    return value, f"{low} to {high}" if low and high else ""


def by_day_figure(tables: Tables, model: str) -> Figure | None:
    """Draw the lifts by day, a panel for each outcome and a line for each arm; None where there are fewer than two days."""
    days = [day for day in days_of(tables, model) if day.lift is not None and day.lift[1] is not None]
    by_outcome = {
        outcome: [day for day in days if day.outcome == outcome] for outcome in dict.fromkeys(d.outcome for d in days)
    }
    panels = {outcome: part for outcome, part in by_outcome.items() if len({day.day for day in part}) > 1}
    if not panels:
        return None
    figure = new_figure(10, 0.9 + 2.9 * len(panels))
    grid = figure.subplots(len(panels), squeeze=False, sharex=True).ravel()
    per = "" if roles_of(tables) else " per unit"
    every = sorted({day.day for part in panels.values() for day in part})
    for axes, (outcome, part) in zip(grid, panels.items(), strict=True):
        _draw(axes, part, every)
        axes.set_title(drawable(f"{called(tables, outcome)}{per}, % of the control's", 90), loc="left", fontsize=11, color=INK)
    shown = np.unique(np.linspace(0, len(every) - 1, min(TICKS, len(every))).round().astype(int))
    grid[-1].set_xticks(shown, [drawable(every[place], 12) for place in shown], parse_math=False)
    if len({day.arm for day in days}) > 1:
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=MOST_ARMS, frameon=False, fontsize=9.5)
    title = f"Lift until each day, by {model}; its {level_of(tables)} interval holds on whichever day one looks"
    figure.suptitle(drawable(title, 100), x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK, parse_math=False)
    return figure


def _draw(axes: Axes, part: list[Day], every: list[str]) -> None:
    """Draw a line and a band for each arm; the axis leaves out what the first days cannot say."""
    place = {day: number for number, day in enumerate(every)}
    for colour, arm in zip((OWN, *RIVAL_COLOURS), list(dict.fromkeys(day.arm for day in part))[:MOST_ARMS], strict=False):
        own = [day for day in part if day.arm == arm and day.lift is not None]
        values, lows, highs = (
            100 * np.array(each, dtype=float) for each in zip(*(day.lift for day in own if day.lift), strict=True)
        )
        where = [place[day.day] for day in own]
        axes.fill_between(where, lows, highs, color=colour, alpha=0.18, linewidth=0)
        axes.plot(where, values, color=colour, linewidth=2, marker="o", markersize=3, label=drawable(arm, 30))
    axes.axhline(0, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    late = [day.lift for day in part if day.lift is not None and place[day.day] >= len(every) // 4]
    ends = [100 * end for lift in late for end in lift if end is not None]
    axes.set_ylim(min(0.0, *ends) * 1.15 - 1, max(0.0, *ends) * 1.15 + 1)
    axes.margins(x=0.02)
    tidy(axes)
