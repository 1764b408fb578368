"""confusion.png: which kind is taken for which."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from hwds.inspection.report.judged import judged_images, kinds_of, names_kinds
from hwds.report.pictures.style import GREY, INK, OWN, drawable, new_figure
from hwds.results.tables import Tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def confusion(rows: pl.DataFrame) -> np.ndarray:
    """Return how many images of each kind are taken for each, shape (kinds, kinds)."""
    kinds = kinds_of(rows)
    places = {kind: place for place, kind in enumerate(kinds)}
    actual, named = (rows[name].replace_strict(places, return_dtype=pl.Int64).to_numpy() for name in ("actual", "predicted"))
    counts = np.zeros((len(kinds), len(kinds)), int)
    np.add.at(counts, (actual, named), 1)
    return counts


def confusion_figure(tables: Tables, model: str) -> Figure | None:
    """Draw the share of each kind that is taken for each; None of a model that names no kinds."""
    from matplotlib.colors import LinearSegmentedColormap

    rows = judged_images(tables, model)
    if not names_kinds(rows):
        return None
    kinds, counts = kinds_of(rows), confusion(rows)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 1.6 + 0.62 * len(kinds)
    figure = new_figure(side + 1.6, side)
    axes = figure.subplots()
    axes.pcolormesh(share[::-1], cmap=LinearSegmentedColormap.from_list("share", ["#ffffff", OWN]), vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "#ffffff" if share[row, column] > 0.5 else INK
            at = (column + 0.5, len(kinds) - row - 0.5)
            axes.text(*at, f"{count:,}", ha="center", va="center", fontsize=9, color=colour)
    names = [drawable(kind, 14) for kind in kinds]
    axes.set_xticks(np.arange(len(kinds)) + 0.5, names, rotation=35, ha="right", fontsize=9, color=INK, parse_math=False)
    axes.set_yticks(np.arange(len(kinds)) + 0.5, names[::-1], fontsize=9, color=INK, parse_math=False)
    axes.set_xlabel("taken for", fontsize=10, color=INK)
    axes.set_ylabel("shows", fontsize=10, color=INK)
    axes.tick_params(length=0, colors=GREY, labelcolor=INK)
    for spine in axes.spines.values():
        spine.set_visible(False)
    title = f"{drawable(model, 40)}: kinds of {len(rows):,} images"
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK, parse_math=False)
    return figure
