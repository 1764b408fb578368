"""Rows of label 1, and the customers and days that have one: where these are few, a ranking is unsure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from hwds.detection.metrics.clusters import BY_DAY, BY_ENTITY
from hwds.detection.protocols.rows.codes import entities
from hwds.statistics.standard_errors import LEAST_CLUSTERS


@dataclass(frozen=True, slots=True)
class Positives:
    """The rows of label 1.

    Attributes:
        rows: How many they are.
        clusters: By the way of resampling, the customers and the days (of all windows) with one.
    """

    rows: int
    clusters: Mapping[str, int]

    @classmethod
    def of(cls, rows: pl.DataFrame, label: str) -> Positives:
        """Count the scored rows of one model whose `label` (or `truth`) is 1; a row without an entity is one of its own."""
        found = rows.filter(pl.col(label) == 1)
        days = found.select("cutoff", "day").unique()
        return cls(len(found), {BY_DAY: len(days), BY_ENTITY: entities(found).n_unique()})


def few_positives(clusters: Mapping[str, int]) -> str:
    """Return the warning that customers or days with a positive row are few; empty where they are enough."""
    way, count = min(clusters.items(), key=lambda each: each[1], default=("", LEAST_CLUSTERS))
    if count >= LEAST_CLUSTERS:
        return ""
    what = ("day has" if count == 1 else "days have") if way == BY_DAY else ("customer has" if count == 1 else "customers have")
    return f"Only {count} {what} a positive row: the next few may change the result."
