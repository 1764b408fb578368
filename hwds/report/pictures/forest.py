"""A forest of effects: each with its interval on one axis, no difference as a line, and the margin as a band."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hwds.report.pictures.style import FLOOR_COLOUR, GREY, INK, LIGHT, NAIVE_COLOUR, OWN, drawable, new_figure, tidy
from hwds.results.comparison import Comparison
from hwds.results.formatting import UNBOUNDED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {"better": OWN, "worse": NAIVE_COLOUR, "alike": FLOOR_COLOUR, "unsure": GREY}
CALLED = {"unsure": "cannot be told"}
MOST = 40
"""The most effects of a picture."""

LINE, MOST_LETTERS = 48, 140
"""The most letters of a line of a label, and of a label."""

LEAST = 0.01
"""The least that the axis reaches to each side of no difference, as a share: equal models are not torn apart."""


@dataclass(frozen=True)
class Effect:
    """One effect.

    Attributes:
        label: The name of the rival or the contrast.
        effect: The effect, above 0 where the subject is better.
        low: The lower end of its interval; None where there is none.
        high: The upper end.
        verdict: `better`, `worse`, `alike`, `unsure`, or two of them.
    """

    label: str
    effect: float
    low: float | None
    high: float | None
    verdict: str


def forest(effects: Sequence[Effect], title: str, *, relative: bool, unit: str, margin: float, level: float = 0.95) -> Figure:
    """Draw effects below each other.

    Args:
        effects: From top to bottom; an interval that reaches below -1000 % ends there in an arrow.
        title: Above the picture.
        relative: Whether effects are shares, drawn in percent.
        unit: The unit of effects that are none.
        margin: Half the width of the band within which an effect does not matter; 0 for no band.
        level: The confidence level of the intervals.
    """
    size = 100.0 if relative else 1.0
    labels = ["\n".join(_lines(drawable(row.label, MOST_LETTERS))) for row in effects]
    figure = new_figure(10, 1.6 + 0.34 * len(effects) + 0.16 * sum(label.count("\n") for label in labels))
    axes = figure.subplots()
    axes.axvspan(-size * margin, size * margin, color=LIGHT, alpha=0.5, zorder=0, linewidth=0)
    axes.axvline(0, color=GREY, linewidth=1)
    for place, row in enumerate(effects):
        colour = COLOURS[row.verdict.partition(",")[0]]
        if row.low is not None and row.high is not None:
            low = max(row.low, -UNBOUNDED) if relative and row.effect > -UNBOUNDED else row.low
            axes.plot([size * low, size * row.high], [place, place], color=colour, linewidth=2.2, solid_capstyle="butt")
            if low > row.low:
                axes.plot([size * low], [place], "<", color=colour, markersize=7)
        axes.plot([size * row.effect], [place], "o", color=colour, markersize=6)
        verdict = CALLED.get(row.verdict, row.verdict)
        axes.text(1.01, place, verdict, transform=axes.get_yaxis_transform(), va="center", fontsize=9, color=colour)
    axes.set_yticks(range(len(effects)), labels, parse_math=False, fontsize=9)
    axes.set_ylim(len(effects) - 0.4, -0.6)
    if relative:
        left, right = axes.get_xlim()
        axes.set_xlim(min(left, -size * LEAST), max(right, size * LEAST))
    band = "; the band is the margin" if margin else ""
    axes.set_xlabel(
        drawable(f"better by, {'%' if relative else unit}; {100 * level:g} % intervals{band}", 120), fontsize=9, color=INK
    )
    tidy(axes, "x")
    figure.suptitle(drawable(title, 110), x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK, parse_math=False)
    return figure


def _lines(label: str) -> list[str]:
    """Return a label in lines of at most `LINE` letters, broken behind commas."""
    lines = [""]
    for piece in re.split(r"(?<=,)", label):
        lines = [*lines[:-1], lines[-1] + piece] if len(lines[-1] + piece) <= LINE else [*lines, piece]
    return [line for line in lines if line]


def _distinct(labels: Sequence[str]) -> list[str]:
    """Return labels such as `forecast/xgboost(trees=20,depth=6)` without the settings that all of the same model share."""
    parts = [label.removesuffix(")").partition("(") for label in labels]
    settings = [tuple(rest.split(",")) if rest else () for _, _, rest in parts]
    shown = []
    for (model, _, _), own in zip(parts, settings, strict=True):
        alike = [set(other) for (name, _, _), other in zip(parts, settings, strict=True) if name == model]
        differing = [each for each in own if not all(each in other for other in alike)]
        shown.append(f"{model}({','.join(differing)})" if differing else model)
    return shown if len(set(shown)) == len(set(labels)) else list(labels)


def comparison_figure(result: Comparison) -> Figure | None:
    """Draw the effects of a comparison's subject against each rival; None where no effect is known."""
    rows = [row for row in result.pairs.head(MOST).to_dicts() if row["effect"] is not None]
    effects = [Effect(row["rival"], *(row[name] for name in ("effect", "low", "high", "verdict"))) for row in rows]
    labels = [result.subject, *(each.label for each in effects)]
    called = dict(zip(labels, _distinct(labels), strict=True))
    title = f"{drawable(called[result.subject], 60)} against each rival by {result.measure.name}"
    effects = [replace(each, label=called[each.label]) for each in effects]
    unit, margin = result.measure.measured_in, result.margin or 0.0
    if not effects:
        return None
    return forest(effects, title, relative=result.relative, unit=unit, margin=margin, level=result.level)
