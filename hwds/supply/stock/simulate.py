"""Stock in held-out periods: what would have been on hand and short, had levels been those of the forecast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.supply.stock.terms import StockTerms


@dataclass(frozen=True, eq=False)
class StockPaths:
    """The stock of w series over p periods, each of shape (w, p).

    Attributes:
        net: On hand at the end of a period, less what is still owed; of two echelons in the store.
        depot: On hand in the depot, 0 without one.
        demand: In the period.
        unserved: The demand of the period that could not be served in it.
        ordered: Whether an order was made for it.
    """

    net: np.ndarray
    depot: np.ndarray
    demand: np.ndarray
    unserved: np.ndarray
    ordered: np.ndarray

    def cost(self, terms: StockTerms) -> np.ndarray:
        """Return the cost of each period, shape (w, p)."""
        held, owed = np.maximum(self.net, 0.0), np.maximum(-self.net, 0.0)
        here = terms.holding * held + terms.depot_holding * self.depot
        return np.asarray(here + terms.shortage * owed + terms.order * self.ordered)


def simulate(
    upto: np.ndarray,
    reorder: np.ndarray,
    actual: np.ndarray,
    terms: StockTerms,
    begins: tuple[np.ndarray, np.ndarray] | None = None,
) -> StockPaths:
    """Return what happens to stock where what is short is delivered later.

    An order of a period arrives `lead` periods on, and the stock after it meets demand to the end of that one. The first `lead`
    periods, which no level of the forecast reaches, are not counted. A newsvendor begins each period anew, and owes nothing.

    Args:
        upto: Levels by period of the order, shape (w, p).
        reorder: At or below which one orders, shape (w, p).
        actual: Demand, shape (w, p + lead).
        terms: The rule.
        begins: Stock on hand and on order in the first period, and whether that is after an order, each of shape (w,); None for
            the first level without an order.
    """
    periods, lead = upto.shape[1], terms.reach
    position = np.empty_like(upto, dtype=float)
    ordered = np.zeros(upto.shape, bool)
    position[:, 0], ordered[:, 0] = (upto[:, 0], False) if begins is None else begins
    for t in range(1, periods):
        before = position[:, t - 1] - actual[:, t - 1]
        before = np.zeros(len(before)) if terms.policy == "newsvendor" else before
        ordered[:, t] = (before <= reorder[:, t]) & (before < upto[:, t])
        position[:, t] = np.where(ordered[:, t], upto[:, t], before)
    total = np.concatenate([np.zeros((len(actual), 1)), np.cumsum(actual, axis=1)], axis=1)
    net = position - (total[:, lead + 1 : lead + 1 + periods] - total[:, :periods])
    demand = actual[:, lead : lead + periods]
    return StockPaths(net, np.zeros(net.shape), demand, np.minimum(demand, np.maximum(-net, 0.0)), ordered)


def simulate_echelons(upto: np.ndarray, store: np.ndarray, actual: np.ndarray, terms: StockTerms) -> StockPaths:
    """Return what happens to the stock of a depot and a store, each of which orders up to its level in each period.

    The depot's order of a period arrives `depot_lead` on; the store then orders what the depot has, which arrives `lead` on.
    What is above a level that has fallen stays until it is asked for.

    Args:
        upto: Of all stock, by period of the depot's order, shape (w, p).
        store: Of the store, in the period in which that order arrives, shape (w, p).
        actual: Demand, shape (w, p + depot_lead + lead).
        terms: Costs and lead times.
    """
    periods, early, late = upto.shape[1], terms.depot_lead, terms.lead + 1
    total = np.concatenate([np.zeros((len(actual), 1)), np.cumsum(actual, axis=1)], axis=1)
    all_stock = _carried(upto, actual[:, :periods])
    there = all_stock - (total[:, early : early + periods] - total[:, :periods])
    sent = _carried(store, actual[:, early : early + periods], there)
    net = sent - (total[:, early + late : early + late + periods] - total[:, early : early + periods])
    demand = actual[:, early + late - 1 : early + late - 1 + periods]
    return StockPaths(net, there - sent, demand, np.minimum(demand, np.maximum(-net, 0.0)), np.ones(net.shape, bool))


def _carried(levels: np.ndarray, demand: np.ndarray, there: np.ndarray | None = None) -> np.ndarray:
    """Return stock on hand and on order after each order up to a level, as far as there is so much, shape (w, p)."""
    position = np.empty(levels.shape)
    for t in range(levels.shape[1]):
        before = position[:, t - 1] - demand[:, t - 1] if t else levels[:, 0]
        most = np.inf if there is None else there[:, t]
        position[:, t] = np.minimum(np.maximum(levels[:, t], before), most)
    return position
