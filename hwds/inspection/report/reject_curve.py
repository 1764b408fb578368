"""reject_curve.png: how many kinds are wrong where the least certain images go to a person; and recall by false alarms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from hwds.inspection.metrics.scores import chances
from hwds.inspection.metrics.weighted import risk_coverage
from hwds.inspection.report.judged import judged_images, kinds_of, names_kinds
from hwds.report.pictures.style import FLOOR_COLOUR, INK, drawable, model_colours, new_figure, tidy
from hwds.results.tables import TRUTH, Tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FARTHEST = 0.3
"""The share of good images flagged up to which recall is drawn."""


def reject_figure(tables: Tables, model: str) -> Figure | None:
    """Draw both curves of all models; None where nothing was judged."""
    labels = tables.predictions["model"].unique(maintain_order=True).to_list() if "actual" in tables.predictions.columns else []
    if model not in labels:
        return None
    colours = model_colours([label for label in labels if label != TRUTH], model) | {TRUTH: FLOOR_COLOUR}
    figure = new_figure(11, 4.6)
    left, right = figure.subplots(1, 2)
    for label in labels:
        rows = judged_images(tables, label)
        style = {"color": colours[label], "linewidth": 2.0 if label == model else 1.3, "label": drawable(label, 34)}
        style |= {"linestyle": "--"} if label == TRUTH else {}
        if names_kinds(rows):
            _kept(left, rows, style)
        _found(right, rows, style)
    _finish(left, "share that is not sent to a person", "share of wrong kinds among them")
    _finish(right, "share of good images that are flagged", "share of defects that are flagged")
    right.set_xlim(0, FARTHEST)
    title = "What certainty is worth, and what flagging finds"
    figure.suptitle(title, x=0.01, ha="left", fontsize=12.5, fontweight="bold", color=INK)
    return figure


def _kept(axes: Axes, rows: pl.DataFrame, style: dict[str, object]) -> None:
    chance = chances(rows)
    assert chance is not None
    wrong = (rows["predicted"] != rows["actual"]).to_numpy().astype(float)
    kept, risk = risk_coverage(chance.max(axis=1), wrong)
    shown = kept >= 0.02
    axes.plot(kept[shown], risk[shown], **style)  # type: ignore[arg-type]


def _found(axes: Axes, rows: pl.DataFrame, style: dict[str, object]) -> None:
    defect = (rows["actual"] != kinds_of(rows)[0]).to_numpy()
    score = rows["score"].to_numpy()
    order = np.argsort(-score, kind="stable")
    last = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
    hits, alarms = (np.cumsum(each[order])[last] / max(each.sum(), 1) for each in (defect, ~defect))
    axes.plot(np.append(0.0, alarms), np.append(0.0, hits), **style)  # type: ignore[arg-type]


def _finish(axes: Axes, across: str, up: str) -> None:
    tidy(axes)
    axes.set_xlabel(across, fontsize=10, color=INK)
    axes.set_ylabel(up, fontsize=10, color=INK)
    axes.legend(frameon=False, fontsize=8.5)
