"""importances.png: what the scores of the experiment's own model are made of, with the spread of seeds and of windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hwds.detection.protocols.rows.importances import INPUT, SUBJECT
from hwds.detection.reasons.headings import heading_of
from hwds.detection.report.importances import Importance, caption_of, importances
from hwds.report.pictures.style import GREY, INK, NAIVE_COLOUR, OWN, drawable, new_figure, tidy
from hwds.results.tables import Tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 14
"""Bars of a panel."""


def importances_figure(tables: Tables, model: str) -> Figure | None:
    """Draw what the scores of a model are made of: subjects on the left, single inputs on the right."""
    shown = {of: importances(tables, model, of)[:MOST] for of in (SUBJECT, INPUT)}
    if not shown[SUBJECT]:
        return None
    figure = new_figure(12.5, 1.5 + 0.32 * max(map(len, shown.values())))
    left, right = figure.subplots(1, 2)
    _draw(left, shown[SUBJECT], [heading_of(each.name) for each in shown[SUBJECT]])
    _draw(right, shown[INPUT], [each.name for each in shown[INPUT]])
    left.set_title("all inputs of a subject together", fontsize=10, loc="left", color=INK)
    right.set_title("single inputs", fontsize=10, loc="left", color=INK)
    figure.suptitle(
        f"What the scores of {drawable(model, 40)} are made of", x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK
    )
    figure.supxlabel(_below(tables, model, shown[SUBJECT]), x=0.01, ha="left", fontsize=8.5, color=GREY)
    return figure


def _draw(axes: Axes, shown: Sequence[Importance], names: Sequence[str]) -> None:
    """Draw a bar for each, the largest on top; whiskers of seeds, a dot for each window."""
    for place, each in enumerate(shown):
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
    axes.set_yticks(range(len(shown)), [drawable(name, 38) for name in names])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(0, None)
    axes.set_xlabel("share of the mean absolute contribution, %", fontsize=9.5, color=INK)
    tidy(axes, grid="x")


def _below(tables: Tables, model: str, shown: Sequence[Importance]) -> str:
    """Return the legend of bars, whiskers and dots."""
    rows = caption_of(tables, model).partition(" over ")[2].partition(",")[0]
    seeds = _seeds(tables, model, shown)
    windows = f"; dots: {len(shown[0].windows)} windows" if shown[0].windows else ""
    return f"bars: mean over {rows}{seeds}{windows}"


def _seeds(tables: Tables, model: str, shown: Sequence[Importance]) -> str:
    if shown[0].low is None:
        return ", one fit a window"
    many = caption_of(tables, model).partition("lowest and highest of ")[2].partition(" ")[0]
    same = all(each.low == each.high for each in shown)
    return (
        f"; under {many} seeds of the fit they are the same"
        if same
        else f"; whiskers: lowest and highest of {many} seeds of the fit"
    )
