"""Usual values of inputs: quantiles among the rows that a model learned from, beside which a value is high or low."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from hwds.core.serialization import Serializable
from hwds.frames.table import Table

GRID = 100
"""Quantiles lie 1 % apart."""

MOST_ROWS = 5000
"""Rows that quantiles are computed from, evenly spaced; more would move no whole percent."""


@dataclass(frozen=True, eq=False)
class Usual(Serializable):
    """Quantiles of the inputs that are numbers.

    Attributes:
        names: Of the inputs.
        quantiles: From the least to the largest value of each, shape (names, 101); NaN where no row has a value.
    """

    names: tuple[str, ...]
    quantiles: np.ndarray

    @classmethod
    def learn(cls, rows: Table) -> Self:
        """Return the quantiles of a table's inputs."""
        schema = rows.data.schema
        names = tuple(name for name in rows.inputs if schema[name].is_numeric() or str(schema[name]) == "Boolean")
        step = max(rows.height // MOST_ROWS, 1)
        numbers = rows.filter(np.arange(rows.height) % step == 0).numbers(names)
        quantiles = np.full((len(names), GRID + 1), np.nan)
        for place, column in enumerate(numbers.T):
            known = column[np.isfinite(column)]
            if len(known):
                quantiles[place] = np.quantile(known, np.linspace(0, 1, GRID + 1), method="inverted_cdf")
        return cls(names, quantiles)

    @classmethod
    def unknown(cls) -> Self:
        """Return that of no input."""
        return cls((), np.zeros((0, GRID + 1)))

    def ranks(self, name: str, value: float) -> tuple[float | None, float | None]:
        """Return the share of rows with a lower value and of those with a higher one; None twice where that is not known."""
        if name not in self.names or not np.isfinite(value):
            return None, None
        grid = self.quantiles[self.names.index(name)]
        if np.isnan(grid[0]):
            return None, None
        below, above = np.searchsorted(grid, value, "left"), len(grid) - np.searchsorted(grid, value, "right")
        return float(below) / len(grid), float(above) / len(grid)
