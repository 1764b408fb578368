"""Judged images: the rows that a protocol writes, as pictures, tables and sentences read them."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series

from hwds.frames.images import BOARD, IMAGE, Images
from hwds.inspection.metrics import CHANCE, chance_columns, chance_of_actual
from hwds.inspection.models.base import GRID, Inspector
from hwds.results.tables import Tables

# The rows of judged images, with what they show, and maps of where some of them look
# suspicious.

SALIENCY = "saliency"
"""The column of maps: a hexadecimal digit a cell, row by row."""


def judged_rows(inspector: Inspector, images: Images) -> DataFrame:
    """Return a row for each image: its prediction, and its label.

    Args:
        inspector: The inspector.
        images: The images to judge.
    """
    judged = inspector.judge(images)
    kinds = images.kinds
    n, chance = images.n, judged.probability
    named = [None] * n if chance is None else [kinds[place] for place in chance.argmax(axis=1)]
    columns = np.full((n, len(kinds)), np.nan) if chance is None else chance
    return DataFrame(
        {
            IMAGE: images.names,
            BOARD: images.boards,
            "actual": images.data["kind"],
            "predicted": Series(named, dtype=pl.String),
            "score": judged.score,
            "threshold": np.full(n, inspector.threshold),
            **{
                f"{CHANCE}{kind}": Series(columns[:, place], nan_to_null=True)
                for place, kind in enumerate(kinds)
            },
        }
    )


def with_saliency(
    rows: DataFrame, inspector: Inspector, images: Images, explained: int
) -> DataFrame:
    """Return the rows with maps of some images: of each kind the best judged, the worst, and others
    evenly between.

    Args:
        rows: The rows that `judged_rows` returned.
        inspector: The inspector.
        images: The same images.
        explained: Images of each kind.
    """
    chosen = chosen_images(rows, explained, images.good)
    maps = inspector.saliency(images.take(chosen)) if chosen.any() else None
    texts = np.full(images.n, None, object)
    if maps is not None:
        texts[chosen] = [map_as_text(each) for each in maps]
    return rows.with_columns(Series(SALIENCY, texts.tolist(), dtype=pl.String))


def chosen_images(rows: DataFrame, explained: int, good: str) -> ndarray:
    """Return which images are explained: of each kind some, evenly from the best judged to the
    worst; shape (n,).
    """
    chosen, order = np.zeros(len(rows), bool), rightness(rows, good)
    for kind in rows["actual"].unique(maintain_order=True) if explained else ():
        mine = np.flatnonzero((rows["actual"] == kind).to_numpy())
        ranked = mine[np.argsort(-order[mine], kind="stable")]
        chosen[ranked[np.linspace(0, len(ranked) - 1, explained).round().astype(int)]] = True
    return chosen


def rightness(rows: DataFrame, good: str) -> ndarray:
    """Return how well each image is judged: the probability of what it shows, or its distance on
    the right side; shape (n,).
    """
    own = chance_of_actual(rows)
    score = rows["score"].to_numpy()
    sided = np.where((rows["actual"] == good).to_numpy(), -score, score)
    return np.where(np.isnan(own), sided, own)


def map_as_text(cells: ndarray) -> str:
    """Return a map of shape (GRID, GRID), 0 to 1, as one hexadecimal digit a cell."""
    return "".join(
        f"{level:x}" for level in np.round(15 * np.clip(cells, 0, 1)).astype(int).ravel()
    )


def map_from_text(text: str) -> ndarray:
    """Return the map that `map_as_text` wrote, shape (GRID, GRID)."""
    return np.array([int(digit, 16) for digit in text], float).reshape(GRID, GRID) / 15


# The judged images of a run, as pictures, tables and sentences read them.


def judged_images(tables: Tables, model: str) -> DataFrame:
    """Return the judged images of a model; empty where there are none."""
    rows = tables.predictions
    return rows.filter(model=model) if "actual" in rows.columns else DataFrame()


def kinds_of(rows: DataFrame) -> list[str]:
    """Return the kinds of judged images, the good one first."""
    return [name.removeprefix(CHANCE) for name in chance_columns(rows)]


def names_kinds(rows: DataFrame) -> bool:
    """Return whether the model names kinds."""
    return not rows.is_empty() and rows["predicted"].null_count() < len(rows)
