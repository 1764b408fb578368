"""The margin of a contract: what moves it most, and what becomes of the list price."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hwds.pricing.contract.verdict import OemVerdict
from hwds.report.hooks import TableReport
from hwds.report.pictures.style import FLOOR_COLOUR, GREY, INK, NAIVE_COLOUR, OWN, new_figure, save_png, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOSS = "#b3382c"
"""The colour of what is taken away."""


def draw_tornado(verdict: OemVerdict, path: Path) -> None:
    """Draw the net margin with each driver at its 10 % and its 90 % quantile, the largest swing first."""
    save_png(tornado_figure(verdict), path)


def tornado_figure(verdict: OemVerdict) -> Figure:
    """Return the figure."""
    from matplotlib.ticker import EngFormatter

    rows = verdict.tornado
    figure = new_figure(7.5, 1.6 + 0.45 * len(rows))
    axes = figure.subplots()
    middle = rows["middle"][0]
    for place, row in enumerate(rows.to_dicts()):
        for end, colour, label in (("low", NAIVE_COLOUR, "at its 10 % quantile"), ("high", OWN, "at its 90 % quantile")):
            axes.barh(place, row[end] - middle, left=middle, color=colour, height=0.6, label=label if not place else "_")
    axes.axvline(middle, color=INK, linewidth=1.2)
    axes.set_yticks(range(len(rows)), rows["driver"].to_list(), fontsize=9)
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlabel(f"net margin{_unit(verdict)}, others at their medians", fontsize=9, color=GREY)
    axes.legend(fontsize=8.5, frameon=False, loc="lower right")
    figure.suptitle(f"What moves the margin of {_tier(verdict)}", x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    tidy(axes, "x")
    return figure


def draw_waterfall(verdict: OemVerdict, path: Path) -> None:
    """Draw what becomes of the list price: discount, what is given back, cost, and what other channels lose."""
    save_png(waterfall_figure(verdict), path)


def waterfall_figure(verdict: OemVerdict) -> Figure:
    """Return the figure: steps of amount, in their order, then what remains."""
    from matplotlib.ticker import EngFormatter

    rows = [row for row in verdict.waterfall.to_dicts() if abs(row["amount"]) > 5e-4 * abs(verdict.waterfall["amount"][0])]
    figure = new_figure(9.5, 4.2)
    axes = figure.subplots()
    before = 0.0
    for place, row in enumerate(rows):
        colour = OWN if not place else FLOOR_COLOUR if row["amount"] > 0 else LOSS
        axes.bar(place, row["amount"], bottom=before, color=colour, width=0.65)
        axes.annotate(f"{100 * row['amount'] / rows[0]['amount']:+.1f} %" if place else "100 %",
                      (place, max(before, row["total"])), ha="center", va="bottom", fontsize=8.5, color=INK)  # fmt: skip
        before = row["total"]
    axes.bar(len(rows), before, color=OWN, width=0.65)
    axes.annotate(
        f"{100 * before / rows[0]['amount']:.1f} %", (len(rows), max(before, 0.0)), ha="center", va="bottom", fontsize=8.5
    )
    names = [row["step"].replace(" ", "\n", 1) for row in rows]
    axes.set_xticks(range(len(rows) + 1), [*names, "net\nmargin"], fontsize=8.5)
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_ylim(top=1.08 * axes.get_ylim()[1])
    axes.set_title(
        f"expected, over {verdict.periods} {verdict.period}s{_unit(verdict)}; shares of the list price",
        fontsize=9.5,
        loc="left",
        color=GREY,
    )
    figure.suptitle(
        f"From the list price to the margin of {_tier(verdict)}", x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK
    )
    tidy(axes)
    return figure


def _unit(verdict: OemVerdict) -> str:
    return f", {verdict.unit}" if verdict.unit else ""


def _tier(verdict: OemVerdict) -> str:
    """Return the tier that is drawn: the one offered, or else the one that earns most."""
    rows = verdict.tiers.filter(verdict.tiers["tier"] > 0)
    row = rows.filter(rows["verdict"] == "offer") if verdict.tier is not None else rows.sort("net", descending=True)
    return f"{100 * row['discount'][0]:g} % from {row['from_units'][0]:,.0f} units"


TORNADO = TableReport(draw=draw_tornado)
WATERFALL = TableReport(draw=draw_waterfall)
