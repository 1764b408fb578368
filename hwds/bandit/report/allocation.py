"""allocation.png: which arms a policy chooses as customers come, below the arms that were truly the best."""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import TYPE_CHECKING

import polars as pl

from hwds.bandit.report.best_arms import Reign, arms_title, reigns
from hwds.frames.world import World
from hwds.report.pictures.style import GREY, INK, drawable, new_figure, plain_numbers, tidy
from hwds.results.tables import Tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#1f6fb4", "#d9822b", "#2e8b57", "#8e5bb5", "#b5485d", "#0e8a8a", "#a3821a", "#5b6fb5", "#7a9a3a", "#c0739c")
"""The colours of the arms that are shown apart; the others are one grey band."""

LETTER = 0.012
"""The share of the strip's length that a letter takes."""


def allocation_figure(world: World, tables: Tables, model: str) -> Figure | None:
    """Draw the share of steps between checkpoints that each arm had under the experiment's own model; None where unknown."""
    shares = tables.scores.filter(
        (pl.col("metric") == "allocation") & (pl.col("model") == model) & pl.col("fold").is_null()
    ).select("segment", "step", "value")
    if shares["step"].n_unique() < 2:
        return None
    steps, bands = _bands(shares, world.arms)
    best = reigns(world, steps[-1])
    colours = _colours(bands, best)
    figure = new_figure(10, 4.6 + 0.22 * len(best))
    top, below = figure.subplots(2, sharex=True, gridspec_kw={"height_ratios": [0.3 + 0.22 * (len(best) - 1), 4.0]})
    _stack(below, world, steps, bands, colours)
    _strip(top, world, best, colours)
    handles, labels = below.get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside right upper", frameon=False, fontsize=9, title=arms_title(world))
    title = f"Arms chosen by {drawable(model, 44)}; strip: the arm truly best"
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK, parse_math=False)
    return figure


def _strip(axes: Axes, world: World, best: Mapping[str, list[Reign]], colours: Mapping[int, str]) -> None:
    """Draw a row for each segment, in the colour of the arm that is best, with its name where there is room."""
    for row, segment_reigns in enumerate(best.values()):
        for reign in segment_reigns:
            axes.barh(row, reign.last - reign.first + 1, left=reign.first, height=0.8, color=colours.get(reign.arm, GREY))
            name, (middle, width) = drawable(world.arms[reign.arm], 24), _middle(axes, reign)
            if width > LETTER * len(name):
                axes.text(middle, row, name, color="white", fontsize=8, ha="center", va="center", parse_math=False)
    names = [drawable(f"best for {segment}" if segment else "best arm", 30) for segment in best]
    axes.set_yticks(range(len(best)), names, fontsize=8.5, color=INK, parse_math=False)
    axes.set_ylim(len(best) - 0.5, -0.5)
    axes.tick_params(length=0, labelbottom=False, which="both")
    for side in axes.spines.values():
        side.set_visible(False)


def _middle(axes: Axes, reign: Reign) -> tuple[float, float]:
    """Return the step that is seen in the middle of a reign, and the share of the axis that the reign takes."""
    low, high = axes.get_xlim()
    if axes.get_xscale() == "log":
        return (reign.first * reign.last) ** 0.5, log(reign.last / reign.first) / log(high / low)
    return (reign.first + reign.last) / 2, (reign.last - reign.first) / (high - low)


def _stack(axes: Axes, world: World, steps: list[int], bands: list[pl.Series], colours: Mapping[int, str]) -> None:
    rest = [band for arm, band in enumerate(bands) if arm not in colours]
    stacked = [bands[arm] for arm in colours] + ([sum(rest, start=0 * rest[0])] if rest else [])
    names = [drawable(world.arms[arm], 24) for arm in colours] + (["others"] if rest else [])
    shades = [*colours.values(), GREY][: len(stacked)]
    axes.stackplot(steps, stacked, labels=names, colors=shades, linewidth=0.4, edgecolor="white")
    axes.set_xscale("linear" if world.changes else "log")  # a change late on would be a hair on a log axis
    axes.set_xlim(steps[0], steps[-1])
    plain_numbers(axes.xaxis)
    axes.set_ylim(0, 1)
    tidy(axes)
    axes.set_xlabel(f"customers{'' if world.changes else ', log scale'}", fontsize=9.5, color=INK)
    axes.set_ylabel("share of customers since the checkpoint before", fontsize=9.5, color=INK)


def _colours(bands: list[pl.Series], best: Mapping[str, list[Reign]]) -> dict[int, str]:
    """Return the arms that are told apart, in their order: those that are ever best, then those chosen most."""
    ever = dict.fromkeys(reign.arm for segment_reigns in best.values() for reign in segment_reigns)
    most = sorted(range(len(bands)), key=lambda arm: (arm not in ever, -float(bands[arm].sum())))
    return dict(zip(sorted(most[: len(COLOURS)]), COLOURS, strict=False))


def _bands(shares: pl.DataFrame, arms: tuple[str, ...]) -> tuple[list[int], list[pl.Series]]:
    """Return the steps, and the share of each arm between each checkpoint and the one before."""
    wide = shares.pivot(on="segment", index="step", values="value").sort("step")
    steps = wide["step"].cast(pl.Float64)
    lengths = steps.diff().fill_null(steps[0])
    counts = ((wide[arm].fill_null(0.0) * steps) for arm in arms)
    return wide["step"].to_list(), [count.diff().fill_null(count[0]) / lengths for count in counts]
