"""Intervals of sums a day: days drawn again, entities drawn again, and both, for rows share them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.core.seeds import stream
from hwds.detection.decisions.alerts.verdict import DailyAmount
from hwds.statistics.cluster_bootstrap import drawn
from hwds.statistics.reference_distribution import LEAST_SURE
from hwds.statistics.two_way import ClusteredPart, block_length, clustered_part, two_way_effect

LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class Clusters:
    """The days and entities of rows, which the bootstrap draws again.

    Attributes:
        day: Numbers the day of each row from 0.
        entity: Numbers the entity of each row from 0; None where the data names none.
        days: How many days.
        resamples: Of each kind.
        seed: Of the experiment.
    """

    day: np.ndarray
    entity: np.ndarray | None
    days: int
    resamples: int
    seed: int

    def daily_amounts(self, values: np.ndarray) -> list[DailyAmount]:
        """Return the sum a day of each column with its percentile intervals, and with that of both days and entities.

        All columns meet the same draws, so that the interval of a difference is paired. What both ways say together reaches
        at least as far as each of them. A way in which fewer than three days or entities make the sum gives none: what is
        drawn again would be these two. Nor do both ways together then.

        Args:
            values: Shape (rows, columns).
        """
        totals = values.sum(axis=0) / self.days
        by_day = self._ends(values, self.day, "day")
        by_entity = self._ends(values, self.entity, "entity")
        few = self.too_few(values)
        together = [None if few[at] else self._together(values[:, at], float(total)) for at, total in enumerate(totals)]
        return [
            DailyAmount(float(total), *day, *entity, *_widest(both, day, entity))
            for total, day, entity, both in zip(totals, by_day, by_entity, together, strict=True)
        ]

    def too_few(self, values: np.ndarray) -> list[bool]:
        """Return of each column, shape (rows, columns), whether too few days or entities have anything of its sum."""
        ways = [way for way in (self.day, self.entity) if way is not None]
        return [any(_few(column, way) for way in ways) for column in values.T]

    def _together(self, values: np.ndarray, a_day: float) -> tuple[float, float] | None:
        """Return the interval of a sum a day over days and entities; None where either are too few."""
        length = block_length(self.days)
        blocks = self.day // length
        days = np.bincount(np.arange(self.days) // length).astype(float)
        shocks = np.bincount(blocks, values, len(days)) - a_day * days
        by_day = clustered_part("day", shocks / self.days, days)
        if self.entity is None:
            return two_way_effect(a_day, by_day, None, None, "day").interval(LEVEL)
        cells = np.unique(self.entity * len(days) + blocks, return_inverse=True)[1]
        by_entity, both = (self._added(name, values, codes) for name, codes in (("customer", self.entity), ("cell", cells)))
        return two_way_effect(a_day, by_entity, by_day, both, "entity and day").interval(LEVEL)

    def _added(self, called: str, values: np.ndarray, codes: np.ndarray) -> ClusteredPart:
        rows = np.bincount(codes).astype(float)
        sums = np.bincount(codes, values)
        return clustered_part(called, (sums - sums.mean()) / self.days, rows)

    def _ends(self, values: np.ndarray, cluster: np.ndarray | None, purpose: str) -> list[tuple[float | None, float | None]]:
        """Return the percentile interval of each column's sum a day over one way; none where too few make the sum."""
        if cluster is None or not len(cluster):
            return [(None, None)] * values.shape[1]
        count = self.days if cluster is self.day else int(cluster.max()) + 1
        sums = np.stack([np.bincount(cluster, column, minlength=count) for column in values.T], axis=1)
        rng = stream(self.seed, "alert policy", "bootstrap", purpose)
        totals = np.stack([drawn(count, rng) @ sums for _ in range(self.resamples)])
        ends = np.quantile(totals / self.days, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0).T
        return [
            (None, None) if _few(column, cluster) else (float(low), float(high))
            for column, (low, high) in zip(values.T, ends, strict=True)
        ]


def _few(values: np.ndarray, cluster: np.ndarray) -> bool:
    """Return whether fewer clusters have anything of a sum than an interval of it needs."""
    return len(np.unique(cluster[values != 0])) < LEAST_SURE


def without_interval(value: float) -> DailyAmount:
    """Return a number of which nothing says how it varies."""
    return DailyAmount(value, None, None, None, None, None, None)


def _widest(both: tuple[float, float] | None, *alone: tuple[float | None, float | None]) -> tuple[float | None, float | None]:
    """Return an interval that reaches as far as each of several; none where the first is none."""
    if both is None:
        return None, None
    low, high = zip(*[ends for ends in (both, *alone) if ends[0] is not None and ends[1] is not None], strict=True)
    return min(low), max(high)
