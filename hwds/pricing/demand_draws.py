"""Draws of isoelastic demand on many cells: units, profit or revenue at any prices, and their
derivatives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy import ndarray

from hwds.pricing.demand_evidence import DemandEstimates

MOST_LOG_FACTOR = 50.0
"""The log of the factor by which prices change units at most: beyond any that was ever seen, and
its square is a number.
"""

Objective = Literal["profit", "revenue"]


@dataclass(frozen=True, eq=False)
class DemandDraws:
    """D draws of the demand of K cells; a cell's price moves its own units and those of the cells
    paired with it.

    Attributes:
        price: At which `units` are expected, shape (K,).
        units: The units of a period, shape (D or 1, K).
        own: Elasticities to the own price, shape (D, K).
        pairs: (row, column) of each cross elasticity, of the row's units to the column's price,
            shape (P, 2), rows rising.
        cross: Cross elasticities, shape (D, P).
        cost: The cost of one unit, shape (K,); 0 for revenue.
        pocket: The share of the price that is kept after rebates and terms.
        lag: The part of `own` that the price of the period before has, shape (D or 1, K); None for
            none.
    """

    price: ndarray
    units: ndarray
    own: ndarray
    pairs: ndarray
    cross: ndarray
    cost: ndarray
    pocket: float = 1.0
    lag: ndarray | None = None

    @classmethod
    def of(
        cls,
        evidence: DemandEstimates,
        count: int,
        rng: np.random.Generator,
        *,
        objective: Objective,
        deductions: float = 0.0,
        lasting: bool = True,
    ) -> DemandDraws:
        """Return draws of a model's estimates.

        A cell without an estimate does not answer to its own price.

        Args:
            evidence: The estimates.
            count: D.
            rng: The random generator of the draws.
            objective: Whether cost counts.
            deductions: The share of the price that is given back after the invoice.
            lasting: Add the effect of last period's price, as for a price that stays.
        """
        drawn = evidence.sample(count, rng)
        own, lag = drawn.own, drawn.lag if lasting else None
        return cls(
            price=evidence.column("price"),
            units=evidence.column("units")[None, :],
            own=np.nan_to_num(own if lag is None else own + lag),
            pairs=evidence.pairs,
            cross=drawn.cross,
            cost=np.nan_to_num(evidence.column("cost"))
            if objective == "profit"
            else np.zeros(len(evidence)),
            pocket=1 - deductions,
            lag=lag,
        )

    @classmethod
    def of_truth(cls, evidence: DemandEstimates, like: DemandDraws) -> DemandDraws:
        """Return the true demand as one draw, with the costs and deductions of others."""
        truth = evidence.truth
        assert truth is not None
        cross = truth.elasticities - np.diag(np.diag(truth.elasticities))
        pairs = np.argwhere(cross)
        own = (np.diag(truth.elasticities) + truth.lag)[None, :]
        return cls(
            like.price,
            truth.units[None, :],
            own,
            pairs,
            cross[pairs[:, 0], pairs[:, 1]][None, :],
            like.cost,
            like.pocket,
        )

    def units_at(self, prices: ndarray, cells: ndarray | None = None) -> ndarray:
        """Return the units of all cells, or of some, at other prices of all, shape (D, cells)."""
        moved, own, pairs, cross = np.log(prices / self.price), self.own, self.pairs, self.cross
        units, place, answering = self.units, np.arange(len(moved)), moved
        if cells is not None:
            chosen = np.isin(pairs[:, 0], cells)
            own, pairs, cross = own[:, cells], pairs[chosen], cross[:, chosen]
            units, answering = units[:, cells], moved[cells]
            place = np.full(len(moved), -1)
            place[cells] = np.arange(len(cells))
        logs = own * answering
        if len(pairs):
            rows, starts = np.unique(pairs[:, 0], return_index=True)
            logs[:, place[rows]] += np.add.reduceat(cross * moved[pairs[:, 1]], starts, axis=1)
        return units * np.exp(np.clip(logs, -MOST_LOG_FACTOR, MOST_LOG_FACTOR))

    def margin(self, prices: ndarray) -> ndarray:
        """Return what one unit brings at these prices, shape (K,)."""
        return prices * self.pocket - self.cost

    def totals(self, prices: ndarray) -> ndarray:
        """Return profit or revenue of all cells in a period, shape (D,)."""
        return self.units_at(prices) @ self.margin(prices)

    def mean_and_slopes(self, prices: ndarray) -> tuple[float, ndarray]:
        """Return the mean total, and its derivatives by the prices, shape (K,)."""
        units, margin = self.units_at(prices), self.margin(prices)
        slopes = units.mean(0) * self.pocket + (self.own * units).mean(0) * margin / prices
        if len(self.pairs):
            rows, columns = self.pairs.T
            moved = (self.cross * units[:, rows]).mean(0) * margin[rows] / prices[columns]
            slopes = slopes + np.bincount(columns, moved, len(prices))
        return float((units @ margin).mean()), slopes

    def unit_slopes(self, prices: ndarray) -> tuple[ndarray, ndarray]:
        """Return the mean units, shape (K,), and their derivatives by the prices, shape (K, K)."""
        units = self.units_at(prices)
        slopes = np.diag((self.own * units).mean(0) / prices)
        if len(self.pairs):
            rows, columns = self.pairs.T
            slopes[rows, columns] += (self.cross * units[:, rows]).mean(0) / prices[columns]
        return units.mean(0), slopes

    def answering(self, cells: ndarray, prices: ndarray) -> tuple[DemandDraws, ndarray]:
        """Return the demand of some cells and of all that answer to their prices, as it is at the
        current prices of all.

        Args:
            cells: Whose prices are to move.
            prices: Current prices of all cells.

        Returns:
            The draws, the moving cells first, and the place of each of them among all.
        """
        within = np.isin(self.pairs[:, 1], cells) if len(self.pairs) else np.zeros(0, bool)
        others = np.setdiff1d(self.pairs[within, 0], cells)
        place = np.concatenate([cells, others])
        number = np.full(len(self.price), -1)
        number[place] = np.arange(len(place))
        pairs = number[self.pairs[within]]
        order = np.argsort(pairs[:, 0], kind="stable")
        units, own, cross = self.units_at(prices, place), self.own[:, place], self.cross[:, within]
        lag = None if self.lag is None else self.lag[:, place]
        return DemandDraws(
            prices[place],
            units,
            own,
            pairs[order],
            cross[:, order],
            self.cost[place],
            self.pocket,
            lag,
        ), place

    def answer_to(self, cells: ndarray) -> tuple[ndarray, ndarray]:
        """Return how some cells' units, and those of all that answer, move where the cells' prices
        move by one factor.

        Args:
            cells: Whose prices move together.

        Returns:
            d log units / d log of the factor, the moving cells first, shape (D, n), and the place
            of each among all.
        """
        moving = np.zeros(len(self.price), bool)
        moving[cells] = True
        within = np.flatnonzero(moving[self.pairs[:, 1]])
        rows, starts = np.unique(self.pairs[within, 0], return_index=True)
        place = np.concatenate([cells, rows[~moving[rows]]])
        number = np.empty(len(self.price), np.int64)
        number[place] = np.arange(len(place))
        logs = np.zeros((len(self.own), len(place)))
        logs[:, : len(cells)] = self.own[:, cells]
        if len(within):
            logs[:, number[rows]] += np.add.reduceat(self.cross[:, within], starts, axis=1)
        return logs, place

    def added_by(self, cells: ndarray, prices: ndarray) -> ndarray:
        """Return draws of what some cells' prices bring more than today's do, all others as they
        are, shape (D,).
        """
        part, _ = self.answering(cells, prices)
        reverted = part.price.copy()
        reverted[: len(cells)] = self.price[cells]
        return part.totals(part.price) - part.totals(reverted)
