"""The judged images of a run, as pictures, tables and sentences read them."""

from __future__ import annotations

import polars as pl

from hwds.inspection.metrics.scores import CHANCE
from hwds.results.tables import Tables


def judged_images(tables: Tables, model: str) -> pl.DataFrame:
    """Return the judged images of a model; empty where there are none."""
    rows = tables.predictions
    return rows.filter(pl.col("model") == model) if "actual" in rows.columns else pl.DataFrame()


def kinds_of(rows: pl.DataFrame) -> list[str]:
    """Return the kinds of judged images, the good one first."""
    return [name.removeprefix(CHANCE) for name in rows.columns if name.startswith(CHANCE)]


def names_kinds(rows: pl.DataFrame) -> bool:
    """Return whether the model names kinds."""
    return not rows.is_empty() and rows["predicted"].null_count() < len(rows)
