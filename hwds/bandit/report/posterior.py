"""posterior.png: what one play of a policy leaves known of each arm, beside the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from hwds.bandit.protocols.simulation.rows import seen_counts
from hwds.bandit.report.best_arms import arms_title
from hwds.frames.world import World
from hwds.report.pictures.style import FLOOR_COLOUR, GREY, INK, OWN, drawable, new_figure, tidy
from hwds.results.tables import Tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_ARMS = 20
"""Arms that are drawn: those chosen most."""

POINTS = 400
"""The points at which a density is drawn."""


def posterior_figure(world: World, tables: Tables, model: str) -> Figure | None:
    """Draw, for the first replication, the posterior of a customer's mean value under each arm.

    Beta(1 + conversions, 1 + refusals) times the arm's value. A world that changes with time has no one truth to draw. None
    where the model played nothing, and where counts alone do not say what an arm earns.
    """
    if tables.predictions.is_empty() or world.brings_amounts:
        return None
    rows = tables.predictions.filter(pl.col("model") == model)
    if rows.is_empty():
        return None
    first = rows.row(0, named=True)
    pulls, wins = np.array([seen_counts(first, arm) for arm in world.arms]).T
    shown = np.sort(np.argsort(-pulls, kind="stable")[:MOST_ARMS])
    figure = new_figure(9, 1.6 + 0.42 * len(shown))
    axes = figure.subplots()
    for place, arm in enumerate(shown):
        _density(axes, world, arm, int(pulls[arm]), int(wins[arm]), place)
    tidy(axes, grid="x")
    _name_axes(axes, world, [f"{drawable(world.arms[arm], 24)}  ({pulls[arm]:,})" for arm in shown])
    handles, labels = axes.get_legend_handles_labels()
    legend = dict(sorted(zip(labels, handles, strict=True), key=lambda pair: pair[0], reverse=True))
    figure.legend(legend.values(), legend.keys(), loc="outside lower center", ncols=3, frameon=False, fontsize=9.5)
    title = f"What one play of {drawable(model, 40)} saw of each arm"
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK, parse_math=False)
    return figure


def _name_axes(axes: Axes, world: World, arms: list[str]) -> None:
    """Write the labels at, below and beside the arms."""
    axes.set_yticks(range(len(arms)), arms, parse_math=False)
    axes.set_ylim(len(arms) - 0.4, -0.9)
    axes.tick_params(axis="y", length=0, labelsize=9.5)
    whole = "; all customers together, though the market changed" if world.changes else ""
    whole = whole or ("; of the customers it was offered to" if len(world.segments) > 1 else "")
    counts = "its offers whose window was over" if world.delay else "how often the arm was chosen"
    axes.set_xlabel(f"{drawable(world.unit)} per customer; in brackets {counts}{whole}", fontsize=9.5, color=INK)
    axes.set_ylabel(arms_title(world), fontsize=9.5, color=INK)


def _density(axes: Axes, world: World, arm: int, pulls: int, wins: int, place: int) -> None:
    """Draw one arm's posterior as a ridge, and its true value where the world stands still."""
    from scipy.special import betaincinv, xlog1py, xlogy

    low, high = betaincinv(1 + wins, 1 + pulls - wins, [0.001, 0.999])
    conversions = np.linspace(low, high, POINTS)
    logs = xlogy(wins, conversions) + xlog1py(pulls - wins, -conversions)
    heights = np.exp(logs - logs.max())  # the highest point is as high for every arm
    values = world.values[arm] * conversions
    best = arm == world.fixed(world.horizon)
    colour = OWN if best else GREY
    label = "posterior of the best single arm" if best else "posterior of another arm"
    axes.fill_between(values, place, place - 0.8 * heights, color=colour, alpha=0.45, linewidth=0, label=label)
    axes.plot(values, place - 0.8 * heights, color=colour, linewidth=1.0)
    if not world.changes:
        truth = float(world.shares @ world.conversions[0, :, arm] * world.values[arm])
        label = "truth" if len(world.segments) == 1 else "truth, if offered to everyone"
        axes.plot([truth, truth], [place, place - 0.8], color=FLOOR_COLOUR, linewidth=1.6, label=label)
