"""volume_bands.png: the bands of deals against what happened, how often demand was below each, and what it cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from hwds.forecast.decisions.volumes.verdict import BANDS, VolumeVerdict, last_deals
from hwds.report.pictures.style import GREY, INK, LIGHT, NAIVE_COLOUR, OWN, drawable, new_figure, tidy
from hwds.results.formatting import counted
from hwds.statistics.reference_distribution import student_critical

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 28
"""Deals shown."""

SHORT = "#b3382c"
"""The colour of demand below the commitment."""

WIDE = 20.0
"""The ratio of the largest to the smallest volume from which the axis is logarithmic."""


def volume_figure(verdict: VolumeVerdict) -> Figure | None:
    """Draw the deals of the last cutoff and the record of the bands; None where there is no deal."""
    deals = picked(verdict.deals)
    if deals.is_empty():
        return None
    height = 1.7 + 0.23 * max(len(deals), 14)
    figure = new_figure(11.5 if verdict.record else 7.5, height)
    if verdict.record:
        panels = figure.subplot_mosaic([["deals", "below"], ["deals", "cost"]], width_ratios=[3, 2])
        _draw_below(panels["below"], verdict)
        _draw_costs(panels["cost"], verdict)
        _draw_deals(panels["deals"], deals, verdict)
    else:
        _draw_deals(figure.subplots(), deals, verdict)
    last = last_deals(verdict.deals)
    shown = counted(len(last), "deals") if len(last) == len(deals) else f"{len(deals)} of {counted(len(last), 'deals')}"
    why = "" if verdict.rule == "none" else f" ({verdict.rule})"
    title = f"{verdict.action}{why}: {shown}, {last['first'].min()!s} to {last['last'].max()!s}"
    figure.suptitle(drawable(title, 100), x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK, parse_math=False)
    return figure


def picked(deals: pl.DataFrame) -> pl.DataFrame:
    """Return the deals of the last cutoff, largest first; evenly spaced by size where there are many."""
    size = pl.coalesce("base", pl.mean_horizontal("committed_together", "upside_together"))
    last = last_deals(deals).sort(size, descending=True, maintain_order=True)
    if len(last) <= MOST:
        return last
    return last[np.unique(np.linspace(0, len(last) - 1, MOST).round().astype(int)).tolist()]


def _draw_deals(axes: Axes, deals: pl.DataFrame, verdict: VolumeVerdict) -> None:
    place = np.arange(len(deals))[::-1]
    volumes = {
        name: deals[name].to_numpy().astype(float) for name in (*BANDS, "committed_together", "upside_together", "actual")
    }
    levels = verdict.levels
    outer = f"sums of the steps' P{100 * levels['committed']:g} and P{100 * levels['upside']:g}"
    axes.hlines(place, volumes["committed_together"], volumes["upside_together"], color=LIGHT, linewidth=7, label=outer)
    band = f"P{100 * levels['committed']:g} to P{100 * levels['upside']:g} of the sum"
    tick: dict[str, Any] = {"linestyle": "none", "markersize": 9, "markeredgewidth": 1.6}
    if verdict.n_banded:
        axes.hlines(place, volumes["committed"], volumes["upside"], color=OWN, alpha=0.55, linewidth=7, label=band)
        axes.plot(volumes["base"], place, marker="|", color=OWN, label=f"base (P{100 * levels['base']:g})", **tick)
        best = f"optimal (P{100 * levels['optimal']:.3g})"
        axes.plot(volumes["optimal"], place, marker="|", color=NAIVE_COLOUR, label=best, **tick)
    below = volumes["actual"] < volumes["committed"]
    for which, colour, name in ((~below, INK, "demand"), (below, SHORT, "demand below the commitment")):
        if (which & ~np.isnan(volumes["actual"])).any():
            axes.plot(volumes["actual"][which], place[which], "o", color=colour, markersize=4.5, label=name, zorder=5)
    _scale(axes, np.concatenate(list(volumes.values())))
    tidy(axes, "x")
    labels = [drawable(name, 28) for name in deals["deal"]]
    axes.set_yticks(place, labels, fontsize=8, parse_math=False)
    axes.set_ylim(-0.8, len(deals) - 0.2)
    axes.set_xlabel(drawable(verdict.unit or "volume"), fontsize=9.5, color=INK, parse_math=False)
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.11 * 22 / max(len(deals), 14)), ncols=2, frameon=False, fontsize=8.5
    )


def _scale(axes: Axes, volumes: np.ndarray) -> None:
    """Set a logarithmic axis where sizes differ much."""
    from matplotlib.ticker import EngFormatter

    known = volumes[~np.isnan(volumes)]
    if len(known) and known.max() > WIDE * max(float(np.quantile(known, 0.05)), 0) > 0:
        positive = known[known > 0]
        axes.set_xscale("log")
        axes.set_xlim(max(positive.min(), positive.max() / 1e5) / 1.2, positive.max() * 1.2)
    if len(known) and np.abs(known).max() >= 10_000:
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def _draw_below(axes: Axes, verdict: VolumeVerdict) -> None:
    """Draw the share of deals below each band beside its nominal level."""
    lines = [line for line in verdict.record if line.level is not None and "[independent]" not in line.band]
    for place, line in enumerate(reversed(lines)):
        colour = GREY if "[" in line.band else OWN
        axes.hlines(place, line.below_low, line.below_high, color=colour, linewidth=2, label="95 %" if not place else "_")
        axes.plot(line.below, place, "o", color=colour, markersize=5.5)
        axes.plot(line.level or 0.0, place, marker="|", color=INK, markersize=15, markeredgewidth=1.6)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.6, len(lines) - 0.4)
    axes.set_yticks(range(len(lines)), [_named(line.band) for line in reversed(lines)], fontsize=8.5)
    deals = f"{counted(lines[0].deals, 'deals')} of {counted(lines[0].clusters, 'names')}"
    axes.set_title(f"demand below it: share of {deals}", fontsize=9.5, loc="left", color=INK)
    axes.set_xlabel("black stroke: what is meant; line: 95 % interval", fontsize=8.5, color=GREY)
    tidy(axes, "x")


def _draw_costs(axes: Axes, verdict: VolumeVerdict) -> None:
    """Draw the cost of each band as the commitment."""
    from matplotlib.ticker import EngFormatter, MaxNLocator

    lines = [line for line in verdict.record if "[" not in line.band][::-1]
    colours = [NAIVE_COLOUR if line.band == "optimal" else GREY if line.band == "naive" else OWN for line in lines]
    errors = [student_critical(line.clusters - 1, 0.95) * line.cost_stderr if line.cost_stderr else 0.0 for line in lines]
    style = {"ecolor": INK, "elinewidth": 1.0}
    axes.barh(range(len(lines)), [line.cost for line in lines], xerr=errors, color=colours, height=0.62, error_kw=style)
    axes.set_yticks(range(len(lines)), [_named(line.band) for line in lines], fontsize=8.5)
    axes.set_xlim(left=0)
    title = f"mean cost of a deal ({verdict.over:g} a unit over, {verdict.under:g} under)"
    axes.set_title(title, fontsize=9.5, loc="left", color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    tidy(axes, "x")


def _named(band: str) -> str:
    name, _, rest = band.partition("[")
    return f"{name}: sum of steps'" if rest else "seasonal naive" if name == "naive" else name
