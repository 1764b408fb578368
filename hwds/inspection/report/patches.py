"""patches.png: of each kind the image that is judged best, a typical one and the worst, and where they look suspicious."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from hwds.frames.images import IMAGE, Images
from hwds.inspection.metrics.scores import CHANCE
from hwds.inspection.protocols.rows.judged import SALIENCY, as_map, rightness
from hwds.inspection.report.judged import judged_images, kinds_of
from hwds.report.pictures.style import GREY, INK, drawable, new_figure
from hwds.results.tables import Tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = ("best judged", "typical", "worst judged")
MOST = 10
"""Kinds that are drawn."""

STRONGEST = 0.6
"""The opacity of the most suspicious cell."""


def patches_figure(images: Images, tables: Tables, model: str) -> Figure | None:
    """Draw three images of each kind, each beside its map; None where the model makes no maps."""
    rows = judged_images(tables, model)
    rows = rows.filter(pl.col(SALIENCY).is_not_null()) if SALIENCY in rows.columns else rows.clear()
    if rows.is_empty() or images is None:
        return None
    kinds = [kind for kind in kinds_of(rows) if (rows["actual"] == kind).any()][:MOST]
    figure = new_figure(10.5, 0.9 + 1.72 * len(kinds))
    grid = figure.subplots(len(kinds), 2 * len(COLUMNS), squeeze=False)
    for down, kind in enumerate(kinds):
        for across, row in enumerate(three_of(rows.filter(pl.col("actual") == kind), kinds_of(rows)[0])):
            _draw(grid[down, 2 * across], grid[down, 2 * across + 1], images, row)
        grid[down, 0].set_ylabel(drawable(kind, 16), fontsize=10, color=INK, parse_math=False)
    for across, title in enumerate(COLUMNS):
        first = grid[0, 2 * across]
        first.set_title(f"{title}\n{first.get_title(loc='left')}", fontsize=8.5, color=INK, loc="left", parse_math=False)
    title = f"{drawable(model, 40)}: images, and where a defect is seen in them"
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK, parse_math=False)
    return figure


def three_of(rows: pl.DataFrame, good: str) -> list[dict[str, Any]]:
    """Return the best judged image of a kind, the median and the worst."""
    order = np.argsort(-rightness(rows, good), kind="stable")
    return [rows.row(int(order[place]), named=True) for place in (0, len(order) // 2, len(order) - 1)]


def _draw(plain: Axes, mapped: Axes, images: Images, row: dict[str, Any]) -> None:
    place = images.names.index_of(row[IMAGE])
    assert place is not None
    pixels = images.store[images.places[place]]
    flat = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    cells = as_map(row[SALIENCY])
    height, width = flat.shape[:2]
    for axes in (plain, mapped):
        axes.imshow(flat, extent=(0, width, height, 0), interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_color(GREY)
    heat = np.zeros((*cells.shape, 4))
    heat[..., 0], heat[..., 1], heat[..., 3] = 0.85, 0.2, STRONGEST * cells
    mapped.imshow(heat, extent=(0, width, height, 0), interpolation="bilinear")
    plain.set_title(_said(row), fontsize=8.5, color=INK, loc="left", parse_math=False)


def _said(row: dict[str, Any]) -> str:
    """Return the prediction of an image in words: the likeliest kind and its probability, or its distance and the threshold."""
    named = row["predicted"]
    if named is None:
        return f"{row['score']:.3g} (limit {row['threshold']:.3g})"
    return f"{drawable(named, 14)} {100 * row[f'{CHANCE}{named}']:.0f} %"
