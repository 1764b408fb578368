"""The stories of searches, read from predictions; no model is imported, so that no other forecast depends on one."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

SEARCH = "search"
"""The column of predictions that holds the story of a search, in the first row of each cutoff."""


def notes(predictions: pl.DataFrame) -> Iterator[str]:
    """Yield the story of each model and cutoff that has one, or of all cutoffs of a fold where its series end apart."""
    if SEARCH not in predictions.columns:
        return
    there = pl.col(SEARCH).is_not_null()
    ends = pl.col("cutoff")
    spans = predictions.group_by("model", "fold").agg(
        ends.min().alias("first"), ends.max().alias("last"), ends.filter(there).n_unique().alias("stories")
    )
    stories = predictions.filter(there).unique(["model", "cutoff"], maintain_order=True)
    for row in stories.join(spans, on=["model", "fold"], how="left", maintain_order="left").to_dicts():
        apart = row["stories"] == 1 and row["first"] < row["last"]
        cutoff = f"cutoffs from {row['first']} to {row['last']}" if apart else row["cutoff"]
        yield f"{row['model']} at {cutoff}: {row[SEARCH]}"
