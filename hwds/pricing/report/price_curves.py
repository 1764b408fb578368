"""price_curves.png: demand of some cells by their price, and what they and their substitutes earn, with bands and bounds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from hwds.pricing.optimum.verdict import OptimalPriceVerdict
from hwds.report.hooks import TableReport
from hwds.report.pictures.style import FLOOR_COLOUR, GREY, INK, LIGHT, OWN, drawable, new_figure, save_png, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(verdict: OptimalPriceVerdict, path: Path) -> None:
    """Draw units of a cell by its price, and what it and its substitutes earn, with the band of the draws and the bounds."""
    save_png(curves_figure(verdict), path)


def curves_figure(verdict: OptimalPriceVerdict) -> Figure | None:
    """Return the figure, a row of two panels for each cell; None where no cell has an estimate."""
    names = verdict.curves["cell"].unique(maintain_order=True).to_list()
    if not names:
        return None
    figure = new_figure(9.5, 0.9 + 2.1 * len(names))
    unit = f", {verdict.unit}" if verdict.unit else ""
    for name, (left, right) in zip(names, figure.subplots(len(names), 2, squeeze=False), strict=True):
        curve = verdict.curves.filter(pl.col("cell") == name)
        _draw(left, curve, "units", OWN)
        _draw(right, curve, "objective", FLOOR_COLOUR)
        left.set_title(drawable(name, 50), fontsize=9.5, loc="left", color=INK)
        left.set_ylabel(f"units a {verdict.period}", fontsize=8.5, color=GREY)
        right.set_ylabel(f"{verdict.objective} a {verdict.period}{unit}", fontsize=8.5, color=GREY)
    title = f"Demand by price, and {verdict.objective} with substitutes: mean and {100 * verdict.level:g} % band"
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    figure.supxlabel(
        "price, substitutes as recommended; black line: today; dashed: recommended; grey: within the bounds",
        fontsize=9,
        color=GREY,
    )
    return figure


def _draw(axes: Axes, curve: pl.DataFrame, name: str, colour: str) -> None:
    price = curve["price"].to_numpy()
    axes.axvspan(curve["lowest"][0], curve["highest"][0], color=LIGHT, alpha=0.45, linewidth=0)
    axes.fill_between(
        price, curve[f"{name}_low"].to_numpy(), curve[f"{name}_high"].to_numpy(), color=colour, alpha=0.18, linewidth=0
    )
    axes.plot(price, curve[name].to_numpy(), color=colour, linewidth=1.8)
    axes.axvline(curve["today"][0], color=INK, linewidth=1.2)
    if curve["recommended"][0] != curve["today"][0]:
        axes.axvline(curve["recommended"][0], color=colour, linewidth=1.2, linestyle="--")
        nearest = (curve["price"] - curve["recommended"][0]).abs().arg_min()
        axes.plot(curve["recommended"][0], curve[name][nearest], "o", color=colour, markersize=6)
    axes.margins(x=0)
    tidy(axes)


REPORT = TableReport(draw=draw)
