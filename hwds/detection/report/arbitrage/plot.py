"""arbitrage_thresholds.png: differences of prices beside their thresholds, and the margins between channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from hwds.detection.decisions.arbitrage.sentence import route
from hwds.detection.decisions.arbitrage.verdict import ArbitrageVerdict
from hwds.detection.metrics.arbitrage import STREET
from hwds.report.pictures.style import GREY, INK, LIGHT, drawable, new_figure, plain_numbers, tidy
from hwds.results.formatting import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 26
"""Pairs shown."""

PAYS = "#b3382c"
"""The colour of a pair that pays."""


def arbitrage_figure(verdict: ArbitrageVerdict) -> Figure | None:
    """Draw the pairs that pay most, and how many SKUs pay between each two channels; None where there is no pair."""
    pairs = verdict.thresholds.drop_nulls("margin")
    if pairs.is_empty():
        return None
    shown = pairs.head(MOST)
    figure = new_figure(12.5, 2.2 + 0.23 * max(len(shown), 14))
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    _draw_pairs(left, shown, verdict.unit)
    _draw_channels(right, pairs)
    title = (
        f"{verdict.action}: reselling pays in {verdict.paying:,} of {counted(verdict.pairs, 'pairs')},"
        f" {verdict.days} days to {verdict.until}"
    )
    figure.suptitle(drawable(title, 100), x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK, parse_math=False)
    return figure


def _draw_pairs(axes: Axes, pairs: pl.DataFrame, unit: str) -> None:
    """Draw the largest margins: where the dot is right of the stroke, reselling pays."""
    place = np.arange(len(pairs))[::-1]
    difference, threshold = pairs["difference"].to_numpy(), pairs["threshold"].to_numpy()
    axes.hlines(place, threshold, difference, color=LIGHT, linewidth=5)
    axes.plot(threshold, place, "|", color=INK, markersize=11, markeredgewidth=1.7, label="threshold: freight, duty and risk")
    above = difference > threshold
    for which, colour, name in ((above, PAYS, "reselling pays"), (~above, GREY, "it does not")):
        if which.any():
            axes.plot(difference[which], place[which], "o", color=colour, markersize=5, label=f"difference of prices: {name}")
    names = [
        f"{row['sku']}: {route(row['bought_in'], row['from_region'])} to {route(row['sold_in'], row['to_region'])}"
        for row in pairs.to_dicts()
    ]
    tidy(axes, "x")
    axes.set_yticks(place, [drawable(name, 64) for name in names], fontsize=7.5, parse_math=False)
    axes.set_ylim(-0.8, len(pairs) - 0.2)
    axes.set_xlabel(drawable(f"a unit{f', {unit}' if unit else ''}"), fontsize=9.5, color=INK, parse_math=False)
    plain_numbers(axes.xaxis)
    axes.legend(loc="upper center", bbox_to_anchor=(0.3, -0.1 * 22 / max(len(pairs), 14)), ncols=3, frameon=False, fontsize=8)


def _draw_channels(axes: Axes, pairs: pl.DataFrame) -> None:
    """Draw between each two channels the median margin of SKUs as a share of the price paid, and how many SKUs pay."""
    share = (pl.col("margin") / pl.col("price_paid")).median()
    by = pairs.group_by("bought_in", "sold_in").agg(share.alias("share"), pl.col("pays").sum(), pl.len().alias("of"))
    froms = sorted(by["bought_in"].unique())
    tos = sorted(by["sold_in"].unique(), key=lambda name: (name == STREET, name))
    values = np.full((len(froms), len(tos)), np.nan)
    for row in by.to_dicts():
        at = froms.index(row["bought_in"]), tos.index(row["sold_in"])
        values[at] = 100 * row["share"]
        axes.text(at[1], at[0], f"{row['pays']}/{row['of']}", ha="center", va="center", fontsize=8, color=INK)
    reach = max(float(np.nanmax(np.abs(values))), 1e-9)
    axes.imshow(values, cmap="RdBu_r", vmin=-1.6 * reach, vmax=1.6 * reach, aspect="auto")
    axes.set_xticks(
        range(len(tos)), [drawable(name, 16) for name in tos], rotation=40, ha="right", fontsize=8.5, parse_math=False
    )
    axes.set_yticks(range(len(froms)), [drawable(name, 16) for name in froms], fontsize=8.5, parse_math=False)
    axes.tick_params(colors=GREY, labelcolor=INK, length=0)
    axes.spines[:].set_visible(False)
    axes.set_title("bought in (rows), sold in (columns): SKUs that pay", fontsize=9.5, loc="left", color=INK)
    axes.set_xlabel("red: the median SKU gains; blue: it loses", fontsize=8.5, color=GREY)
