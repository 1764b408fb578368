"""Clusters of scored rows by entity, by day, and by both; drawn anew they say how much a metric may vary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl

from hwds.detection.metrics.weighted import TestRows
from hwds.statistics.cluster_bootstrap import LEAST, drawn
from hwds.statistics.reference_distribution import Effect, ReferenceDistribution
from hwds.statistics.two_way import (
    ClusterCounts,
    ClusteredPart,
    block_length,
    day_blocks,
    day_cluster,
    even_number,
    two_way_effect,
)

BY_ENTITY, BY_DAY, BY_BOTH = "entity", "day", "entity and day"


@dataclass(frozen=True, eq=False)
class Clusters:
    """The clusters of one way to resample.

    Attributes:
        way: `BY_ENTITY`, `BY_DAY` or `BY_BOTH`.
        of_rows: The number of each row's, by window.
        number: How many there are.
        strata: The clusters of each group within which they are drawn.
        called: What one is.
    """

    way: str
    of_rows: tuple[np.ndarray, ...]
    number: int
    strata: tuple[np.ndarray, ...]
    called: str

    @classmethod
    def of(cls, way: str, called: str, of_rows: Sequence[np.ndarray], *, by_window: bool = False) -> Self:
        """Return clusters by the codes of rows; `by_window` draws them within windows, where each has several of its own."""
        ends = np.cumsum([len(each) for each in of_rows])[:-1]
        present, codes = np.unique(np.concatenate(of_rows), return_inverse=True)
        parts = np.split(codes, ends)
        own = [np.unique(part) for part in parts]
        apart = by_window and sum(map(len, own)) == len(present) and min(map(len, own)) > 1
        return cls(way, tuple(parts), len(present), tuple(own) if apart else (np.arange(len(present)),), called)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Return how often each cluster is drawn, shape (clusters,)."""
        counts = np.zeros(self.number)
        for stratum in self.strata:
            counts[stratum] = drawn(len(stratum), rng)
        return counts

    def counts(self, weight: np.ndarray) -> ClusterCounts:
        """Return the clusters as far as they have weight, shape (clusters,)."""
        return ClusterCounts(self.called, int((weight > 0).sum()), even_number(weight), len(self.strata))

    def same_as(self, way: str, others: Sequence[Clusters]) -> bool:
        """Return whether another way has the same clusters, each of which a row is in."""
        other = next(each for each in others if each.way == way)
        return self.way == BY_BOTH and other.number == self.number and len(self.strata) == len(other.strata)


def clusters_of(windows: Sequence[TestRows]) -> list[Clusters]:
    """Return the ways to resample rows: entities, and where their days are known days and the entities of a day.

    Of many days, neighbours are one cluster. Days are drawn within windows, where these have several.
    """
    if not windows:
        return []
    by_entity = [window.entity for window in windows]
    ways, by_day = [Clusters.of(BY_ENTITY, "customer", by_entity)], _days(windows)
    if by_day is not None:
        days, called = by_day
        width = max(int(each.max(initial=0)) for each in days) + 1
        both = [who * width + day for who, day in zip(by_entity, days, strict=True)]
        ways += [Clusters.of(BY_DAY, called, days, by_window=True), Clusters.of(BY_BOTH, "customer day", both)]
    return ways


def _days(windows: Sequence[TestRows]) -> tuple[list[np.ndarray], str] | None:
    """Return the number of each row's block of days, by window, and what a block is called; None where no day is known.

    Where a protocol counts no days, for its folds are no windows in time, a row's time says its day.
    """
    counted = [window.table["day"].fill_null(0).to_numpy().astype(np.int64) for window in windows]
    if any(each.any() for each in counted):
        earliest = min(int(each.min(initial=0)) for each in counted)
        total = sum(window.days for window in windows)
        length = block_length(total)
        blocks = [(each - earliest) // length for each in counted]
        width = max(int(each.max(initial=0)) for each in blocks) + 1
        return [each + place * width for place, each in enumerate(blocks)], day_cluster(total)
    times = pl.concat([window.table["time"] for window in windows])
    if times.null_count():
        return None
    dates = times.dt.date().to_physical().to_numpy()
    by_window = np.split(day_blocks(dates), np.cumsum([len(window.day) for window in windows])[:-1])
    return by_window, day_cluster(len(np.unique(dates)))


def effect_of(value: float, samples: Mapping[str, np.ndarray], counts: Mapping[str, ClusterCounts]) -> Effect:
    """Return a number with its variance over entities and days, both of which its rows share.

    Args:
        value: Of the rows as they are.
        samples: By way of resampling, shape (resamples,) each; NaN where a resample has none.
        counts: Of the same ways.
    """
    parts = {way: part for way, drawn in samples.items() if (part := _part(drawn, counts[way])) is not None}
    if BY_ENTITY not in parts or len(parts) < len(samples):
        few = next((each.refusal for each in counts.values() if each.refusal), "")
        number = min((each.number for each in counts.values()), default=0)
        return Effect(value, None, ReferenceDistribution(), few or "too few resamples with a value", number)
    way = BY_BOTH if BY_DAY in parts else BY_ENTITY
    return two_way_effect(value, parts[BY_ENTITY], parts.get(BY_DAY), parts.get(BY_BOTH), f"bootstrap by {way}")


def _part(samples: np.ndarray, counts: ClusterCounts) -> ClusteredPart | None:
    """Return the variance of resamples, as large as that of so many clusters; None where most have no value."""
    known = samples[np.isfinite(samples)]
    if len(known) < max(2, LEAST * len(samples)):
        return None
    stretch = counts.even / counts.df if counts.df > 0 else 1.0
    return ClusteredPart(counts, float(np.var(known, ddof=1)) * stretch)
