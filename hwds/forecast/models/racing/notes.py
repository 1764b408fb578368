"""The stories of searches, read from predictions; no model is imported, so that no other forecast depends on one."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

SEARCH = "search"
"""The column of predictions that holds the story of a search, in the first row of each cutoff."""


def notes(predictions: pl.DataFrame) -> Iterator[str]:
    """Yield the story of each model and cutoff that has one."""
    if SEARCH not in predictions.columns:
        return
    for row in predictions.filter(pl.col(SEARCH).is_not_null()).unique(["model", "cutoff"], maintain_order=True).to_dicts():
        yield f"{row['model']} at {row['cutoff']}: {row[SEARCH]}"
