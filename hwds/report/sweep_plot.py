"""sweep.png: the score of each trial and the best so far, scores from rung to rung, each setting against the score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from hwds.report.style import GREY, INK, LIGHT, OWN, drawable, new_figure, plain_numbers, save_png, tidy
from hwds.report.sweep import OWN as FIXED
from hwds.report.sweep import Found

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 6
"""Settings that have a panel."""

Runs = Mapping[str, Mapping[int, float]]


def sweep_png(found: Found, runs: Runs, logarithmic: Sequence[str], path: Path) -> None:
    """Draw a sweep; nothing where no trial has a score.

    Args:
        found: What came of it.
        runs: The running scores of each trial by the windows behind it.
        logarithmic: The settings that were drawn on the scale of their logarithm.
        path: Of the picture.
    """
    save_png(sweep_figure(found, runs, logarithmic), path)


def sweep_figure(found: Found, runs: Runs, logarithmic: Sequence[str] = ()) -> Figure | None:
    """The figure that `sweep_png` writes."""
    scored = found.trials.filter(pl.col("score").is_not_null())
    if scored.is_empty():
        return None
    settings = [name for name in scored.columns if name not in FIXED and scored[name].drop_nulls().n_unique() > 1][:MOST]
    first = _first(found, runs)
    rows = 1 + -(-len(settings) // 3)
    figure = new_figure(11, 3.2 * rows)
    grid = figure.add_gridspec(rows, 6)
    _by_trial(figure.add_subplot(grid[0, :3]), found, scored)
    _by_rung(figure.add_subplot(grid[0, 3:]), found, runs)
    for place, name in enumerate(settings):
        axes = figure.add_subplot(grid[1 + place // 3, 2 * (place % 3) : 2 * (place % 3) + 2])
        _by_setting(axes, found, first, name, logarithmic=name in logarithmic)
    title = f"{found.model}: {found.measure.name} on {found.windows} inner windows, the {found.better}er the better"
    figure.suptitle(drawable(title, 110), x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    return figure


def _by_trial(axes: Axes, found: Found, scored: pl.DataFrame) -> None:
    """Trials with all windows, and the best so far as a line; the others have no score to compare, and lie on the axis."""
    done = scored.filter(pl.col("status") == "finished").sort("trial")
    rest = scored.filter(pl.col("status") != "finished")
    if len(done):
        running = done["score"].cum_min() if found.better == "low" else done["score"].cum_max()
        axes.step(done["trial"].to_numpy(), running.to_numpy(), where="post", color=OWN, linewidth=1.2, label="best so far")
    axes.scatter(done["trial"], done["score"], s=22, color=INK, zorder=3, label="all windows")
    if len(rest):
        at = axes.get_xaxis_transform()
        axes.plot(rest["trial"], [0.0] * len(rest), "|", transform=at, color=GREY, markersize=9, label="stopped before")
    _named(axes, "trial", drawable(found.measure.name))
    axes.legend(frameon=False, fontsize=8)


def _by_rung(axes: Axes, found: Found, runs: Runs) -> None:
    """The running score of each trial; the best one's in colour."""
    for label, scores in runs.items():
        own = label == f"trial {found.best}"
        windows = sorted(scores)
        style: dict[str, Any] = {"color": OWN if own else LIGHT, "linewidth": 2.0 if own else 1.0, "zorder": 3 if own else 1}
        axes.plot(windows, [scores[window] for window in windows], marker="o", markersize=4, **style)
    axes.set_xticks(sorted({window for scores in runs.values() for window in scores}))
    _named(axes, f"windows behind it (best: trial {found.best})", "")


def _first(found: Found, runs: Runs) -> pl.DataFrame:
    """The score of each trial after the fewest windows that any was scored after: there they compare."""
    common = min((min(scores) for scores in runs.values()), default=found.windows)
    rows = [(int(label.removeprefix("trial ")), scores[common]) for label, scores in runs.items() if common in scores]
    first = pl.DataFrame(rows, schema={"trial": pl.Int64, "first": pl.Float64}, orient="row")
    return found.trials.join(first, on="trial", maintain_order="left").with_columns(windows=pl.lit(common))


def _by_setting(axes: Axes, found: Found, first: pl.DataFrame, name: str, *, logarithmic: bool) -> None:
    """The score after the first rung against one setting; of texts each has a place."""
    known = first.filter(pl.col(name).is_not_null())
    values, own = known[name], (known["trial"] == found.best).to_numpy()
    if values.dtype.is_numeric():
        where = values.cast(pl.Float64).to_numpy()
        if logarithmic:
            axes.set_xscale("log")
    else:
        names = values.cast(pl.String).unique().sort().to_list()
        where = np.array([names.index(value) for value in values.cast(pl.String)], float)
        axes.set_xticks(range(len(names)), [drawable(text, 14) for text in names])
        axes.set_xlim(-0.5, len(names) - 0.5)
    score = known["first"].to_numpy()
    axes.scatter(where[~own], score[~own], s=18, color=INK)
    axes.scatter(where[own], score[own], s=40, color=OWN, zorder=3)
    windows = first["windows"][0] if len(first) else found.windows
    _named(axes, drawable(name, 40), f"after {windows} of {found.windows} windows")
    if values.dtype.is_numeric():
        plain_numbers(axes.xaxis)


def _named(axes: Axes, across: str, up: str) -> None:
    tidy(axes)
    axes.set_xlabel(across, fontsize=9.5, color=INK)
    axes.set_ylabel(up, fontsize=9.5, color=INK)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_parse_math(False)
