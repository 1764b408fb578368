"""forest.png: each cell's elasticity with its interval, and how much of it its own data decide."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from hwds.elasticity.report.identification import cells_of, level_of
from hwds.frames.roles import SERIES
from hwds.report.pictures.style import FLOOR_COLOUR, GREY, INK, LIGHT, NAIVE_COLOUR, OWN, drawable, new_figure, tidy
from hwds.results.tables import TRUTH, Tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 40
"""Cells that are drawn: of more an even sample over their elasticities."""

WIDEST = 4.0
"""The largest part of the picture that an interval takes, in spreads of the answers, before it is cut."""

UNKNOWN = 0.4
"""The size of a dot, as a share of own data, of models that tell none."""

COLOURS = {"identified": OWN, "weak": GREY, "no_variation": LIGHT, "endogenous?": NAIVE_COLOUR}


def forest_figure(tables: Tables, model: str) -> Figure | None:
    """Draw the elasticities of a model; None where it has none."""
    cells = cells_of(tables, model).drop_nulls("elasticity") if SERIES in tables.predictions.columns else pl.DataFrame()
    if cells.is_empty():
        return None
    ordered = cells.sort("elasticity", SERIES)
    places = np.unique(np.linspace(0, len(ordered) - 1, min(MOST, len(ordered))).round().astype(int))
    shown = ordered[places.tolist()]
    figure = new_figure(9.5, 1.8 + 0.22 * len(shown))
    axes = figure.subplots()
    _draw(axes, shown)
    _mark_truth(axes, shown, tables)
    _label(axes, shown, ordered, level_of(tables))
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    every = "" if len(shown) == len(ordered) else f", {len(shown)} of {len(ordered):,} evenly over their order"
    title = f"Own-price elasticities by {model}{every}"
    figure.suptitle(drawable(title, 100), x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK, parse_math=False)
    return figure


def _draw(axes: Axes, shown: pl.DataFrame) -> None:
    """Draw a bar and a dot for each cell; the dot is as large as the share of its own data."""
    low, high = _limits(shown)
    for place, row in enumerate(shown.to_dicts()):
        colour = COLOURS[row["status"]] if row["status"] != "no_variation" else "#b9bfc7"
        ends = [max(row["ci_low"], low), min(row["ci_high"], high)]
        axes.plot(ends, [place, place], color=colour, linewidth=1.8, alpha=0.55, solid_capstyle="butt")
        weight = UNKNOWN if row["weight_own"] is None else row["weight_own"]
        axes.plot([row["elasticity"]], [place], "o", color=colour, markersize=3 + 6 * weight, zorder=4)
        own = "" if row["weight_own"] is None else f"{100 * weight:.0f} %"
        axes.text(1.01, place, own, transform=axes.get_yaxis_transform(), va="center", fontsize=8, color=GREY)
    for status in dict.fromkeys(shown["status"].to_list()):
        colour = COLOURS[status] if status != "no_variation" else "#b9bfc7"
        axes.plot([], [], "o-", color=colour, label=status.replace("_", " "))
    axes.set_xlim(low, high)


def _limits(shown: pl.DataFrame) -> tuple[float, float]:
    """Return the range of the picture: all answers, and intervals as far as a few spreads or their usual width."""
    answers = shown["elasticity"].to_numpy()
    spread = max(float(answers.std()), 0.25)
    ends = shown.select("ci_low", "ci_high").to_numpy().T
    below, above = (max(WIDEST * spread, float(np.median(np.abs(each - answers)))) for each in ends)
    low, high = max(float(ends[0].min()), float(answers.min()) - below), min(float(ends[1].max()), float(answers.max()) + above)
    return low - 0.1 * spread, max(high, 0.0) + 0.1 * spread


def _mark_truth(axes: Axes, shown: pl.DataFrame, tables: Tables) -> None:
    true = tables.predictions.filter(pl.col("model") == TRUTH).unique(SERIES, keep="first", maintain_order=True)
    if true.is_empty():
        return
    known = shown.select(SERIES).join(true.select(SERIES, "elasticity"), SERIES, "left", maintain_order="left")["elasticity"]
    axes.plot(known.to_numpy(), range(len(shown)), "D", color=FLOOR_COLOUR, markersize=3.5, zorder=5, label="truth")


def _label(axes: Axes, shown: pl.DataFrame, every: pl.DataFrame, level: str) -> None:
    tidy(axes, grid="x")
    axes.set_yticks(range(len(shown)), [drawable(name, 34) for name in shown[SERIES]], parse_math=False)
    axes.tick_params(axis="y", length=0, labelsize=8)
    axes.set_ylim(-0.8, len(shown) - 0.2)
    mean = float(every["elasticity"].mean())  # type: ignore[arg-type]
    axes.axvline(mean, color=INK, linewidth=1, linestyle=":", zorder=1, label=f"mean of all cells {mean:.2f}")
    axes.axvline(0, color=LIGHT, linewidth=1.2, zorder=0)
    has_weights = shown["weight_own"].is_not_null().any()
    share = "; dot size and right: share that the cell's own data decide" if has_weights else ""
    axes.set_xlabel(f"elasticity; bars: {level} interval{share}", fontsize=9.5, color=INK)
