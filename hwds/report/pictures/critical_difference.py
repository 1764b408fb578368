"""critical_difference.png: mean ranks on a line, models that cannot be told apart joined by a bar."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor
from typing import TYPE_CHECKING

from hwds.report.pictures.style import GREY, INK, LIGHT, OWN, drawable, new_figure
from hwds.results.comparison import Comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 24
"""The most models of a diagram, the best ones."""


def critical_difference_figure(comparison: Comparison) -> Figure | None:
    """Draw the diagram of Demsar (2006); None where there are no ranks."""
    test = comparison.ranks
    if test is None:
        return None
    ranked = sorted(test.ranks.items(), key=lambda item: item[1])[:MOST]
    bars = cliques([rank for _, rank in ranked], test.critical_difference)
    rows = max((len(ranked) + 1) // 2, 1)
    figure = new_figure(10, 1.9 + 0.3 * rows + 0.14 * len(bars))
    axes = figure.subplots()
    low, high = _ends([rank for _, rank in ranked])
    _axis(axes, low, high, test.critical_difference)
    depth = 0.55 + 0.28 * len(bars)
    for place, (begin, end) in enumerate(bars):
        y = -0.35 - 0.28 * place
        reach = 0.005 * (high - low)
        span = [ranked[begin][1] - reach, ranked[end][1] + reach]
        axes.plot(span, [y, y], color=INK, linewidth=4, solid_capstyle="butt")
    half = (len(ranked) + 1) // 2
    for place, (model, rank) in enumerate(ranked):
        left = place < half
        y = -depth - 0.42 * (place if left else len(ranked) - 1 - place)
        _model(axes, model, rank, y, (low, high), left=left, own=model == comparison.subject)
    axes.set_ylim(-depth - 0.42 * rows, 1.25)
    axes.axis("off")
    shown = f", the best {MOST} of {len(test.ranks)}" if len(test.ranks) > MOST else ""
    text = f"Mean rank over {test.blocks:,} {test.called}{shown}; bars join models that cannot be told apart at 5 % (Nemenyi)"
    figure.suptitle(drawable(text, 120), x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK, parse_math=False)
    return figure


def cliques(ranks: Sequence[float], difference: float) -> list[tuple[int, int]]:
    """Return the longest runs of models, in the order of ranks, whose ends differ by at most the critical difference."""
    runs: list[tuple[int, int]] = []
    for begin, rank in enumerate(ranks):
        end = max(place for place in range(len(ranks)) if ranks[place] - rank <= difference)
        if end > begin and (not runs or end > runs[-1][1]):
            runs.append((begin, end))
    return runs


def _ends(ranks: Sequence[float]) -> tuple[float, float]:
    """Return the ends of the axis: whole ranks around those shown."""
    return max(floor(min(ranks)), 1), max(ceil(max(ranks)), floor(min(ranks)) + 1)


def _axis(axes: Axes, low: float, high: float, difference: float) -> None:
    axes.plot([low, high], [0, 0], color=INK, linewidth=1.2)
    for tick in range(int(low), int(high) + 1):
        axes.plot([tick, tick], [0, 0.12], color=INK, linewidth=1.2)
        axes.text(tick, 0.2, str(tick), ha="center", va="bottom", fontsize=9.5, color=INK)
    axes.plot([low, low + difference], [0.75, 0.75], color=GREY, linewidth=2)
    for end in (low, low + difference):
        axes.plot([end, end], [0.68, 0.82], color=GREY, linewidth=2)
    axes.text(low + difference, 0.75, f"  critical difference {difference:.2f}", va="center", fontsize=9.5, color=GREY)
    width = high - low
    axes.set_xlim(low - 0.45 * width, high + 0.45 * width)


def _model(axes: Axes, model: str, rank: float, y: float, ends: tuple[float, float], *, left: bool, own: bool) -> None:
    low, high = ends
    edge = low - 0.04 * (high - low) if left else high + 0.04 * (high - low)
    colour = OWN if own else GREY
    axes.plot([rank, rank, edge], [0, y, y], color=colour if own else LIGHT, linewidth=1.6 if own else 1.2, zorder=1)
    axes.plot([rank], [0], "o", color=colour, markersize=5, zorder=3)
    text = f"{drawable(model, 34)}  {rank:.2f}" if left else f"{rank:.2f}  {drawable(model, 34)}"
    weight = "bold" if own else "normal"
    axes.text(
        edge, y, f"{text} " if left else f" {text}", ha="right" if left else "left", va="center", fontsize=9.5,
        color=colour if own else INK, fontweight=weight, parse_math=False,
    )  # fmt: skip
