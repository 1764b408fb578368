"""Bootstrap intervals of sums a day: days drawn again, and entities drawn again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.core.seeds import stream
from hwds.detection.decisions.alerts.verdict import DailyAmount
from hwds.statistics.bootstrap import drawn

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
        """Return the sum a day of each column with its percentile intervals.

        All columns meet the same draws, so that the interval of a difference is paired.

        Args:
            values: Shape (rows, columns).
        """
        totals = values.sum(axis=0) / self.days
        by_day = self._ends(values, self.day, self.days, "day")
        entities = 0 if self.entity is None else int(self.entity.max()) + 1
        by_entity = self._ends(values, self.day if self.entity is None else self.entity, entities, "entity")
        return [
            DailyAmount(value=float(total), day_low=day[0], day_high=day[1], entity_low=entity[0], entity_high=entity[1])
            for total, day, entity in zip(totals, by_day, by_entity, strict=True)
        ]

    def _ends(
        self, values: np.ndarray, cluster: np.ndarray, count: int, purpose: str
    ) -> list[tuple[float | None, float | None]]:
        if count < 2:
            return [(None, None)] * values.shape[1]
        sums = np.stack([np.bincount(cluster, column, minlength=count) for column in values.T], axis=1)
        rng = stream(self.seed, "alert policy", "bootstrap", purpose)
        totals = np.stack([drawn(count, rng) @ sums for _ in range(self.resamples)])
        low, high = np.quantile(totals / self.days, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
        return [(float(a), float(b)) for a, b in zip(low, high, strict=True)]
