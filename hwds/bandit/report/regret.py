"""regret.png: what policies lose as customers come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from hwds.report.pictures.style import (
    FLOOR_COLOUR,
    INK,
    drawable,
    label_places,
    model_colours,
    new_figure,
    plain_numbers,
    tidy,
)
from hwds.results.formatting import brief
from hwds.results.tables import TRUTH, Tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GAP = 0.05
"""The gap between two labels at the ends of curves, as a share of the height."""


def regret_figure(tables: Tables, model: str, unit: str, against: str = "the best arm") -> Figure | None:
    """Draw the mean regret of every policy at the checkpoints, with 95 % intervals and the asymptotic bound.

    Args:
        tables: Of one run.
        model: The experiment's own model.
        unit: Of what is lost.
        against: What the regret is counted from.

    Returns:
        The figure; None where no policy was scored.
    """
    curves = tables.scores.filter(
        (pl.col("metric") == "pseudo_regret") & (pl.col("aggregate") == "mean") & pl.col("step").is_not_null()
        & pl.col("fold").is_null() & pl.col("segment").is_null()
    )  # fmt: skip
    if curves.is_empty():
        return None
    figure = new_figure(12, 5.2)
    axes = figure.subplots(1, 2)
    colours = model_colours([each for each in curves["model"].unique(maintain_order=True) if each != TRUTH], model)
    for place, scale in zip(axes, ("linear", "log"), strict=True):
        place.set_xscale(scale)
        for label, colour in colours.items():
            _curve(place, curves.filter(pl.col("model") == label), label, colour, own=label == model)
        tidy(place)
        plain_numbers(place.yaxis)
        plain_numbers(place.xaxis)
        if scale == "linear":
            place.locator_params(axis="x", nbins=5)
        place.set_xlabel(f"customers{', log scale' if scale == 'log' else ''}", fontsize=9.5, color=INK)
    axes[1].set_ylim(axes[1].get_ylim())  # the bound may lie far above all that can be lost so soon
    _ends(axes[1], curves, colours, model)
    _bound(axes[1], tables)
    axes[0].set_ylabel(f"regret, {drawable(unit)}", fontsize=9.5, color=INK)
    n = int(curves["n"].max())  # type: ignore[arg-type]
    title = f"Regret against {drawable(against)}, mean of {n:,} replications with 95 % intervals"
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    return figure


def _curve(axes: Axes, points: pl.DataFrame, label: str, colour: str, *, own: bool) -> None:
    points = points.sort("step")
    steps, values = points["step"].to_numpy(), points["value"].to_numpy()
    name = drawable(label, 34)
    axes.plot(steps, values, color=colour, linewidth=2.2 if own else 1.5, zorder=3 if own else 2, gid=name)
    if points["ci_low"].null_count() < len(points):
        ends = points["ci_low"].to_numpy(), points["ci_high"].to_numpy()
        axes.fill_between(steps, *ends, color=colour, alpha=0.18, linewidth=0, gid=name)


def _ends(axes: Axes, curves: pl.DataFrame, colours: dict[str, str], model: str) -> None:
    """Write each policy's name and loss beside the end of its curve, in the order of the losses, none on another."""
    last = curves.filter(pl.col("step") == pl.col("step").max())
    values = {label: float(last.filter(pl.col("model") == label)["value"][0]) for label in colours}
    low, high = axes.get_ylim()
    heights = [(value - low) / (high - low) for value in values.values()]
    places = label_places(heights, GAP, 0.02, 0.98)
    for (label, value), height, place in zip(values.items(), heights, places, strict=True):
        weight = "bold" if label == model else "normal"
        axes.annotate(
            f"{brief(value)}  {drawable(label, 34)}", (1.0, height), xytext=(1.05, place), xycoords="axes fraction",
            textcoords="axes fraction", fontsize=8.5, color=colours[label], fontweight=weight, va="center",
            annotation_clip=False, parse_math=False, gid=drawable(label, 34),
            arrowprops={"arrowstyle": "-", "color": colours[label], "linewidth": 0.7, "shrinkA": 1, "shrinkB": 0},
        )  # fmt: skip


def _bound(axes: Axes, tables: Tables) -> None:
    """Draw C ln t, where the world stands still."""
    bound = tables.scores.filter(pl.col("metric") == "lai_robbins_bound").sort("step")
    if len(bound) and bound["value"].max() > 0:  # type: ignore[operator]
        label = "C ln t: asymptotic lower bound (Lai and Robbins);\na good policy may lose less so soon"
        axes.plot(bound["step"], bound["value"], color=FLOOR_COLOUR, linestyle="--", linewidth=1.4, label=label, zorder=1)
        axes.legend(loc="upper left", frameon=False, fontsize=8.5)
