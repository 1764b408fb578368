"""cases.png: the rows with the highest scores, and what each of their inputs adds."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from hwds.detection.protocols.rows.codes import entities
from hwds.detection.reasons.sentences import in_words
from hwds.detection.report.scored_rows import scored_rows
from hwds.report.pictures.style import GREY, INK, NAIVE_COLOUR, OWN, drawable, new_figure
from hwds.results.formatting import brief
from hwds.results.tables import Tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 6
BARS = 5
WIDE = 84
"""Letters of a reason."""

BECAME = {1.0: "found to be label 1", 0.0: "found to be label 0", None: "not looked into yet"}


def cases_figure(tables: Tables, model: str, unit: str) -> Figure | None:
    """Draw the highest scores of the experiment's own model in its last window; None where it gave no reasons."""
    rows = scored_rows(tables)
    rows = rows.filter((pl.col("model") == model) & (pl.col("reasons").list.len() > 0)) if rows.width else rows
    if rows.is_empty():
        return None
    last = rows.filter(pl.col("fold") == rows["fold"].max())
    ordered = last.sort("score", descending=True, maintain_order=True)
    shown = ordered.filter(entities(ordered).is_first_distinct()).head(MOST).to_dicts()
    down = (len(shown) + 1) // 2
    figure = new_figure(12.5, 0.6 + 3.1 * down)
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.1)
    panels = figure.subplots(down, 2, squeeze=False).ravel()
    longest = _longest(shown)
    for axes, row in zip(panels, shown, strict=False):
        _draw(axes, row, unit, longest)
    for axes in panels[len(shown) :]:
        axes.set_axis_off()
    when = drawable(str(shown[0]["cutoff"]), 30)
    title = f"{drawable(model, 40)}: the highest scores of the window from {when}, and what each input adds"
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK, parse_math=False)
    return figure


def _draw(axes: Axes, row: Mapping[str, Any], unit: str, longest: float) -> None:
    """Draw a bar for each reason under its words, and above them the entity and its label."""
    reasons = row["reasons"][:BARS]
    for place, reason in enumerate(reasons):
        axes.barh(place, reason["adds"], height=0.3, color=OWN, zorder=2)
        words = "\n".join(textwrap.wrap(drawable(in_words([reason], 1)[0], 2 * WIDE), WIDE))
        axes.text(0, place - 0.22, words, fontsize=9, color=INK, va="bottom", parse_math=False, linespacing=1.0)
        axes.text(reason["adds"], place, f"  +{brief(reason['adds'])}", fontsize=8.5, color=GREY, va="center")
    axes.set_ylim(max(len(reasons), 3) - 0.5, -0.75)
    axes.set_xlim(0, 1.18 * longest)
    axes.set_axis_off()
    what, became = _headed(row, unit)
    axes.set_title(
        "\n".join(textwrap.wrap(what, 70)), fontsize=10, fontweight="bold", loc="left", color=INK, parse_math=False, pad=18
    )
    colour = NAIVE_COLOUR if row["label"] == 1 else GREY
    axes.text(0, 1.0, became, transform=axes.transAxes, fontsize=8.5, color=colour, va="bottom", parse_math=False)


def _headed(row: Mapping[str, Any], unit: str) -> tuple[str, str]:
    """Return the heading of a row (entity, time, amount), and its score with its label."""
    who = " ".join(str(each) for each in (row["id"], row["entity"]) if each is not None) or f"row {row['row_id'] + 1}"
    when = "" if row["time"] is None else f", {row['time']:%d %b %Y}"
    amount = "" if row["amount"] is None else f", {brief(row['amount'], None, unit)} at stake"
    sure = f"score {brief(row['score'])}" if row["probability"] is None else f"probability {row['probability']:.3f}"
    return f"{drawable(str(who), 30)}{when}{amount}", f"{sure}; {BECAME[row['label']]}"


def _longest(rows: Sequence[Mapping[str, Any]]) -> float:
    """Return the longest bar, so that all panels have one scale."""
    return max((reason["adds"] for row in rows for reason in row["reasons"]), default=1.0) or 1.0
