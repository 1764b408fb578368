"""alert_costs.png: what each policy costs a day, by the labels and by the truth, with its parts and its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hwds.detection.decisions.alerts.verdict import Against, AlertVerdict, PolicyRecord
from hwds.report.pictures.style import GREY, INK, LIGHT, NAIVE_COLOUR, OWN, drawable, new_figure, tidy
from hwds.results.formatting import brief

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PARTS = (
    ("missed", "loss that is missed", OWN),
    ("wrong_blocks", "honest rows blocked", NAIVE_COLOUR),
    ("reviews", "reviews", LIGHT),
)
TITLES: dict[Against, str] = {
    "labels": "by the labels, each for as many rows as it stands for",
    "truth": "by the simulator's truth, all rows",
}


def costs_figure(verdict: AlertVerdict) -> Figure | None:
    """Draw the cost of each policy; None where nothing was back-tested."""
    by_side: dict[Against, list[PolicyRecord]] = {}
    for line in verdict.record:
        by_side.setdefault(line.against, []).append(line)
    if not by_side:
        return None
    figure = new_figure(10.5, 1.3 + 2.4 * len(by_side))
    panels = figure.subplots(len(by_side), 1, squeeze=False)[:, 0]
    for axes, (against, lines) in zip(panels, by_side.items(), strict=True):
        _draw(axes, lines, verdict)
        axes.set_title(TITLES[against], fontsize=10, loc="left", color=INK)
    panels[-1].set_xlabel(
        drawable(f"{verdict.unit or 'cost'} a day; line: 95 %, days and entities drawn again"),
        fontsize=9,
        color=GREY,
        parse_math=False,
    )
    panels[0].legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=len(PARTS), frameon=False, fontsize=8.5)
    why = "" if verdict.rule == "none" else f" ({verdict.rule})"
    title = f"{verdict.action}{why}: what each policy costs over {verdict.days} days"
    figure.suptitle(drawable(title, 100), x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK, parse_math=False)
    return figure


def _draw(axes: Axes, lines: Sequence[PolicyRecord], verdict: AlertVerdict) -> None:
    from matplotlib.ticker import EngFormatter, MaxNLocator

    places = list(range(len(lines)))[::-1]
    begin, longest = [0.0] * len(lines), 0.0
    for part, label, colour in PARTS:
        sizes = [float(getattr(line, part)) for line in lines]
        axes.barh(places, sizes, left=begin, color=colour, height=0.62, label=label)
        begin = [at + size for at, size in zip(begin, sizes, strict=True)]
    for place, line in zip(places, lines, strict=True):
        low, high = line.cost.low, line.cost.high
        end = line.cost.value
        if low is not None and high is not None:
            axes.hlines(place, low, high, color=INK, linewidth=1.4)
            end = max(end, high)
        longest = max(longest, end)
        axes.annotate(
            brief(line.cost.value), (end, place), (6, 0), textcoords="offset points", va="center", fontsize=8.5, color=INK
        )
    axes.set_yticks(places, [drawable(named(line.policy, verdict)) for line in lines], fontsize=9, parse_math=False)
    axes.get_yticklabels()[0].set_fontweight("bold")
    axes.set_xlim(0, 1.1 * longest or 1.0)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    tidy(axes, "x")


def named(policy: str, verdict: AlertVerdict) -> str:
    """Return the name of a policy: `today's rule`, `z > 3`."""
    names = {
        "today": "today's rule",
        "z": f"z > {verdict.z:g}",
        "random": "random reviews",
        "nothing": "nothing",
    }
    return names.get(policy, policy)
