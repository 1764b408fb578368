"""Least squares of the log of units with effects of cells and clustered errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwds.elasticity.design.redundant import independent
from hwds.elasticity.design.rows import Design
from hwds.elasticity.estimation.clusters import LEAST, RobustVariance, free_effects, numbered, robust_variance
from hwds.elasticity.estimation.sweeping import Sweeper


@dataclass(frozen=True, eq=False)
class SweptRows:
    """Rows to learn from, less the means of their cells.

    Attributes:
        cell: Of each row, shape (n,).
        cluster: Within which errors may depend on each other, shape (n,).
        logs: Of units, shape (n,).
        price: The log price, shape (n,).
        others: The other columns, shape (n, k).
    """

    cell: np.ndarray
    cluster: np.ndarray
    logs: np.ndarray
    price: np.ndarray
    others: np.ndarray

    @classmethod
    def of(cls, design: Design, columns: Sequence[int], added: float, cluster: str) -> SweptRows:
        """Sweep the means of cells out.

        Args:
            design: The rows.
            columns: The places of those of its columns that are taken.
            added: To units before the log.
            cluster: See `Design.clusters`.
        """
        used = design.used
        both = np.column_stack([np.log(design.units[used] + added), design.log_price[used], design.x[used][:, columns]])
        cell = design.cell[used]
        swept = Sweeper.of(numbered(cell), None).residuals(both, np.ones(len(cell)))
        return cls(cell, design.clusters(cluster)[used], swept[:, 0], swept[:, 1], swept[:, 2:])

    def regression(self, rows: np.ndarray) -> tuple[np.ndarray, RobustVariance] | str:
        """Return which columns tell something beside the price in these rows, and the fit; or why there is none, in words."""
        if not len(rows) or np.abs(self.price[rows]).max() < 1e-9:
            return "no price of its group ever changes"
        cell, ways = self.cell[rows], [self.cluster[rows]]
        few = "its price moves in too few clusters to tell its error"
        if int(numbered(ways[0]).max()) + 1 < LEAST:
            return few
        kept = independent(self.price[rows, None], self.others[rows], cell, None)
        x = np.column_stack([self.price[rows], self.others[rows][:, kept]])
        bread = np.linalg.inv(x.T @ x)
        beta = bread @ (x.T @ self.logs[rows])
        scores = x * (self.logs[rows] - x @ beta)[:, None]
        fit = robust_variance(beta, bread, scores, ways, lost=len(beta) + free_effects(cell, ways), rows=x)
        return (kept, fit) if fit.sure[0] else few
