"""The report of a contract's tiers: a table, and the picture of bills with dumping zones and of margins at each attainment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hwds.pricing.contract.tiers import TierSchedule
from hwds.pricing.contract.verdict import ATTAINED, OemVerdict
from hwds.report.grid import Grid, grid_of
from hwds.report.hooks import TableReport
from hwds.report.pictures.style import FLOOR_COLOUR, GREY, INK, LIGHT, NAIVE_COLOUR, OWN, drawable, new_figure, save_png, tidy
from hwds.results.formatting import brief, column

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DUMPED = "#b3382c"
"""The colour of dumping zones, and of the floor."""


def grid(verdict: OemVerdict) -> Grid:
    """Return a line for each tier: its price, margins at each attainment, dumping zone and expected result."""
    rows = verdict.tiers
    titles = [
        ("from units", "from"),
        ("verdict", "verdict"),
        ("discount, %", "off\n%"),
        ("price", "price"),
        ("pocket margin at P10 / P50 / P90, %", "margin, %\nP10/P50/P90"),
        ("dumping zone", "dumping\nzone"),
        ("marginal discount without a zone, %", ""),
        ("break-even uplift, %", ""),
        ("needed elasticity", ""),
        ("expected margin", "net"),
        ("against no contract", "gain"),
        ("P(more than without), %", "P(gain)\n%"),
        ("P(below the floor), %", "P(floor)\n%"),
        ("P(shortfall), %", "P(short)\n%"),
        ("other cells lose", ""),
        ("units sold on", ""),
    ]
    margins = [" / ".join(f"{100 * row[f'margin_{name}']:.1f}" for name in ATTAINED) for row in rows.to_dicts()]
    zones = [
        f"{low:,.0f} to {high:,.0f}" if low is not None else "" for low, high in rows.select("zone_low", "zone_high").rows()
    ]
    cells = [
        [f"{each:,.0f}" for each in rows["from_units"]],
        rows["verdict"],
        _percents(rows["discount"].to_list()),
        column(rows["price"].to_list()),
        margins,
        zones,
        _percents(rows["marginal_discount"].to_list()),
        _percents(rows["break_even_uplift"].to_list()),
        column(rows["needed_elasticity"].to_list()),
        column(rows["net"].to_list()),
        column(rows["gain"].to_list()),
        *(_percents(rows[name].to_list()) for name in ("probability_gain", "probability_below_floor", "probability_shortfall")),
        column(rows["cannibalised"].to_list()),
        column(rows["leaked"].to_list()),
    ]
    own = "" if verdict.commitment is None else f"{verdict.commitment:,.0f}"
    return grid_of(
        titles, list(zip(*cells, strict=True)), own=own, names=2, caption=f"Tiers for {verdict.cell}, {verdict.kind}:"
    )


def _percents(shares: list[float | None]) -> list[str]:
    return ["" if share is None else f"{100 * share:.1f}" for share in shares]


def draw(verdict: OemVerdict, path: Path) -> None:
    """Draw the bill by units with dumping zones and incremental tiers without one, and the pocket margin at each attainment."""
    save_png(tier_figure(verdict), path)


def tier_figure(verdict: OemVerdict) -> Figure:
    """Return the figure: bills on the left, margins on the right."""
    figure = new_figure(11.5, 4.6)
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    _draw_bills(left, verdict)
    _draw_margins(right, verdict)
    what = "no tier holds all rules"
    if verdict.price is not None and verdict.commitment is not None:
        what = f"{brief(verdict.price, None, verdict.unit)} for {verdict.commitment:,.0f} units"
    least = "" if verdict.walk_away is None else f" below {brief(verdict.walk_away, None, verdict.unit)}"
    title = drawable(f"{verdict.action} {verdict.cell}: {what}; walk away{least}", 110)
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK, parse_math=False)
    return figure


def _draw_bills(axes: Axes, verdict: OemVerdict) -> None:
    from matplotlib.ticker import EngFormatter

    tiers = verdict.tiers
    quantities, discounts = tuple(tiers["from_units"]), tuple(tiers["discount"])
    schedule = TierSchedule(verdict.list_price, quantities, discounts, verdict.kind)
    smooth = TierSchedule(verdict.list_price, quantities, tuple(tiers["marginal_discount"]), "incremental")
    most = max(verdict.upside, 1.25 * quantities[-1])
    units = np.unique(
        np.concatenate([np.linspace(0.5 * quantities[1], most, 400), *(np.array([q - 1e-9 * q, q]) for q in quantities[1:])])
    )
    listed = verdict.list_price * units
    axes.plot(units, 100 * (1 - schedule.bill(units) / listed), color=OWN, linewidth=1.8, label=verdict.kind.replace("_", " "))
    if verdict.kind == "all_units":
        axes.plot(
            units,
            100 * (1 - smooth.bill(units) / listed),
            color=FLOOR_COLOUR,
            linestyle="--",
            label="incremental, same bill at the end of a tier",
        )
    for row in tiers.to_dicts():
        if row["zone_low"] is not None:
            label = "dumping zone: the next tier costs less" if row["tier"] == 1 else "_"
            axes.axvspan(row["zone_low"], row["zone_high"], color=DUMPED, alpha=0.25, linewidth=0, label=label)
    low, high = verdict.committed, verdict.upside
    axes.axvspan(low, high, ymax=0.04, color=GREY, alpha=0.5, linewidth=0, label="volume, P10 to P90")
    axes.plot(verdict.base, 0.02, "|", transform=axes.get_xaxis_transform(), color=INK, markersize=9)
    axes.set_xlabel("units", fontsize=9, color=GREY)
    axes.set_title("discount on the whole bill, %", fontsize=10, loc="left", color=INK)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.legend(fontsize=8.5, facecolor="white", edgecolor="none", framealpha=0.9, loc="upper left")
    axes.set_ylim(top=axes.get_ylim()[1] * 1.35)
    tidy(axes)


def _draw_margins(axes: Axes, verdict: OemVerdict) -> None:
    tiers = verdict.tiers
    place = np.arange(len(tiers))
    for shift, (name, colour) in zip((-0.22, 0.0, 0.22), zip(ATTAINED, (LIGHT, OWN, NAIVE_COLOUR), strict=True), strict=True):
        axes.bar(place + shift, 100 * tiers[f"margin_{name}"].to_numpy(), width=0.2, color=colour, label=name.upper())
    axes.axhline(100 * verdict.floor, color=DUMPED, linewidth=1.4, label="floor")
    names = [f"{100 * row['discount']:g} %\nfrom {row['from_units']:,.0f}" for row in tiers.to_dicts()]
    axes.set_xticks(place, ["list price", *names[1:]], fontsize=8.5)
    axes.set_title("pocket margin by attained volume, %", fontsize=10, loc="left", color=INK)
    axes.set_ylim(top=axes.get_ylim()[1] * 1.25)
    axes.legend(fontsize=8.5, frameon=False, ncols=4, loc="upper left")
    tidy(axes)


REPORT = TableReport(grid=grid, draw=draw)
