"""sweep.png: scores by trial and by the time spent, scores from rung to rung, each setting against the score."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from hwds.report.style import GREY, INK, LIGHT, OWN, drawable, new_figure, plain_numbers, save_png, tidy
from hwds.report.sweep import Found
from hwds.report.sweep_settings import Runs, first_scores, places, varied
from hwds.results.wording import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 6
"""Settings that have a panel."""


def sweep_png(found: Found, runs: Runs, took: Runs, logarithmic: Sequence[str], path: Path) -> None:
    """Draw a sweep; nothing where no trial has a score.

    Args:
        found: What came of it.
        runs: The running scores of each trial by the windows behind it.
        took: The seconds that each had taken by then.
        logarithmic: The settings that were drawn on the scale of their logarithm.
        path: Of the picture.
    """
    save_png(sweep_figure(found, runs, took, logarithmic), path)


def sweep_figure(found: Found, runs: Runs, took: Runs, logarithmic: Sequence[str] = ()) -> Figure | None:
    """The figure that `sweep_png` writes."""
    scored = found.trials.filter(pl.col("score").is_not_null())
    if scored.is_empty():
        return None
    settings = varied(scored)[:MOST]
    first = first_scores(found, runs)
    rows = 1 + -(-len(settings) // 3)
    figure = new_figure(11, 3.2 * rows)
    grid = figure.add_gridspec(rows, 6)
    done = scored.filter(pl.col("status") == "finished").sort("trial")
    _by_trial(figure.add_subplot(grid[0, :2]), found, done, scored.filter(pl.col("status") != "finished"))
    _by_time(figure.add_subplot(grid[0, 2:4]), found, done, took)
    _by_rung(figure.add_subplot(grid[0, 4:]), found, runs)
    for place, name in enumerate(settings):
        axes = figure.add_subplot(grid[1 + place // 3, 2 * (place % 3) : 2 * (place % 3) + 2])
        _by_setting(axes, found, first, name, logarithmic=name in logarithmic)
    title = f"{found.model}: {found.measure.name} on {found.windows} inner windows, the {found.better}er the better"
    figure.suptitle(drawable(title, 110), x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    return figure


def _by_trial(axes: Axes, found: Found, done: pl.DataFrame, rest: pl.DataFrame) -> None:
    """Trials with all windows, and the best so far as a line; the others have no score to compare, and lie on the axis."""
    from matplotlib.ticker import MaxNLocator

    if len(done):
        axes.step(done["trial"], _best_so_far(found, done), where="post", color=OWN, linewidth=1.2, label="best so far")
    axes.scatter(done["trial"], done["score"], s=22, color=INK, zorder=3, label="all windows")
    if len(rest):
        at = axes.get_xaxis_transform()
        axes.plot(rest["trial"], [0.0] * len(rest), "|", transform=at, color=GREY, markersize=9, label="stopped before")
    _named(axes, "trial", drawable(found.measure.name))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize=8)


def _best_so_far(found: Found, done: pl.DataFrame) -> np.ndarray:
    """The best score of each trial and those before it."""
    best = done["score"].cum_min() if found.better == "low" else done["score"].cum_max()
    return best.to_numpy()


def _by_time(axes: Axes, found: Found, done: pl.DataFrame, took: Runs) -> None:
    """The same against what all windows have taken by the end of each trial, rung by rung."""
    spent = time_spent(took)
    ends = np.array([spent.get((number, found.windows), np.nan) for number in done["trial"]])
    unit, size = ("minutes", 60) if np.nanmax(ends, initial=0.0) >= 120 else ("seconds", 1)
    if np.isfinite(ends).all() and len(ends):
        order = np.argsort(ends, kind="stable")
        at = ends[order] / size
        axes.step(at, _best_so_far(found, done[order]), where="post", color=OWN, linewidth=1.2)
        axes.scatter(at, done["score"].to_numpy()[order], s=22, color=INK, zorder=3)
        axes.set_xlim(0, 1.05 * at[-1])
    _named(axes, f"{unit} of one core, all trials together", "")


def time_spent(took: Runs) -> dict[tuple[int, int], float]:
    """The seconds that all trials had taken when each reached each rung, where one rung is done before the next begins."""
    steps = [
        (
            rung,
            int(label.removeprefix("trial ")),
            seconds - max((earlier for at, earlier in own.items() if at < rung), default=0.0),
        )
        for label, own in took.items()
        for rung, seconds in own.items()
    ]
    total, found = 0.0, {}
    for rung, number, seconds in sorted(steps):
        total += seconds
        found[number, rung] = total
    return found


def _by_rung(axes: Axes, found: Found, runs: Runs) -> None:
    """The running score of each trial, the best one's in colour; below each rung how many trials came to it."""
    for label, scores in runs.items():
        own = label == f"trial {found.best}"
        windows = sorted(scores)
        style: dict[str, Any] = {"color": OWN if own else LIGHT, "linewidth": 2.0 if own else 1.0, "zorder": 3 if own else 1}
        axes.plot(windows, [scores[window] for window in windows], marker="o", markersize=4, **style)
    rungs = sorted({window for scores in runs.values() for window in scores})
    here = [sum(rung in scores for scores in runs.values()) for rung in rungs]
    axes.set_xticks(rungs, [f"{rung}\n{counted(count, 'trials')}" for rung, count in zip(rungs, here, strict=True)])
    _named(axes, f"windows behind it (best: trial {found.best})", "")


def _by_setting(axes: Axes, found: Found, first: pl.DataFrame, name: str, *, logarithmic: bool) -> None:
    """The score after the first rung against one setting; of texts each has a place."""
    from matplotlib.ticker import MaxNLocator

    known = first.filter(pl.col(name).is_not_null())
    own = (known["trial"] == found.best).to_numpy()
    where, names = places(known[name])
    if logarithmic:
        axes.set_xscale("log")
    if names:
        axes.set_xticks(range(len(names)), [drawable(text, 14) for text in names])
        axes.set_xlim(-0.5, len(names) - 0.5)
    score = known["first"].to_numpy()
    axes.scatter(where[~own], score[~own], s=18, color=INK)
    axes.scatter(where[own], score[own], s=40, color=OWN, zorder=3)
    windows = first["compared"][0] if len(first) else found.windows
    _named(axes, drawable(name, 40), f"after {windows} of {found.windows} windows")
    if not names:
        if not logarithmic and (where == where.round()).all():
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        plain_numbers(axes.xaxis)
        axes.tick_params(axis="x", labelsize=8)


def _named(axes: Axes, across: str, up: str) -> None:
    tidy(axes)
    axes.set_xlabel(across, fontsize=9.5, color=INK)
    axes.set_ylabel(up, fontsize=9.5, color=INK)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_parse_math(False)
