"""front.png, and the trials of a Pareto front as a table and in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from hwds.report.grid import Grid, grid_of
from hwds.report.pictures.style import GREY, INK, LIGHT, OWN, drawable, new_figure, plain_numbers, tidy
from hwds.report.sweep.result import OWN as COLUMNS
from hwds.report.sweep.result import varied
from hwds.results.formatting import brief, column
from hwds.results.measure import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE = 8.0
"""The ratio of the largest to the smallest positive value from which an axis is logarithmic."""


def front_sentence(front: Mapping[str, Any]) -> str:
    """Return which trials are in the front; empty where there is none."""
    if not front:
        return ""
    inside = _sorted(front)
    if not inside:
        return f"No Pareto front: no finished trial has a value of all of {_names(front)}."
    *most, last = [str(each["trial"]) for each in inside]
    numbers = f"{', '.join(most)} and {last}" if most else last
    which = f"{'trial' if len(inside) == 1 else 'trials'} {numbers} ({len(inside)} of {len(front['trials'])})"
    return f"Pareto front of {_names(front)}, which no other trial beats in all of them: {which}."


def front_grid(front: Mapping[str, Any], trials: pl.DataFrame) -> Grid:
    """Return the trials of the front with their objectives and settings, the best by the first objective on top."""
    inside, settings = _sorted(front), [name for name in varied(trials) if name not in COLUMNS]
    rows = {row["trial"]: row for row in trials.to_dicts()}
    values = [column([each["values"][place] for each in inside]) for place in range(len(front["objectives"]))]
    table = [
        [str(each["trial"]), *(texts[at] for texts in values), *(_text(rows[each["trial"]][name]) for name in settings)]
        for at, each in enumerate(inside)
    ]
    titles = [("trial", "#"), *((each["name"], each["name"]) for each in front["objectives"])]
    titles += [(name, name.rpartition(".")[2].replace("_", "\n")) for name in settings]
    return grid_of(titles, table)


def front_page(front: Mapping[str, Any], trials: pl.DataFrame, *, drawn: bool) -> str:
    """Return the section of the Markdown page, with the picture where that was drawn; empty where there is no front."""
    if not front:
        return ""
    picture = "![front](front.png)\n\n" if drawn else ""
    table = f"{front_grid(front, trials).markdown()}\n" if front["trials"] else ""
    return f"## The Pareto front\n\n{front_sentence(front)}\n\n{picture}{table}"


def front_figure(front: Mapping[str, Any], best: int) -> Figure | None:
    """Draw the first objective against each other one; None where fewer than two trials have all of them."""
    if len(front.get("trials", ())) < 2:
        return None
    others = len(front["objectives"]) - 1
    figure = new_figure(max(6.5, 5.0 * others), 4.6)
    for place in range(1, others + 1):
        _panel(figure.add_subplot(1, others, place), front, place, best)
    title = f"{front['objectives'][0]['name']} against {', '.join(each['name'] for each in front['objectives'][1:])}"
    figure.suptitle(drawable(title, 80), x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    return figure


def _panel(axes: Axes, front: Mapping[str, Any], place: int, best: int) -> None:
    trials = front["trials"]
    across, up = (np.array([each["values"][at] for each in trials]) for at in (place, 0))
    inside = np.array([each["front"] for each in trials])
    axes.scatter(
        across[~inside], up[~inside], s=22, color=LIGHT, edgecolors=GREY, linewidths=0.6, label="beaten by another trial"
    )
    order = np.argsort(across[inside], kind="stable")
    steps = "steps-post" if front["objectives"][place]["better"] == "low" else "steps-pre"
    line: dict[str, Any] = {"drawstyle": steps, "linewidth": 1.2} if len(front["objectives"]) == 2 else {"linewidth": 0}
    axes.plot(across[inside][order], up[inside][order], marker="o", markersize=5, color=OWN, label="Pareto front", **line)
    for each, x, y in zip(trials, across, up, strict=True):
        if each["front"] or each["trial"] in (0, best):
            words = f"{each['trial']}{', as it stood' if each['trial'] == 0 else ''}{', best' if each['trial'] == best else ''}"
            side = "right" if x == across.max() and len(words) > 3 else "left"
            place_of = (-5 if side == "right" else 5, 5)
            axes.annotate(words, (x, y), place_of, textcoords="offset points", fontsize=8.5, color=INK, ha=side)
    if across.min() > 0 and across.max() > WIDE * across.min():
        axes.set_xscale("log")
    tidy(axes)
    axes.margins(0.12)
    axes.set_xlabel(drawable(front["objectives"][place]["name"]), fontsize=9.5, color=INK, parse_math=False)
    axes.set_ylabel(drawable(front["objectives"][0]["name"]), fontsize=9.5, color=INK, parse_math=False)
    plain_numbers(axes.xaxis)
    axes.legend(frameon=False, fontsize=8)


def _names(front: Mapping[str, Any]) -> str:
    return " and ".join(short(each["name"].partition(",")[0]) for each in front["objectives"])


def _sorted(front: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the trials of the front, the best by the first objective first."""
    sign = -1.0 if front["objectives"][0]["better"] == "high" else 1.0
    return sorted(
        (each for each in front["trials"] if each["front"]), key=lambda each: (sign * each["values"][0], each["trial"])
    )


def _text(value: object) -> str:
    return "" if value is None else brief(value) if isinstance(value, float) else str(value)
