"""sweep.png: scores by trial, by time and by rung, and each setting against the score."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from hwds.report.pictures.style import GREY, INK, LIGHT, OWN, drawable, new_figure, plain_numbers, save_png, tidy
from hwds.report.sweep.importance import SettingsImportance
from hwds.report.sweep.parallel_plot import parallel_figure
from hwds.report.sweep.result import Runs, SweepResult, first_scores, places, varied
from hwds.results.formatting import counted
from hwds.statistics.functional_anova import LEVEL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 6
"""The most settings that have a panel."""


def sweep_figure(result: SweepResult, runs: Runs, took: Runs, logarithmic: Sequence[str] = ()) -> Figure | None:
    """Draw a sweep.

    Args:
        result: The result of the sweep.
        runs: The running scores of each trial by completed windows.
        took: The seconds of each trial by completed windows.
        logarithmic: The settings that were drawn on the scale of their logarithm.

    Returns:
        The figure; None where no trial has a score.
    """
    scored = result.trials.filter(pl.col("score").is_not_null())
    if scored.is_empty():
        return None
    settings = varied(scored)[:MOST]
    first = first_scores(result, runs)
    rows = 1 + -(-len(settings) // 3)
    figure = new_figure(11, 3.2 * rows)
    grid = figure.add_gridspec(rows, 6)
    done = scored.filter(pl.col("status") == "finished").sort("trial")
    _by_trial(figure.add_subplot(grid[0, :2]), result, done, scored.filter(pl.col("status") != "finished"))
    _by_time(figure.add_subplot(grid[0, 2:4]), result, done, took)
    _by_rung(figure.add_subplot(grid[0, 4:]), result, runs)
    for place, name in enumerate(settings):
        axes = figure.add_subplot(grid[1 + place // 3, 2 * (place % 3) : 2 * (place % 3) + 2])
        _by_setting(axes, result, first, name, logarithmic=name in logarithmic)
    title = f"{result.model}: {result.measure.name} on {result.windows} inner windows, the {result.better}er the better"
    figure.suptitle(drawable(title, 110), x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    return figure


def _by_trial(axes: Axes, result: SweepResult, done: pl.DataFrame, rest: pl.DataFrame) -> None:
    """Draw trials with all windows, and the best so far as a line; the others have no comparable score and lie on the axis."""
    from matplotlib.ticker import MaxNLocator

    if len(done):
        axes.step(done["trial"], _best_so_far(result, done), where="post", color=OWN, linewidth=1.2, label="best so far")
    axes.scatter(done["trial"], done["score"], s=22, color=INK, zorder=3, label="all windows")
    if len(rest):
        at = axes.get_xaxis_transform()
        axes.plot(rest["trial"], [0.0] * len(rest), "|", transform=at, color=GREY, markersize=9, label="stopped before")
    _named(axes, "trial", drawable(result.measure.name))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize=8)


def _best_so_far(result: SweepResult, done: pl.DataFrame) -> np.ndarray:
    """Return the best score of each trial and those before it."""
    best = done["score"].cum_min() if result.better == "low" else done["score"].cum_max()
    return best.to_numpy()


def _by_time(axes: Axes, result: SweepResult, done: pl.DataFrame, took: Runs) -> None:
    """Draw the same against the time of all windows up to the end of each trial, rung by rung."""
    spent = time_spent(took)
    ends = np.array([spent.get((number, result.windows), np.nan) for number in done["trial"]])
    unit, size = ("minutes", 60) if np.nanmax(ends, initial=0.0) >= 120 else ("seconds", 1)
    if np.isfinite(ends).all() and len(ends):
        order = np.argsort(ends, kind="stable")
        at = ends[order] / size
        axes.step(at, _best_so_far(result, done[order]), where="post", color=OWN, linewidth=1.2)
        axes.scatter(at, done["score"].to_numpy()[order], s=22, color=INK, zorder=3)
        axes.set_xlim(0, 1.05 * at[-1])
    _named(axes, f"{unit} of one core, all trials together", "")


def time_spent(took: Runs) -> dict[tuple[int, int], float]:
    """Return the total seconds of all trials when each reached each rung, where one rung is done before the next begins."""
    steps = [
        (
            rung,
            int(label.removeprefix("trial ")),
            seconds - max((earlier for at, earlier in seconds_at.items() if at < rung), default=0.0),
        )
        for label, seconds_at in took.items()
        for rung, seconds in seconds_at.items()
    ]
    total, spent = 0.0, {}
    for rung, number, seconds in sorted(steps):
        total += seconds
        spent[number, rung] = total
    return spent


def _by_rung(axes: Axes, result: SweepResult, runs: Runs) -> None:
    """Draw the running score of each trial, the best one's in colour; below each rung the number of trials that reached it."""
    for label, scores in runs.items():
        best = label == f"trial {result.best}"
        windows = sorted(scores)
        style: dict[str, Any] = {"color": OWN if best else LIGHT, "linewidth": 2.0 if best else 1.0, "zorder": 3 if best else 1}
        axes.plot(windows, [scores[window] for window in windows], marker="o", markersize=4, **style)
    rungs = sorted({window for scores in runs.values() for window in scores})
    here = [sum(rung in scores for scores in runs.values()) for rung in rungs]
    axes.set_xticks(rungs, [f"{rung}\n{counted(count, 'trials')}" for rung, count in zip(rungs, here, strict=True)])
    _named(axes, f"windows behind it (best: trial {result.best})", "")


def _by_setting(axes: Axes, result: SweepResult, first: pl.DataFrame, name: str, *, logarithmic: bool) -> None:
    """Draw the score after the first rung against one setting; each text has a position."""
    from matplotlib.ticker import MaxNLocator

    known = first.filter(pl.col(name).is_not_null())
    best = (known["trial"] == result.best).to_numpy()
    where, names = places(known[name])
    if logarithmic:
        axes.set_xscale("log")
    if names:
        axes.set_xticks(range(len(names)), [drawable(text, 14) for text in names])
        axes.set_xlim(-0.5, len(names) - 0.5)
    score = known["first"].to_numpy()
    axes.scatter(where[~best], score[~best], s=18, color=INK)
    axes.scatter(where[best], score[best], s=40, color=OWN, zorder=3)
    windows = first["compared"][0] if len(first) else result.windows
    _named(axes, drawable(name, 40), f"after {windows} of {result.windows} windows")
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


def draw_sweep(
    result: SweepResult, importance: SettingsImportance, runs: Runs, took: Runs, logarithmic: Sequence[str], folder: Path
) -> list[str]:
    """Draw all pictures of a sweep.

    Args:
        result: The result of the sweep.
        importance: The importance of the settings.
        runs: The running scores of each trial by completed windows.
        took: The seconds of each trial by completed windows.
        logarithmic: The settings that were drawn on the scale of their logarithm.
        folder: The folder of the pictures.

    Returns:
        The Markdown of the pictures without a section of their own.
    """
    save_png(sweep_figure(result, runs, took, logarithmic), folder / "sweep.png")
    save_png(parallel_figure(result, runs, logarithmic), folder / "parallel.png")
    save_png(importance_figure(result, importance), folder / "importance.png")
    return [f"![{name}]({name}.png)" for name in ("sweep", "parallel") if (folder / f"{name}.png").is_file()]


def importance_figure(result: SweepResult, importance: SettingsImportance) -> Figure | None:
    """Draw the importance; None where there is no estimate of it."""
    if importance.shares is None:
        return None
    share, places = 100 * importance.shares.share, np.arange(len(importance.settings))
    whiskers = np.abs(100 * np.stack([importance.shares.low, importance.shares.high]) - share)
    figure = new_figure(8, 1.6 + 0.42 * len(places))
    axes = figure.add_subplot()
    axes.barh(places, share, height=0.6, color=OWN)
    axes.errorbar(share, places, xerr=whiskers, fmt="none", ecolor=INK, elinewidth=1.1, capsize=3)
    axes.set_yticks(places, [drawable(name, 40) for name in importance.settings])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    tidy(axes, grid="x")
    axes.set_xlabel(
        f"share of the spread of scores, %; whiskers: {100 * LEVEL:.0f} % of the forest's trees", fontsize=9.5, color=INK
    )
    title = f"What mattered for {result.measure.name}: {result.model}"
    figure.suptitle(drawable(title, 80), x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    return figure
