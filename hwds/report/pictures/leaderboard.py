"""leaderboard.png: each model's headline with its 95 % interval, the floor and the reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hwds.report.pictures.style import (
    FLOOR_COLOUR,
    GREY,
    INK,
    LIGHT,
    NAIVE_COLOUR,
    OWN,
    drawable,
    new_figure,
    plain_numbers,
    tidy,
)
from hwds.report.standings import Standing, Standings
from hwds.results.formatting import brief, with_errors

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOG_FROM = 20
"""The ratio of the worst to the best score from which the axis is logarithmic."""


LEAST_SPAN = 0.1
"""The least width of the axis, as a share of its largest value."""


def leaderboard_figure(board: Standings) -> Figure | None:
    """Draw the leaderboard; None where no model has a score."""
    scored = [line for line in board.lines if line.headline.value is not None]
    if not scored:
        return None
    figure = new_figure(9, 1.7 + 0.42 * len(board.lines))
    axes = figure.subplots()
    _scale(axes, board.all)
    headlines = [line.headline for line in board.lines]
    texts = with_errors([number.value for number in headlines], [number.stderr for number in headlines])
    for place, (line, text) in enumerate(zip(board.lines, texts, strict=True)):
        _draw_line(axes, board, line, place, text)
    _references(axes, board)
    _label(axes, board, scored)
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=9.5)
    figure.suptitle(drawable(board.title, 80), x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK, parse_math=False)
    return figure


def _draw_line(axes: Axes, board: Standings, line: Standing, place: int, text: str) -> None:
    colour = OWN if line is board.own else NAIVE_COLOUR if board.is_reference(line) else GREY
    score = line.headline
    if score.value is None:
        text = f"no score ({line.n_failed:,} failed)" if line.n_failed else "no score"
    else:
        if score.low is not None and score.high is not None:
            axes.plot([score.low, score.high], [place, place], color=colour, linewidth=2.4, solid_capstyle="round", alpha=0.55)
        axes.plot([score.value], [place], color=colour, marker="o", markersize=8, zorder=4)
    weight = "bold" if line is board.own else "normal"
    axes.text(
        1.02, place, text, transform=axes.get_yaxis_transform(), va="center", fontsize=9.5, color=colour, fontweight=weight
    )


def _references(axes: Axes, board: Standings) -> None:
    """Draw the floor, with its interval as a shade, and the reference, as lines through all models."""
    if board.reference is not None:
        label = f"{board.rival.removeprefix('the ')} {brief(board.reference, None, board.measure.measured_in)}"
        axes.axvline(board.reference, color=NAIVE_COLOUR, linewidth=1.4, linestyle=":", zorder=1, label=label)
    if board.truth is None or board.truth.headline.value is None:
        return
    floor, value = board.truth.headline, board.truth.headline.value
    label = f"{board.called(board.truth)} {brief(value, None, board.measure.measured_in)}"
    axes.axvline(value, color=FLOOR_COLOUR, linewidth=1.4, linestyle="--", zorder=1, label=label)
    if floor.low is not None and floor.high is not None:
        axes.axvspan(floor.low, floor.high, color=FLOOR_COLOUR, alpha=0.10, linewidth=0, zorder=0)


def _scale(axes: Axes, lines: Sequence[Standing]) -> None:
    values = [line.headline.value for line in lines if line.headline.value is not None]
    if min(values) > 0 and max(values) > LOG_FROM * min(values):
        axes.set_xscale("log")


def _widen(axes: Axes) -> None:
    """Let a linear axis span a tenth of its largest value at least, so that alike scores look alike."""
    low, high = axes.get_xlim()
    least = LEAST_SPAN * max(abs(low), abs(high))
    if axes.get_xscale() == "linear" and high - low < least:
        axes.set_xlim((low + high - least) / 2, (low + high + least) / 2)


def _label(axes: Axes, board: Standings, scored: Sequence[Standing]) -> None:
    tidy(axes, grid="x")
    names = [drawable(line.model, 44) for line in board.lines]
    axes.set_yticks(range(len(names)), names, parse_math=False)
    for tick, line in zip(axes.get_yticklabels(), board.lines, strict=True):
        tick.set_fontweight("bold" if line is board.own else "normal")
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0, labelsize=10)
    axes.spines["left"].set_color(LIGHT)
    axes.margins(x=0.08)
    _widen(axes)
    plain_numbers(axes.xaxis)
    log = ", log scale" if axes.get_xscale() == "log" else ""
    counts = sorted({line.n for line in scored})
    n = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    level = f"{100 * board.measure.confidence:g} %"
    bars = f"; bars: {level} interval" if any(line.headline.low is not None for line in scored) else ""
    good = "" if board.better == "none" else f"; {board.better}er is better"
    text = f"{board.called_in}, mean over {n} {board.units}{log}{good}{bars}"
    axes.set_xlabel(text, fontsize=9.5, color=INK, parse_math=False)
