"""The stories of searches, read from predictions; no model is imported, so that no other forecast depends on one."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

SEARCH = "search"
"""The column of predictions that holds the story of a search, in the first row of each cutoff."""

CLOCK = "; a budget in seconds ends by the clock: again, or elsewhere, it may answer otherwise; one in units (300u) not"
"""What the story of a search by the clock ends with."""


def notes(predictions: pl.DataFrame) -> Iterator[str]:
    """Yield the story of each model and cutoff that has one, or of all cutoffs of a fold where its series end apart.

    What all searches by the clock end with is said once, by the last story.
    """
    if SEARCH not in predictions.columns:
        return
    there = pl.col(SEARCH).is_not_null()
    ends = pl.col("cutoff")
    spans = predictions.group_by("model", "fold").agg(
        ends.min().alias("first"), ends.max().alias("last"), ends.filter(there).n_unique().alias("stories")
    )
    stories = predictions.filter(there).unique(["model", "cutoff"], maintain_order=True)
    rows = stories.join(spans, on=["model", "fold"], how="left", maintain_order="left").to_dicts()
    for place, row in enumerate(rows, 1):
        apart = row["stories"] == 1 and row["first"] < row["last"]
        cutoff = f"cutoffs from {row['first']} to {row['last']}" if apart else row["cutoff"]
        again = any(CLOCK in later[SEARCH] for later in rows[place:])
        story = row[SEARCH].replace(CLOCK, "") if again else row[SEARCH]
        yield f"{row['model']} at {cutoff}: {story}"
