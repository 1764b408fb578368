"""Sweeping cell and period effects out of columns by weighted least squares, without a dummy for any of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hwds.core.numba_cache import compiled
from hwds.elasticity.estimation.sweeping_kernel import sweep

MOST = 5_000
"""Steps of conjugate gradients at most; panels of sales need ten or so."""


@dataclass(frozen=True, eq=False)
class Sweeper:
    """Rows sorted by cell, with their periods.

    Attributes:
        starts: The first row of each cell and the end, shape (cells + 1,).
        period: The period of each row from 0, shape (n,).
        periods: How many there are; 1 where no period effects are swept.
    """

    starts: np.ndarray
    period: np.ndarray
    periods: int
    _effects: dict[int, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, cell: np.ndarray, period: np.ndarray | None) -> Sweeper:
        """Return the sweeper of rows that are sorted by cell; no `period` sweeps cell effects alone."""
        cells = int(cell[-1]) + 1
        starts = np.searchsorted(cell, np.arange(cells + 1)).astype(np.int64)
        if period is None:
            return cls(starts, np.zeros(len(cell), np.int64), 1)
        return cls(starts, period.astype(np.int64), int(period.max()) + 1)

    @property
    def effects(self) -> tuple[np.ndarray, ...]:
        """The cell of each row, and its period where period effects are swept; each of shape (n,)."""
        cell = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        return (cell,) if self.periods == 1 else (cell, self.period)

    @property
    def lost(self) -> int:
        """The free effects: cells, and periods less one."""
        return len(self.starts) - 1 + self.periods - 1

    def residuals(self, columns: np.ndarray, weight: np.ndarray, tolerance: float = 1e-9) -> np.ndarray:
        """Return the columns less their weighted fit by cell and period effects, shape (n, k).

        Where the same columns come again with other weights, the effects of the last time are where it begins.

        Args:
            columns: Shape (n, k).
            weight: At least 0, shape (n,).
            tolerance: Of the normal equations.
        """
        out = np.array(columns.T, order="C", dtype=float)
        kernel = compiled(sweep)
        diagonal = np.bincount(self.period, weight, self.periods)
        means, work = np.empty(len(self.starts) - 1), np.empty((3, self.periods))
        for place, column in enumerate(out):
            effects = self._effects.setdefault(place, np.zeros(self.periods))
            kernel(weight, self.starts, self.period, diagonal, column, effects, means, work, tolerance, MOST)
        return out.T
