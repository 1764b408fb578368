"""contrasts.png: the effect of every contrast with its interval, and the margin within which it does not matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwds.report.pictures.style import FLOOR_COLOUR, GREY, INK, LIGHT, NAIVE_COLOUR, OWN, drawable, new_figure, tidy
from hwds.results.study import StudyResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {"better": OWN, "worse": NAIVE_COLOUR, "alike": FLOOR_COLOUR, "unsure": GREY}
CALLED = {"unsure": "cannot be told"}
MOST = 40
"""The most contrasts of a picture."""


def contrasts_figure(study: StudyResult) -> Figure | None:
    """Draw the contrasts; None where effects are both shares and amounts."""
    if study.contrasts["relative"].n_unique() != 1:
        return None
    rows = study.contrasts.head(MOST).to_dicts()
    relative = bool(rows[0]["relative"])
    size, margin = (100.0 if relative else 1.0), study.plan["margin"]
    figure = new_figure(10, 1.6 + 0.34 * len(rows))
    axes = figure.subplots()
    axes.axvspan(-size * margin, size * margin, color=LIGHT, alpha=0.5, zorder=0, linewidth=0)
    axes.axvline(0, color=GREY, linewidth=1)
    for place, row in enumerate(rows):
        colour = COLOURS[row["verdict"]]
        if row["low"] is not None:
            axes.plot(
                [size * row["low"], size * row["high"]], [place, place], color=colour, linewidth=2.2, solid_capstyle="butt"
            )
        axes.plot([size * row["effect"]], [place], "o", color=colour, markersize=6)
        verdict = CALLED.get(row["verdict"], row["verdict"])
        axes.text(1.01, place, verdict, transform=axes.get_yaxis_transform(), va="center", fontsize=9, color=colour)
    axes.set_yticks(range(len(rows)), [drawable(row["contrast"], 60) for row in rows], parse_math=False)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    unit = "%" if relative else study.unit
    axes.set_xlabel(drawable(f"better by, {unit}; 95 % intervals; the band is the margin", 120), fontsize=9, color=INK)
    tidy(axes, "x")
    model = study.plan["model"]
    figure.suptitle(
        drawable(f"{model} by {study.plan['metric']}", 110), x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK,
        parse_math=False,
    )  # fmt: skip
    return figure
