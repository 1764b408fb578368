"""by_week.png: average precision in each test window, oldest first: whether a model decays."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from hwds.detection.report.scored_rows import SIDES
from hwds.report.pictures.style import GREY, INK, drawable, model_colours, new_figure, tidy
from hwds.results.tables import Tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

APART, APART_OF_ALL = 0.06, 0.012
"""Between the models of one window at most, as a share of the distance to the next, and of that from the first to the last."""


def by_week_figure(tables: Tables, model: str) -> Figure | None:
    """Draw all models by test window; None where there are no two windows in time."""
    points = _points(tables)
    scored = points.drop_nulls("value")
    shown = [side for side in SIDES if scored.filter(pl.col("metric") == f"{side}aucpr")["cutoff"].n_unique() > 1]
    if not shown:
        return None
    figure = new_figure(9.5, 0.9 + 3.1 * len(shown))
    panels = figure.subplots(len(shown), 1, squeeze=False, sharex=True)[:, 0]
    paints = model_colours(points["model"].unique(maintain_order=True).to_list(), model)
    for axes, side in zip(panels, shown, strict=True):
        _draw(axes, points, side, paints, model)
        axes.set_title(SIDES[side][1] if len(shown) > 1 else "", fontsize=10, loc="left", color=INK)
    panels[-1].set_xlabel("test window, by its first day", fontsize=9.5, color=INK)
    handles, labels = panels[0].get_legend_handles_labels()
    legend = figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 4), frameon=False, fontsize=9)
    for text in legend.get_texts():
        text.set_parse_math(False)
    title = "Average precision by test window, with 95 % intervals"
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    return figure


def _points(tables: Tables) -> pl.DataFrame:
    """Return the scores of each window that begins at a day; null where there is none."""
    wanted = [f"{side}{name}" for side in SIDES for name in ("aucpr", "prevalence")]
    rows = tables.scores.filter(
        pl.col("fold").is_not_null() & pl.col("segment").is_null() & pl.col("metric").is_in(wanted)
        & pl.col("cutoff").is_not_null()
    )  # fmt: skip
    days = rows["cutoff"].str.to_date("%Y-%m-%d", strict=False)
    return rows.with_columns(days.alias("cutoff")).filter(pl.col("cutoff").is_not_null()).sort("cutoff", maintain_order=True)


def _draw(axes: Axes, points: pl.DataFrame, side: str, paints: dict[str, str], model: str) -> None:
    days = points["cutoff"].unique().sort().to_list()
    gap = min((later - earlier for earlier, later in pairwise(days)), default=timedelta(7))
    for place, (label, colour) in enumerate(paints.items()):
        scored = points.filter((pl.col("metric") == f"{side}aucpr") & (pl.col("model") == label))
        aligned = pl.DataFrame({"cutoff": days}).join(
            scored, on="cutoff", how="left", maintain_order="left"
        )  # a gap where none is
        shift = min(APART * gap, APART_OF_ALL * (days[-1] - days[0])) * (place - (len(paints) - 1) / 2)
        when: Any = [datetime.combine(day, datetime.min.time()) + shift for day in aligned["cutoff"]]
        value = aligned["value"].to_numpy()  # NaN where it is null
        low, high = (aligned[end].fill_null(aligned["value"]).to_numpy() for end in ("ci_low", "ci_high"))
        reach = np.maximum(np.stack([value - low, high - value]), 0.0)
        axes.errorbar(
            when, value, yerr=reach, color=colour, marker="o", markersize=5, linewidth=2.2 if label == model else 1.4,
            elinewidth=1.1, label=drawable(label, 44), zorder=3 if label == model else 2,
        )  # fmt: skip
    chance = points.filter(pl.col("metric") == f"{side}prevalence").unique("cutoff", keep="first", maintain_order=True)
    axes.plot(chance["cutoff"], chance["value"], color=GREY, linewidth=1.2, linestyle="--", label="chance", zorder=1)
    tidy(axes)
    axes.set_ylim(0, None)
    axes.set_xticks(
        days, [f"{day:%d %b %Y}".lstrip("0") for day in days] if len(days) < 8 else [f"{day:%d %b}" for day in days]
    )
    axes.set_ylabel(f"{side}aucpr", fontsize=9.5, color=INK)
