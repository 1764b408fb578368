"""parallel.png: each trial as a line through its settings to its score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from hwds.report.pictures.style import GREY, INK, LIGHT, OWN, drawable, new_figure
from hwds.report.sweep.result import Runs, SweepResult, first_scores, places, varied
from hwds.results.formatting import brief

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 9
"""The most settings that have an axis."""
GOOD = 0.25
"""The share of the trials, the best, that is drawn in a stronger colour."""


def parallel_figure(result: SweepResult, runs: Runs, logarithmic: Sequence[str] = ()) -> Figure | None:
    """Draw the trials through their settings.

    Args:
        result: The result of the sweep.
        runs: The running scores of each trial.
        logarithmic: The settings that were drawn on the scale of their logarithm.

    Returns:
        The figure; None where no setting differs.
    """
    table = first_scores(result, runs).filter(pl.col("first").is_not_null())
    names = varied(table)[:MOST]
    if not names:
        return None
    width = max(9.0, 1.7 * (len(names) + 1))
    figure = new_figure(width, 5)
    axes = figure.add_subplot()
    heights = [_axis(axes, place, name, table[name], name in logarithmic) for place, name in enumerate(names)]
    heights.append(_score_axis(axes, len(names), result, table))
    _lines(axes, np.stack(heights, axis=1), result, table)
    axes.set_xlim(-0.2, len(names) + 0.45)
    axes.set_ylim(-0.13, 1.09)
    axes.axis("off")
    windows = table["compared"][0]
    title = f"{result.model}: settings and {result.measure.short} after {windows} of {result.windows} windows"
    figure.suptitle(drawable(title, int(8.5 * width)), x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    meaning = f"A line is a trial. Blue: trial {result.best}, which was chosen; dark: the best fourth there."
    axes.text(0, -0.09, meaning, fontsize=9, color=GREY, ha="left", va="top")
    return figure


def _axis(axes: Axes, place: int, name: str, values: pl.Series, logarithmic: bool) -> np.ndarray:
    """Draw one upright axis with its ends, of words all; return where each trial meets it, 0 to 1."""
    where, words = places(values)
    if words:
        height = where / max(len(words) - 1, 1)
        ticks = [(spot / max(len(words) - 1, 1), word) for spot, word in enumerate(words)]
    else:
        scaled = np.log(where) if logarithmic else where
        low, high = float(np.nanmin(scaled)), float(np.nanmax(scaled))
        height = (scaled - low) / ((high - low) or 1.0)
        ticks = [(0.0, f"{np.nanmin(where):.4g}"), (1.0, f"{np.nanmax(where):.4g}")]
    _upright(axes, place, name.partition(".")[2].replace(".", " ") or name, ticks)
    return height


def _score_axis(axes: Axes, place: int, result: SweepResult, table: pl.DataFrame) -> np.ndarray:
    """Draw the last axis, the good end up; return where each trial meets it."""
    score = table["first"].to_numpy()
    low, high = float(score.min()), float(score.max())
    rising = (score - low) / ((high - low) or 1.0)
    ends = [(0.0, brief(low)), (1.0, brief(high))]
    if result.better == "low":
        rising, ends = 1 - rising, [(0.0, brief(high)), (1.0, brief(low))]
    _upright(axes, place, result.measure.short, ends)
    return rising


def _upright(axes: Axes, place: int, title: str, ticks: Sequence[tuple[float, str]]) -> None:
    axes.plot([place, place], [0, 1], color=GREY, linewidth=1.0, zorder=2)
    for height, text in ticks:
        ending: dict[str, Any] = {"va": "center"}
        across, up = place + 0.03, height
        if height in (0, 1):  # beyond the end, where no line crosses it
            across, up = place, (-0.015, 1.01)[int(height)]
            ending = {"va": ("top", "bottom")[int(height)], "ha": "center"}
        axes.text(across, up, drawable(text, 14), fontsize=8.5, color=INK, zorder=5, parse_math=False, **ending)
    axes.text(place, 1.06, drawable(title, 24), fontsize=9.5, color=INK, ha="center", va="bottom", parse_math=False)


def _lines(axes: Axes, heights: np.ndarray, result: SweepResult, table: pl.DataFrame) -> None:
    """Draw each trial's line: the best fourth in ink, the best one in colour, the others pale; past unused settings."""
    good = np.quantile(heights[:, -1], 1 - GOOD)
    for line, trial in zip(heights, table["trial"], strict=True):
        style: dict[str, Any] = {"color": LIGHT, "linewidth": 1.0, "zorder": 1}
        if line[-1] >= good:
            style = {"color": INK, "linewidth": 1.0, "zorder": 3, "alpha": 0.7}
        if trial == result.best:
            style = {"color": OWN, "linewidth": 2.4, "zorder": 4}
        used = np.flatnonzero(~np.isnan(line))
        axes.plot(used, line[used], marker="o", markersize=3, **style)
