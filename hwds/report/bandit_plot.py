"""regret.png and allocation.png: what a bandit simulation shows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from hwds.report.style import FLOOR_COLOUR, GREY, INK, OWN, drawable, new_figure, save_png, tidy
from hwds.report.wording import brief
from hwds.results.tables import TRUTH, Tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RIVALS = ("#d9822b", "#8e5bb5", "#b5485d", "#6b7280", "#0e8a8a", "#a3821a", "#5b6fb5", "#7a9a3a")
"""Colours of the rivals, in the order of the scores."""

MOST_ARMS = 10
"""Arms that are told apart; the others are one grey band."""


def regret_png(tables: Tables, model: str, unit: str, path: Path) -> None:
    """Draw the mean regret of every policy at the checkpoints, with 95 % intervals and the asymptotic bound.

    Raises:
        HwdsError: The folder cannot be written.
    """
    figure = regret_figure(tables, model, unit)
    if figure is not None:
        save_png(figure, path)


def regret_figure(tables: Tables, model: str, unit: str) -> Figure | None:
    """The figure that `regret_png` writes; None where no policy was scored."""
    curves = tables.scores.filter(
        (pl.col("metric") == "pseudo_regret") & (pl.col("aggregate") == "mean") & pl.col("step").is_not_null()
        & pl.col("fold").is_null() & pl.col("segment").is_null()
    )  # fmt: skip
    if curves.is_empty():
        return None
    figure = new_figure(11, 5.2)
    axes = figure.subplots(1, 2)
    colours = _colours(curves["model"].unique(maintain_order=True).to_list(), model)
    for place, scale in zip(axes, ("linear", "log"), strict=True):
        place.set_xscale(scale)
        for label, colour in colours.items():
            _curve(place, curves.filter(pl.col("model") == label), label, colour, own=label == model)
        tidy(place)
        place.set_xlabel(f"customers{', log scale' if scale == 'log' else ''}", fontsize=9.5, color=INK)
    axes[1].set_ylim(axes[1].get_ylim())  # the bound may lie far above all that can be lost so soon
    _bound(axes[1], tables)
    axes[0].set_ylabel(f"regret, {drawable(unit)}", fontsize=9.5, color=INK)
    handles, labels = axes[1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 4), frameon=False, fontsize=9)
    n = int(curves["n"].max())  # type: ignore[arg-type]
    title = f"Regret against the best arm, mean of {n:,} replications with 95 % intervals"
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    return figure


def allocation_png(tables: Tables, model: str, path: Path) -> None:
    """Draw the share of steps between checkpoints that each arm had under the experiment's own model.

    Raises:
        HwdsError: The folder cannot be written.
    """
    figure = allocation_figure(tables, model)
    if figure is not None:
        save_png(figure, path)


def allocation_figure(tables: Tables, model: str) -> Figure | None:
    """The figure that `allocation_png` writes; None where nothing is known."""
    shares = tables.scores.filter(
        (pl.col("metric") == "allocation") & (pl.col("model") == model) & pl.col("fold").is_null()
    ).select("segment", "step", "value")
    if shares["step"].n_unique() < 2:
        return None
    arms = shares["segment"].unique(maintain_order=True).to_list()
    steps, bands = _bands(shares, arms)
    shown = sorted(sorted(range(len(arms)), key=lambda i: -bands[i].sum())[:MOST_ARMS])
    figure = new_figure(9, 4.6)
    axes = figure.subplots()
    rest = sum((bands[i] for i in range(len(arms)) if i not in shown), start=0 * bands[0])
    stacked = [bands[i] for i in shown] + ([rest] if len(arms) > len(shown) else [])
    names = [drawable(arms[i], 24) for i in shown] + (["others"] if len(arms) > len(shown) else [])
    axes.stackplot(steps, stacked, labels=names, colors=_shades(len(stacked)), linewidth=0.4, edgecolor="white")
    axes.set_xscale("log")
    axes.set_xlim(steps[0], steps[-1])
    axes.set_ylim(0, 1)
    tidy(axes)
    axes.set_xlabel("customers, log scale", fontsize=9.5, color=INK)
    axes.set_ylabel("share of customers since the checkpoint before", fontsize=9.5, color=INK)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside right upper", frameon=False, fontsize=9, title=_best_arm(tables))
    figure.suptitle(f"Arms chosen by {drawable(model, 44)}", x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    return figure


def _colours(labels: list[str], model: str) -> dict[str, str]:
    rivals = [label for label in labels if label not in (model, TRUTH)]
    own = {model: OWN} if model in labels else {}
    return own | {label: RIVALS[place % len(RIVALS)] for place, label in enumerate(rivals)}


def _curve(axes: Axes, points: pl.DataFrame, label: str, colour: str, *, own: bool) -> None:
    points = points.sort("step")
    steps, values = points["step"].to_numpy(), points["value"].to_numpy()
    axes.plot(steps, values, color=colour, linewidth=2.2 if own else 1.5, label=drawable(label, 40), zorder=3 if own else 2)
    if points["ci_low"].null_count() < len(points):
        axes.fill_between(
            steps, points["ci_low"].to_numpy(), points["ci_high"].to_numpy(), color=colour, alpha=0.18, linewidth=0
        )
    axes.annotate(
        brief(float(values[-1])), (steps[-1], values[-1]), xytext=(4, 0), textcoords="offset points", fontsize=8,
        color=colour, va="center", annotation_clip=False,
    )  # fmt: skip


def _bound(axes: Axes, tables: Tables) -> None:
    """C ln t, where the world stands still."""
    bound = tables.scores.filter(pl.col("metric") == "lai_robbins_bound").sort("step")
    if len(bound) and bound["value"].max() > 0:  # type: ignore[operator]
        label = "C ln t: asymptotic bound, not a floor"
        axes.plot(bound["step"], bound["value"], color=FLOOR_COLOUR, linestyle="--", linewidth=1.4, label=label, zorder=1)


def _bands(shares: pl.DataFrame, arms: list[str]) -> tuple[list[int], list[pl.Series]]:
    """Steps, and the share of each arm between each checkpoint and the one before."""
    wide = shares.pivot(on="segment", index="step", values="value").sort("step")
    steps = wide["step"].cast(pl.Float64)
    lengths = steps.diff().fill_null(steps[0])
    counts = ((wide[arm].fill_null(0.0) * steps) for arm in arms)
    return wide["step"].to_list(), [count.diff().fill_null(count[0]) / lengths for count in counts]


def _shades(count: int) -> list[str]:
    colours = ["#1f6fb4", "#d9822b", "#2e8b57", "#8e5bb5", "#b5485d", "#0e8a8a", "#a3821a", "#5b6fb5", "#7a9a3a", "#c0739c"]
    return [*colours[: min(count, MOST_ARMS)], GREY][:count]


def _best_arm(tables: Tables) -> str | None:
    best = tables.scores.filter(pl.col("metric") == "best_arm")["segment"]
    return f"best: {drawable(best[0], 20)}" if len(best) else None
