"""Numbers of many kinds on one scale, by statistics of the rows that are learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from hwds.core.serialization import Serializable

Spread = Literal["deviation", "robust"]

SKEWED = 2.0
"""Skewness beyond which the logarithm of a column without negative values is taken."""


@dataclass(frozen=True, eq=False)
class Scaling(Serializable):
    """Centre and spread of columns, of some after a logarithm.

    Attributes:
        unit: Of each column what its log(1 + x / unit) is taken with; 0 where none is. Shape (k,).
        centre: What becomes 0.
        spread: What becomes 1; infinite for a column that was constant or never known, which becomes 0.
    """

    unit: np.ndarray
    centre: np.ndarray
    spread: np.ndarray

    @classmethod
    def learn(
        cls, matrix: np.ndarray, spread: Spread = "deviation", logs: bool = True, least: np.ndarray | float = 0.0
    ) -> Self:
        """Return the scaling of columns.

        Args:
            matrix: Shape (n, k), NaN where unknown.
            spread: Mean and standard deviation, or median and median absolute deviation (the mean one, where that is 0:
                Iglewicz and Hoaglin 1993), as standard deviations of a normal.
            logs: Whether logarithms are taken of skewed columns; in units of the median of what is not 0, so that dollars
                and cents are scaled alike.
            least: The spread of each column at least, if it has one, shape (k,).
        """
        columns = [column[np.isfinite(column)] for column in matrix.T]
        unit = np.array([_unit(column) if logs else 0.0 for column in columns])
        logged = [np.log1p(column / one) if one else column for column, one in zip(columns, unit, strict=True)]
        moments = [(_robust if spread == "robust" else _plain)(column) if len(column) else (0.0, np.inf) for column in logged]
        centre, spreads = np.array(moments).reshape(-1, 2).T
        wide = np.maximum(spreads, least)
        return cls(unit, centre, np.where(wide > 1e-9 * (1 + np.abs(centre)), wide, np.inf))

    def of(self, matrix: np.ndarray, clip: float) -> np.ndarray:
        """Return columns on the scale, cut at `clip` on both sides, shape (n, k); NaN stays NaN."""
        logs, flat = self.unit > 0, np.isinf(self.spread)
        logged = np.where(logs, np.log1p(np.maximum(matrix, 0) / np.where(logs, self.unit, 1)), matrix)
        scaled = (logged - self.centre) / np.where(flat, 1, self.spread)
        return np.clip(np.where(flat & ~np.isnan(matrix), 0.0, scaled), -clip, clip)

    def parts(self, widths: Sequence[int]) -> list[Scaling]:
        """Split the scaling into parts of so many columns each, as `joined` put them together."""
        cuts = np.cumsum(widths, dtype=int)[:-1]
        both = zip(*(np.split(part, cuts) for part in (self.unit, self.centre, self.spread)), strict=True)
        return [Scaling(*parts) for parts in both] if len(widths) else []


def joined(parts: Sequence[Scaling]) -> Scaling:
    """Join scalings of columns beside each other."""
    nothing = np.zeros(0)
    units, centres, spreads = ([getattr(part, name) for part in parts] for name in ("unit", "centre", "spread"))
    return Scaling(*(np.concatenate([nothing, *each]) for each in (units, centres, spreads)))


def _unit(column: np.ndarray) -> float:
    """Return the unit of a skewed column's logarithm, or 0."""
    if not len(column) or column.min() < 0 or column.std() == 0:
        return 0.0
    skewness = np.mean(((column - column.mean()) / column.std()) ** 3)
    return float(np.median(column[column > 0])) if skewness > SKEWED else 0.0


def _plain(column: np.ndarray) -> tuple[float, float]:
    return float(column.mean()), float(column.std())


def _robust(column: np.ndarray) -> tuple[float, float]:
    """Return the median, and 1.4826 median absolute deviations or 1.2533 mean ones."""
    centre = float(np.median(column))
    away = np.abs(column - centre)
    return centre, float(1.4826 * np.median(away) or 1.2533 * away.mean())
