"""precision_recall.png: how precise each model is at every recall, beside chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from hwds.detection.metrics.ranks import Ranking
from hwds.detection.report.scored_rows import (
    SIDES,
    averaged,
    known_rows,
    number,
    numbers,
    scored_rows,
    sides,
    weights,
    with_positives,
)
from hwds.report.pictures.style import GREY, INK, drawable, model_colours, new_figure, tidy
from hwds.results.tables import Tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RECALLS = np.linspace(0.0, 1.0, 401)[1:]


def precision_recall_figure(tables: Tables, model: str, label: str = "label 1") -> Figure | None:
    """Draw the curves of all models, positive rows being `label`; None where no window has rows of both labels."""
    rows = scored_rows(tables)
    shown = list(sides(rows)) if rows.width else []
    if not shown:
        return None
    figure = new_figure(0.6 + 6.4 * len(shown), 5.6)
    panels = figure.subplots(1, len(shown), squeeze=False, sharey=True)[0]
    for axes, side in zip(panels, shown, strict=True):
        _draw(axes, tables, rows, side, model, label)
        if len(shown) > 1:
            axes.set_title(SIDES[side][1], fontsize=10, loc="left", color=INK)
    panels[0].set_ylabel(drawable(f"precision: share of flagged rows with {label}"), fontsize=9.5, color=INK)
    title = f"Precision against recall{averaged(rows, with_positives(rows, shown[0]))}"
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    return figure


def _draw(axes: Axes, tables: Tables, rows: pl.DataFrame, side: str, model: str, positive: str) -> None:
    column = SIDES[side][0]
    known = known_rows(rows, side)
    curves = {label: _curve(part, column, side) for (label,), part in known.partition_by("model", as_dict=True).items()}
    scores = {each.model: each.value for each in numbers(tables, f"{side}aucpr")}
    paints = model_colours([label for label in scores if label in curves], model)
    for label in sorted(paints, key=lambda each: -scores[each]):
        width, order = (2.4, 3) if label == model else (1.5, 2)
        name = f"{scores[label]:.3f}  {drawable(label, 34)}"
        axes.plot(
            RECALLS, curves[label], color=paints[label], linewidth=width, zorder=order, label=name, gid=drawable(label, 34)
        )
    prevalence = number(tables, f"{side}prevalence", next(iter(paints)))
    if prevalence is not None:
        chance = f"{prevalence.value:.3f}  chance: the share of {drawable(positive)}"
        axes.axhline(prevalence.value, color=GREY, linewidth=1.3, linestyle="--", zorder=1, label=chance)
    tidy(axes)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel(drawable(f"recall: share of {positive} that is flagged"), fontsize=9.5, color=INK)
    legend = axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.13), frameon=False, fontsize=9, title="average precision", alignment="left"
    )
    legend.get_title().set_fontsize(9)
    legend.get_title().set_color(GREY)
    for text in legend.get_texts():
        text.set_parse_math(False)
        text.set_color(INK)


def _curve(rows: pl.DataFrame, column: str, side: str) -> np.ndarray:
    """Return the precision at the first threshold that reaches each recall, the mean over windows that have label 1."""
    curves = []
    for window in rows.partition_by("cutoff", maintain_order=True):
        curve = Ranking.of(window[column].to_numpy(), window["score"].to_numpy()).curves(weights(window, side)[None])
        if curve.positive[0] > 0:
            reached = np.searchsorted(curve.hits[0] / curve.positive[0], RECALLS * (1 - 1e-9))
            curves.append(curve.precision[0, np.minimum(reached, curve.precision.shape[1] - 1)])
    return np.mean(curves, axis=0) if curves else np.full(len(RECALLS), np.nan)
