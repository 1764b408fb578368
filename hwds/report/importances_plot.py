"""importances.png: what the scores of the experiment's own model are made of, with the spread of seeds and of windows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hwds.protocols.importances import INPUT, SUBJECT
from hwds.report.importances import Importance, caption_of, importances
from hwds.report.style import GREY, INK, NAIVE_COLOUR, OWN, drawable, new_figure, save_png, tidy
from hwds.results.reason_headings import heading_of
from hwds.results.tables import Tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 14
"""Bars of a panel."""


def importances_png(tables: Tables, model: str, path: Path) -> None:
    """Draw what the scores of a model are made of; nothing where it was not told.

    Raises:
        HwdsError: The folder cannot be written.
    """
    save_png(importances_figure(tables, model), path)


def importances_figure(tables: Tables, model: str) -> Figure | None:
    """The figure that `importances_png` writes: subjects on the left, single inputs on the right."""
    found = {of: importances(tables, model, of)[:MOST] for of in (SUBJECT, INPUT)}
    if not found[SUBJECT]:
        return None
    figure = new_figure(12.5, 1.5 + 0.32 * max(map(len, found.values())))
    left, right = figure.subplots(1, 2)
    _draw(left, found[SUBJECT], [heading_of(each.name) for each in found[SUBJECT]])
    _draw(right, found[INPUT], [each.name for each in found[INPUT]])
    left.set_title("all inputs of a subject together", fontsize=10, loc="left", color=INK)
    right.set_title("single inputs", fontsize=10, loc="left", color=INK)
    figure.suptitle(
        f"What the scores of {drawable(model, 40)} are made of", x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK
    )
    figure.supxlabel(_below(tables, model, found[SUBJECT]), x=0.01, ha="left", fontsize=8.5, color=GREY)
    return figure


def _draw(axes: Axes, found: Sequence[Importance], names: Sequence[str]) -> None:
    """A bar for each, the largest on top; whiskers of seeds, a dot for each window."""
    for place, each in enumerate(found):
        axes.barh(place, 100 * each.share, height=0.62, color=OWN, alpha=0.85, zorder=2)
        axes.scatter(
            [100 * share for share in each.windows],
            [place] * len(each.windows),
            s=11,
            color=NAIVE_COLOUR,
            zorder=4,
            linewidths=0,
        )
        if each.low is not None and each.high is not None:
            reach = [[max(100 * (each.share - each.low), 0)], [max(100 * (each.high - each.share), 0)]]
            axes.errorbar(100 * each.share, place, xerr=reach, color=INK, elinewidth=1.3, capsize=3, zorder=3)
    axes.set_yticks(range(len(found)), [drawable(name, 38) for name in names])
    axes.set_ylim(len(found) - 0.4, -0.6)
    axes.set_xlim(0, None)
    axes.set_xlabel("share of the mean absolute contribution, %", fontsize=9.5, color=INK)
    tidy(axes, grid="x")


def _below(tables: Tables, model: str, found: Sequence[Importance]) -> str:
    """What bars, whiskers and dots are."""
    rows = caption_of(tables, model).partition(" over ")[2].partition(",")[0]
    seeds = _seeds(tables, model, found)
    windows = f"; dots: {len(found[0].windows)} windows" if found[0].windows else ""
    return f"bars: mean over {rows}{seeds}{windows}"


def _seeds(tables: Tables, model: str, found: Sequence[Importance]) -> str:
    if found[0].low is None:
        return ", one fit a window"
    many = caption_of(tables, model).partition("lowest and highest of ")[2].partition(" ")[0]
    same = all(each.low == each.high for each in found)
    return (
        f"; under {many} seeds of the fit they are the same"
        if same
        else f"; whiskers: lowest and highest of {many} seeds of the fit"
    )
