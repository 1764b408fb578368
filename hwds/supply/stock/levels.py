"""Levels of stock from joint draws of demand: the newsvendor's, base stock, and (s, S)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.statistics.coupling import NORMAL
from hwds.supply.stock.terms import StockTerms

CELLS = 100
"""The multiples of a unit that mean demand is at most, on the grid of a reorder point."""

MOST_STEPS = 20_000
"""Grid points that the search for a reorder point looks at, at most."""


@dataclass(frozen=True, eq=False)
class StockLevels:
    """Levels for each period in which one may order, of one series at one cutoff.

    Attributes:
        upto: Stock on hand and on order after an order, shape (periods,).
        reorder: At or below which one orders, shape (periods,); equal to `upto` where one always does.
        covered: The mean of the demand that each level covers, shape (periods,).
        fill: The expected share of that demand which the level serves, shape (periods,).
        cost: The expected cost of holding and shortage in the period that the level is for, shape (periods,).
    """

    upto: np.ndarray
    reorder: np.ndarray
    covered: np.ndarray
    fill: np.ndarray
    cost: np.ndarray


def covered_demand(draws: np.ndarray, cover: int) -> np.ndarray:
    """Return draws of the demand of each `cover` periods in a row, shape (periods - cover + 1, n)."""
    total = np.vstack([np.zeros((1, draws.shape[1])), np.cumsum(draws, axis=0)])
    return np.asarray(total[cover:] - total[:-cover])


def levels_of(draws: np.ndarray, terms: StockTerms) -> StockLevels:
    """Return the levels that cost least by the law of demand.

    Args:
        draws: Joint draws of demand, shape (periods, n).
        terms: Costs, lead time and rule.
    """
    cover = 1 if terms.policy == "newsvendor" else terms.cover
    draws = np.maximum(np.round(draws), 0.0) if terms.whole else draws
    sums = covered_demand(draws, cover)
    if terms.policy == "reorder_point":
        low, high = reorder_point(draws, sums, terms)
        upto, reorder = np.full(len(sums), high), np.full(len(sums), low)
    else:
        upto = np.quantile(sums, terms.ratio, axis=1, method="inverted_cdf" if terms.whole else "hazen")
        reorder = upto
    short = np.maximum(sums - upto[:, None], 0.0).mean(axis=1)
    left = np.maximum(upto[:, None] - sums, 0.0).mean(axis=1)
    mean = sums.mean(axis=1)
    served = np.where(mean > 0, 1 - short / np.where(mean > 0, mean, 1.0), 1.0)
    return StockLevels(upto, reorder, mean, served, terms.holding * left + terms.shortage * short)


def textbook_levels(draws: np.ndarray, terms: StockTerms) -> np.ndarray:
    """Return the mean of the demand to cover and z of its deviations, if it were normal and its periods independent.

    Args:
        draws: Of demand, shape (periods, n).
        terms: Costs and lead time.
    """
    cover = 1 if terms.policy == "newsvendor" else terms.cover
    mean = covered_demand(draws.mean(axis=1, keepdims=True), cover)[:, 0]
    variance = covered_demand(draws.var(axis=1, keepdims=True), cover)[:, 0]
    level = np.maximum(mean + NORMAL.inv_cdf(terms.ratio) * np.sqrt(np.maximum(variance, 0.0)), 0.0)
    return np.ceil(level - 1e-9) if terms.whole else level


def reorder_point(draws: np.ndarray, sums: np.ndarray, terms: StockTerms) -> tuple[float, float]:
    """Return the reorder point and the order-up-to level that cost least in the long run, of demand that stays as it is.

    The exact search of Zheng and Federgruen (1991, "Finding optimal (s, S) policies is about as simple as evaluating a single
    policy", Operations Research 39) on a grid of whole units, or of a hundredth of mean demand where that is more.

    Args:
        draws: Of demand by period, shape (periods, n); all periods count alike.
        sums: Of the demand that an order must cover, shape (periods, n).
        terms: The costs.
    """
    mean = float(draws.mean())
    if mean <= 0:
        return -1.0, 0.0
    unit = max(np.ceil(mean / CELLS), 1.0) if terms.whole else mean / CELLS * 4
    demand = np.maximum(np.round(draws.ravel() / unit), 0).astype(int)
    chances = np.bincount(demand) / len(demand)
    if chances[0] >= 1:
        return -1.0, 0.0
    return tuple(unit * each for each in search(chances, np.sort(np.round(sums.ravel() / unit)), terms, unit))  # type: ignore[return-value]


def search(chances: np.ndarray, sums: np.ndarray, terms: StockTerms, unit: float = 1.0) -> tuple[int, int]:
    """Return s and S in grid steps.

    Args:
        chances: Of a period's demand of 0, 1, 2 ... steps.
        sums: Draws of the demand that an order covers, in steps, rising.
        terms: The costs.
        unit: Units of a step.
    """
    costs = PeriodCosts(sums, terms.holding * unit, terms.shortage * unit)
    renewals = Renewals(chances)

    def cost(low: int, high: int) -> float:
        times, until = renewals.of(high - low)
        return float((terms.order + times @ costs(high - np.arange(high - low))) / until)

    best = int(np.quantile(sums, terms.ratio, method="inverted_cdf"))
    high, low = best, best - 1
    while cost(low, high) > costs(low) and high - low < MOST_STEPS:
        low -= 1
    least, tried = cost(low, high), high + 1
    while costs(tried) <= least and tried - low < MOST_STEPS:
        if cost(low, tried) < least:
            high = tried
            while cost(low, high) <= costs(low + 1):
                low += 1
            least = cost(low, high)
        tried += 1
    return low, high


class PeriodCosts:
    """The expected cost of a period by the stock on hand and on order at its beginning.

    Args:
        sums: Draws of the demand to cover, rising.
        holding: Of a unit left.
        shortage: Of a unit short.
    """

    def __init__(self, sums: np.ndarray, holding: float, shortage: float) -> None:
        self.sums, self.holding, self.shortage = sums, holding, shortage
        self.below = np.concatenate([[0.0], np.cumsum(sums)])

    def __call__(self, level: int | np.ndarray) -> np.ndarray:
        """Return holding E(level - D)+ + shortage E(D - level)+."""
        n, total = len(self.sums), self.below[-1]
        count = np.searchsorted(self.sums, level)
        left = (np.asarray(level) * count - self.below[count]) / n
        short = (total - self.below[count] - np.asarray(level) * (n - count)) / n
        return np.asarray(self.holding * left + self.shortage * short)


class Renewals:
    """How often stock is expected to stand at each step below the order-up-to level, in one cycle.

    Args:
        chances: Of a period's demand of 0, 1, 2 ... steps; the first below 1.
    """

    def __init__(self, chances: np.ndarray) -> None:
        self.chances, self.times = chances, [1 / (1 - chances[0])]

    def of(self, steps: int) -> tuple[np.ndarray, float]:
        """Return the expected periods at 0, 1 ... steps below, shape (steps,), and their sum: the length of a cycle."""
        while len(self.times) < steps:
            j = len(self.times)
            reach = min(j, len(self.chances) - 1)
            back = np.array(self.times[j - reach : j][::-1])
            self.times.append(float(self.chances[1 : reach + 1] @ back) / (1 - self.chances[0]))
        known = np.array(self.times[:steps])
        return known, float(known.sum())
