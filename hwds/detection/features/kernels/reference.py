"""Reference of a row: median and MAD of its group in past days, shrunk to those of the next larger group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwds.detection.features.kernels.peers import Spread, spread_of
from hwds.features.rows.columns import DAY

NORMAL = 1.4826
"""The standard deviation of a normal distribution over its MAD."""

Level = tuple[np.ndarray, np.ndarray]
"""The group of each row, and of each group the larger one that it is of."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The rows that a row is compared with.

    Attributes:
        window: Days in the reference.
        gap: Whole days between the window and the row's day.
        shrink: The number of rows that the larger group counts for.
    """

    window: int
    gap: int
    shrink: float

    def days_of(self, time: np.ndarray, arrival: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return each row's day, the first day on which it is in the reference of others, and the first on which it is not."""
        happened, arrived = time // DAY, arrival // DAY
        enters = np.maximum(happened + self.gap, arrived) + 1
        return np.minimum(happened, arrived), enters, happened + self.gap + self.window + 1

    def spreads(
        self, values: np.ndarray, levels: Sequence[Level], enters: np.ndarray, leaves: np.ndarray, days: int
    ) -> list[Spread]:
        """Return the spread of each level's groups on each day, shrunk to that of the next larger group.

        Args:
            values: Of the rows, NaN where not known.
            levels: From all rows to the narrowest groups.
            enters: The first day on which a row is in the reference, from 0.
            leaves: The first day on which it is not any more.
            days: How many.
        """
        shrunk: list[Spread] = []
        for group, parent in levels:
            spread = spread_of(values, group, len(parent), enters, leaves, days)
            shrunk.append(self._shrunk(spread, shrunk[-1], parent) if shrunk else spread)
        return shrunk

    def _shrunk(self, spread: Spread, larger: Spread, parent: np.ndarray) -> Spread:
        """Return the spread of each group: its own, as far as its rows go, and the larger group's."""
        median, deviation, rows = (values[parent] for values in larger)
        scaled = np.where(spread.deviation > 0, spread.rows, 0.0)
        alone = np.where(spread.rows >= self.shrink, spread.deviation, 0.0)
        mixed = np.where(deviation > 0, _weighed(spread.deviation, scaled, deviation, self.shrink), alone)
        return Spread(_weighed(spread.median, spread.rows, median, self.shrink), mixed, rows)


def stand(values: np.ndarray, spread: Spread) -> tuple[np.ndarray, np.ndarray]:
    """Return the median of each value's peers, and its distance from it in standard deviations; NaN where not known."""
    known, scale = spread.rows > 0, NORMAL * spread.deviation
    z = np.divide(values - spread.median, scale, out=np.full(len(values), np.nan), where=known & (scale > 0))
    return np.where(known, spread.median, np.nan), z


def _weighed(value: np.ndarray, rows: np.ndarray, larger: np.ndarray, shrink: float) -> np.ndarray:
    return np.divide(rows * value + shrink * larger, rows + shrink, out=larger.copy(), where=rows > 0)
