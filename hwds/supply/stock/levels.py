"""Levels of stock from joint draws of demand: the newsvendor's, base stock, (s, S), and two echelons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hwds.statistics.coupling import NORMAL
from hwds.supply.stock.terms import StockTerms

CELLS = 100
"""The multiples of a unit that mean demand is at most, on the grid of a reorder point."""

ECHELON_LEVELS = 71
"""Quantiles of demand among which the level of all stock is looked for."""

MOST_STEPS = 20_000
"""Grid points that the search for a reorder point looks at, at most."""


@dataclass(frozen=True, eq=False)
class StockLevels:
    """Levels for each period in which one may order, of one series at one cutoff.

    Attributes:
        upto: Stock on hand and on order after an order, shape (periods,).
        reorder: At or below which one orders, shape (periods,); equal to `upto` where one always does.
        store: Stock in the store and on the way to it after an order, shape (periods,); equal to `upto` without a depot.
        covered: The mean of the demand that each level covers, shape (periods,).
        fill: The expected share of that demand which the level serves, shape (periods,).
        cost: The expected cost of holding and shortage in the period that the level is for, shape (periods,).
    """

    upto: np.ndarray
    reorder: np.ndarray
    store: np.ndarray
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
    draws = np.maximum(np.round(draws), 0.0) if terms.whole else draws
    sums = covered_demand(draws, terms.cover)
    if terms.policy == "two_echelons":
        return two_echelons(draws, terms)
    if terms.policy == "reorder_point":
        low, high = reorder_point(draws, sums, terms)
        upto, reorder = np.full(len(sums), high), np.full(len(sums), low)
    else:
        upto = np.quantile(sums, terms.ratio, axis=1, method=_method(terms))
        reorder = upto
    held = np.maximum(upto[:, None] - sums, 0.0)
    return _expected(upto, reorder, upto, sums, upto[:, None] - sums, terms, held * terms.holding)


def _method(terms: StockTerms) -> Literal["inverted_cdf", "hazen"]:
    return "inverted_cdf" if terms.whole else "hazen"


def _expected(
    upto: np.ndarray,
    reorder: np.ndarray,
    store: np.ndarray,
    sums: np.ndarray,
    net: np.ndarray,
    terms: StockTerms,
    held: np.ndarray,
) -> StockLevels:
    """Return levels with what is expected of them: net stock of the store and the cost of what is held, shapes (periods, n)."""
    short, mean = np.maximum(-net, 0.0), sums.mean(axis=1)
    served = np.where(mean > 0, 1 - short.mean(axis=1) / np.where(mean > 0, mean, 1.0), 1.0)
    return StockLevels(upto, reorder, store, mean, served, (held + terms.shortage * short).mean(axis=1))


def two_echelons(draws: np.ndarray, terms: StockTerms) -> StockLevels:
    """Return the level of all stock, which the depot orders up to, and that of the store, by Clark and Scarf (1960).

    The store's level is that where stock in the depot is free but for its own cost: P(demand <= level) is (shortage + depot
    holding) / (shortage + holding). Given it, the depot's costs least over the joint draws of the demand until its order
    arrives and of the demand that the store must then cover.

    Args:
        draws: Of demand, shape (periods, n).
        terms: Costs and lead times.
    """
    ratio = (terms.shortage + terms.depot_holding) / (terms.shortage + terms.holding)
    late = covered_demand(draws, terms.lead + 1)[terms.depot_lead :]
    early = covered_demand(draws, terms.depot_lead)[: len(late)]
    store = np.quantile(late, ratio, axis=1, method=_method(terms))
    sums = early + late
    upto = np.empty(len(sums))
    for period in range(len(sums)):
        tried = np.unique(np.quantile(sums[period], np.linspace(0.3, 1.0, ECHELON_LEVELS), method=_method(terms)))
        costs = [echelon_costs(each, store[period], early[period], late[period], terms)[1].mean() for each in tried]
        upto[period] = tried[int(np.argmin(costs))]
    net, held = echelon_costs(upto[:, None], store[:, None], early, late, terms, held_alone=True)
    return _expected(upto, upto, store, sums, net, terms, held)


def echelon_costs(
    upto: np.ndarray | float,
    store: np.ndarray | float,
    early: np.ndarray,
    late: np.ndarray,
    terms: StockTerms,
    *,
    held_alone: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the net stock of the store, and the cost of both echelons, or of what they hold alone.

    Args:
        upto: Of all stock when the depot orders.
        store: Up to which the store orders, as far as the depot has it.
        early: Demand until the depot's order arrives.
        late: Demand from then to the end of the period in which the store's arrives.
        terms: Costs.
        held_alone: Leave out shortages.
    """
    there = upto - early
    sent = np.minimum(store, there)
    net = sent - late
    held = terms.depot_holding * (there - sent) + terms.holding * np.maximum(net, 0.0)
    return net, held if held_alone else held + terms.shortage * np.maximum(-net, 0.0)


def textbook_levels(draws: np.ndarray, terms: StockTerms) -> np.ndarray:
    """Return the mean of the demand to cover and z of its deviations, if it were normal and its periods independent.

    Args:
        draws: Of demand, shape (periods, n).
        terms: Costs and lead time.
    """
    mean = covered_demand(draws.mean(axis=1, keepdims=True), terms.cover)[:, 0]
    variance = covered_demand(draws.var(axis=1, keepdims=True), terms.cover)[:, 0]
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
