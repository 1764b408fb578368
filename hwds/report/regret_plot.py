"""regret.png: what policies lose as customers come."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from hwds.report.spreading import spread
from hwds.report.style import FLOOR_COLOUR, INK, OWN, drawable, new_figure, plain_numbers, save_png, tidy
from hwds.results.tables import TRUTH, Tables
from hwds.results.wording import brief

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RIVALS = ("#d9822b", "#8e5bb5", "#b5485d", "#6b7280", "#0e8a8a", "#a3821a", "#5b6fb5", "#7a9a3a")
"""Colours of the rivals, in the order of the scores."""

GAP = 0.05
"""Between two labels at the ends of curves, as a share of the height."""


def regret_png(tables: Tables, model: str, unit: str, against: str, path: Path) -> None:
    """Draw the mean regret of every policy at the checkpoints, with 95 % intervals and the asymptotic bound.

    Raises:
        HwdsError: The folder cannot be written.
    """
    save_png(regret_figure(tables, model, unit, against), path)


def regret_figure(tables: Tables, model: str, unit: str, against: str = "the best arm") -> Figure | None:
    """The figure that `regret_png` writes; None where no policy was scored.

    Args:
        tables: Of one run.
        model: The experiment's own model.
        unit: Of what is lost.
        against: What the regret is counted from.
    """
    curves = tables.scores.filter(
        (pl.col("metric") == "pseudo_regret") & (pl.col("aggregate") == "mean") & pl.col("step").is_not_null()
        & pl.col("fold").is_null() & pl.col("segment").is_null()
    )  # fmt: skip
    if curves.is_empty():
        return None
    figure = new_figure(12, 5.2)
    axes = figure.subplots(1, 2)
    colours = _colours(curves["model"].unique(maintain_order=True).to_list(), model)
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


def _colours(labels: list[str], model: str) -> dict[str, str]:
    rivals = [label for label in labels if label not in (model, TRUTH)]
    own = {model: OWN} if model in labels else {}
    return own | {label: RIVALS[place % len(RIVALS)] for place, label in enumerate(rivals)}


def _curve(axes: Axes, points: pl.DataFrame, label: str, colour: str, *, own: bool) -> None:
    points = points.sort("step")
    steps, values = points["step"].to_numpy(), points["value"].to_numpy()
    name = drawable(label, 34)
    axes.plot(steps, values, color=colour, linewidth=2.2 if own else 1.5, zorder=3 if own else 2, gid=name)
    if points["ci_low"].null_count() < len(points):
        ends = points["ci_low"].to_numpy(), points["ci_high"].to_numpy()
        axes.fill_between(steps, *ends, color=colour, alpha=0.18, linewidth=0, gid=name)


def _ends(axes: Axes, curves: pl.DataFrame, colours: dict[str, str], model: str) -> None:
    """Each policy's name and loss beside the end of its curve, in the order of the losses, none on another."""
    last = curves.filter(pl.col("step") == pl.col("step").max())
    values = {label: float(last.filter(pl.col("model") == label)["value"][0]) for label in colours}
    low, high = axes.get_ylim()
    heights = [(value - low) / (high - low) for value in values.values()]
    places = spread(heights, GAP, 0.02, 0.98)
    for (label, value), height, place in zip(values.items(), heights, places, strict=True):
        weight = "bold" if label == model else "normal"
        axes.annotate(
            f"{brief(value)}  {drawable(label, 34)}", (1.0, height), xytext=(1.05, place), xycoords="axes fraction",
            textcoords="axes fraction", fontsize=8.5, color=colours[label], fontweight=weight, va="center",
            annotation_clip=False, parse_math=False, gid=drawable(label, 34),
            arrowprops={"arrowstyle": "-", "color": colours[label], "linewidth": 0.7, "shrinkA": 1, "shrinkB": 0},
        )  # fmt: skip


def _bound(axes: Axes, tables: Tables) -> None:
    """C ln t, where the world stands still."""
    bound = tables.scores.filter(pl.col("metric") == "lai_robbins_bound").sort("step")
    if len(bound) and bound["value"].max() > 0:  # type: ignore[operator]
        label = "C ln t: asymptotic lower bound (Lai and Robbins);\na good policy may lose less so soon"
        axes.plot(bound["step"], bound["value"], color=FLOOR_COLOUR, linestyle="--", linewidth=1.4, label=label, zorder=1)
        axes.legend(loc="upper left", frameon=False, fontsize=8.5)
