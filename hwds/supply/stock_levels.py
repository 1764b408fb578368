"""Levels of stock from joint draws of demand, by costs and rules of replenishment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl
from numpy import ndarray

from hwds.stats.distributions import NORMAL

# The costs of stock, and the rule by which it is replenished.

StockPolicy = Literal["newsvendor", "base_stock", "reorder_point", "two_echelons"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StockTerms:
    """The cost of stock.

    Attributes:
        policy: `newsvendor`: what is left at the end of a period is worth nothing in the next;
            `base_stock`: each period one orders up to a level; `reorder_point`: up to a level where
            stock and orders are at or below another, (s, S); `two_echelons`: a depot orders up to a
            level of all stock, and the store up to its own from the depot.
        holding: The cost of a unit that is left at the end of a period.
        shortage: The cost of a unit that is short at the end of a period.
        order: The cost of an order, whatever its size.
        lead: Periods from an order to its arrival; of two echelons from the depot to the store.
        depot_lead: Periods from an order of the depot to its arrival there.
        depot_holding: The cost of a unit that is left in the depot at the end of a period.
        whole: Whether stock is of whole units.
        least: Pairs of a series and a cutoff below which nothing is shown.
    """

    policy: StockPolicy
    holding: float
    shortage: float
    order: float
    lead: int
    depot_lead: int
    depot_holding: float
    whole: bool
    least: int

    @property
    def ratio(self) -> float:
        """The chance not to run short in a period that costs least: shortage / (shortage + holding)
        (Arrow et al. 1951).
        """
        return self.shortage / (self.shortage + self.holding)

    @property
    def reach(self) -> int:
        """The periods from an order to its arrival where demand is; none for a newsvendor."""
        return {"newsvendor": 0, "two_echelons": self.lead + self.depot_lead}.get(
            self.policy, self.lead
        )

    @property
    def cover(self) -> int:
        """The periods whose demand an order must cover: the lead time and the one in which it is
        looked at again.
        """
        return self.reach + 1


def without_depot(terms: StockTerms) -> StockTerms:
    """Return the terms where all stock is in the store, and an order takes the lead times of both
    echelons.
    """
    return replace(terms, policy="base_stock", lead=terms.reach, depot_lead=0)


# Levels of stock from joint draws of demand: the newsvendor's, base stock, (s, S), and two
# echelons.

GRID_CELLS = 100
"""The multiples of a unit that mean demand is at most, on the grid of a reorder point."""

ECHELON_LEVELS = 71
"""Quantiles of demand among which the level of all stock is looked for."""

MOST_STEPS = 10_000
"""Steps of the grid that an order may have; the grid of a larger one is coarser."""

COARSE_STEPS = 4_000
"""Steps of an order on the coarser grid."""


@dataclass(frozen=True, eq=False)
class StockLevels:
    """Levels for each period in which one may order, of one series at one cutoff.

    Attributes:
        upto: Stock on hand and on order after an order, shape (periods,).
        reorder: The level at or below which one orders, shape (periods,); equal to `upto` where one
            always does.
        store: Stock in the store and on the way to it after an order, shape (periods,); equal to
            `upto` without a depot.
        covered: The mean of the demand that each level covers, shape (periods,).
        fill: The expected share of the demand of the last period it covers that is served in that
            period, shape (periods,).
        cost: The expected cost of holding, shortage and orders in that period, shape (periods,).
        point: The long run of stock under an (s, S) pair; None of other rules.
    """

    upto: ndarray
    reorder: ndarray
    store: ndarray
    covered: ndarray
    fill: ndarray
    cost: ndarray
    point: ReorderPoint | None = None


def covered_demand(draws: ndarray, cover: int) -> ndarray:
    """Return draws of the demand of each `cover` periods in a row, shape (periods - cover + 1,
    n).
    """
    total = np.vstack([np.zeros((1, draws.shape[1])), np.cumsum(draws, axis=0)])
    return total[cover:] - total[:-cover]


def levels_of(draws: ndarray, terms: StockTerms) -> StockLevels:
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
        return cycling_levels(draws, sums, terms)
    upto = np.quantile(sums, terms.ratio, axis=1, method=_level_method(terms))
    held = np.maximum(upto[:, None] - sums, 0.0)
    return _with_expectations(
        upto, upto, draws, sums, upto[:, None] - sums, terms, held * terms.holding
    )


def _level_method(terms: StockTerms) -> Literal["inverted_cdf", "hazen"]:
    return "inverted_cdf" if terms.whole else "hazen"


def _with_expectations(
    upto: ndarray,
    store: ndarray,
    draws: ndarray,
    sums: ndarray,
    net: ndarray,
    terms: StockTerms,
    held: ndarray,
) -> StockLevels:
    """Return levels with what is expected of them: net stock of the store and the cost of what is
    held, shapes (periods, n).
    """
    short, last = np.maximum(-net, 0.0), draws[terms.cover - 1 :]
    served = served_share(np.minimum(last, short).mean(axis=1), last.mean(axis=1))
    return StockLevels(
        upto, upto, store, sums.mean(axis=1), served, (held + terms.shortage * short).mean(axis=1)
    )


def served_share(missed: ndarray, asked: ndarray) -> ndarray:
    """Return the share of demand that is served, 1 without any.

    What is owed already is asked for once.
    """
    return np.where(asked > 0, 1 - missed / np.where(asked > 0, asked, 1.0), 1.0)


def cycling_levels(draws: ndarray, sums: ndarray, terms: StockTerms) -> StockLevels:
    """Return an (s, S) pair with what is expected where stock stands as often at each step below S
    as it does in the long run.

    Args:
        draws: Draws of demand by period, shape (periods, n).
        sums: Sums of the demand that an order must cover, shape (periods, n).
        terms: The costs.
    """
    point, last = reorder_point(draws, sums, terms), draws[terms.cover - 1 :]
    cost, missed = np.empty(len(sums)), np.empty(len(sums))
    for period, total in enumerate(sums):
        before, after = np.sort(total - last[period]), np.sort(total)
        costs = PeriodCosts(after, terms.holding, terms.shortage)(point.stands)
        unmet, unmet_before = (
            PeriodCosts(each, 0.0, 1.0)(point.stands) for each in (after, before)
        )
        cost[period], missed[period] = costs @ point.shares, (unmet - unmet_before) @ point.shares
    upto, reorder = np.full(len(sums), point.upto), np.full(len(sums), point.reorder)
    served = served_share(missed, last.mean(axis=1))
    return StockLevels(
        upto, reorder, upto, sums.mean(axis=1), served, cost + terms.order * point.orders, point
    )


def two_echelons(draws: ndarray, terms: StockTerms) -> StockLevels:
    """Return the level of all stock, which the depot orders up to, and that of the store, by Clark
    and Scarf (1960).

    The store's level is that where stock in the depot is free but for its own cost: P(demand <=
    level) is (shortage + depot holding) / (shortage + holding). Given it, the depot's costs least
    over the joint draws of the demand until its order arrives and of the demand that the store must
    then cover.

    Args:
        draws: Draws of demand, shape (periods, n).
        terms: Costs and lead times.
    """
    ratio = (terms.shortage + terms.depot_holding) / (terms.shortage + terms.holding)
    late = covered_demand(draws, terms.lead + 1)[terms.depot_lead :]
    early = covered_demand(draws, terms.depot_lead)[: len(late)]
    store = np.quantile(late, ratio, axis=1, method=_level_method(terms))
    sums = early + late
    upto = np.empty(len(sums))
    shares = np.linspace(0.3, 1.0, ECHELON_LEVELS)
    for period, total in enumerate(sums):
        tried = np.unique(np.quantile(total, shares, method=_level_method(terms)))
        demands = store[period], early[period], late[period]
        costs = [echelon_costs(each, *demands, terms)[1].mean() for each in tried]
        upto[period] = tried[int(np.argmin(costs))]
    net, held = echelon_costs(upto[:, None], store[:, None], early, late, terms, held_alone=True)
    return _with_expectations(upto, store, draws, sums, net, terms, held)


def echelon_costs(
    upto: ndarray | float,
    store: ndarray | float,
    early: ndarray,
    late: ndarray,
    terms: StockTerms,
    *,
    held_alone: bool = False,
) -> tuple[ndarray, ndarray]:
    """Return the net stock of the store, and the cost of both echelons, or of what they hold alone.

    Args:
        upto: The level of all stock when the depot orders.
        store: The level up to which the store orders, as far as the depot has it.
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


def textbook_levels(draws: ndarray, terms: StockTerms) -> ndarray:
    """Return the mean of the demand to cover and z of its deviations, if it were normal and its
    periods independent.

    Args:
        draws: Draws of demand, shape (periods, n).
        terms: Costs and lead time.
    """
    mean = covered_demand(draws.mean(axis=1, keepdims=True), terms.cover)[:, 0]
    variance = covered_demand(draws.var(axis=1, keepdims=True), terms.cover)[:, 0]
    level = np.maximum(mean + NORMAL.inv_cdf(terms.ratio) * np.sqrt(np.maximum(variance, 0.0)), 0.0)
    return np.ceil(level - 1e-9) if terms.whole else level


@dataclass(frozen=True, eq=False)
class ReorderPoint:
    """An (s, S) pair in the long run.

    Attributes:
        reorder: The level at or below which one orders.
        upto: The level that one orders up to.
        stands: Stock on hand and on order after orders, shape (k,).
        shares: The share of periods in which it stands at each, shape (k,).
        orders: The expected orders of a period.
    """

    reorder: float
    upto: float
    stands: ndarray
    shares: ndarray
    orders: float

    def at(self, share: float) -> tuple[float, bool]:
        """Return where stock stands in all but a share of periods, from the highest on, and whether
        that is after an order.
        """
        place = int(np.searchsorted(np.cumsum(self.shares), share, side="right"))
        return float(self.stands[min(place, len(self.stands) - 1)]), share < self.orders


def reorder_point(draws: ndarray, sums: ndarray, terms: StockTerms) -> ReorderPoint:
    """Return the reorder point and the order-up-to level that cost least in the long run, of demand
    that stays as it is.

    The exact search of Zheng and Federgruen (1991, "Finding optimal (s, S) policies is about as
    simple as evaluating a single policy", Operations Research 39) on a grid of whole units, or of a
    hundredth of mean demand where that is more. Where one orders more than `MOST_STEPS` steps, the
    grid is coarser, and demand is split between its neighbours so that its mean stays.

    Args:
        draws: Draws of demand by period, shape (periods, n); all periods count alike.
        sums: Sums of the demand that an order must cover, shape (periods, n).
        terms: The costs.
    """
    mean = float(draws.mean())
    if mean <= 0:
        return ReorderPoint(-1.0, 0.0, np.zeros(1), np.ones(1), 0.0)
    unit = max(np.ceil(mean / GRID_CELLS), 1.0) if terms.whole else mean / GRID_CELLS * 4
    steps = (
        np.sqrt(2 * terms.order * mean) * (terms.holding**-0.5 + terms.shortage**-0.5) / unit
    )  # the widest s to S
    coarse = steps > MOST_STEPS
    unit *= np.ceil(steps / COARSE_STEPS) if coarse else 1.0
    chances = (
        _split_chances(draws.ravel() / unit) if coarse else _step_chances(draws.ravel() / unit)
    )
    low, high = search_reorder_point(chances, np.sort(np.round(sums.ravel() / unit)), terms, unit)
    times, until = RenewalVisits(chances).of(high - low)
    return ReorderPoint(
        unit * low, unit * high, unit * (high - np.arange(high - low)), times / until, 1 / until
    )


def _step_chances(demand: ndarray) -> ndarray:
    """Return the chances of 0, 1, 2 ... steps."""
    return np.bincount(np.maximum(np.round(demand), 0).astype(int)) / len(demand)


def _split_chances(demand: ndarray) -> ndarray:
    """Return the chances of 0, 1, 2 ... steps, a draw between two of them in parts of both."""
    below = np.floor(np.maximum(demand, 0.0)).astype(int)
    part = np.maximum(demand, 0.0) - below
    ends = np.concatenate([below, below + 1])
    return np.bincount(ends, np.concatenate([1 - part, part])) / len(demand)


def search_reorder_point(
    chances: ndarray, sums: ndarray, terms: StockTerms, unit: float = 1.0
) -> tuple[int, int]:
    """Return s and S in grid steps.

    Args:
        chances: The chances of a period's demand of 0, 1, 2 ... steps.
        sums: Draws of the demand that an order covers, in steps, rising.
        terms: The costs.
        unit: Units of a step.
    """
    costs = PeriodCosts(sums, terms.holding * unit, terms.shortage * unit)
    renewals = RenewalVisits(chances)

    def cost(low: int, high: int) -> float:
        times, until = renewals.of(high - low)
        return float((terms.order + times @ costs(high - np.arange(high - low))) / until)

    # the search begins at the best single level, below which s lies
    best = int(np.quantile(sums, terms.ratio, method="inverted_cdf"))
    high, low = best, best - 1
    while cost(low, high) > costs(low):
        low -= 1
    least, tried = cost(low, high), high + 1
    while costs(tried) <= least:
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
        holding: The cost of a unit left.
        shortage: The cost of a unit short.
    """

    def __init__(self, sums: ndarray, holding: float, shortage: float) -> None:
        self.sums, self.holding, self.shortage = sums, holding, shortage
        self.below = np.concatenate([[0.0], np.cumsum(sums)])

    def __call__(self, level: int | ndarray) -> ndarray:
        """Return holding E(level - D)+ + shortage E(D - level)+."""
        n, total = len(self.sums), self.below[-1]
        count = np.searchsorted(self.sums, level)
        left = (level * count - self.below[count]) / n
        short = (total - self.below[count] - level * (n - count)) / n
        return self.holding * left + self.shortage * short


class RenewalVisits:
    """The expected visits of stock to each step below the order-up-to level, in one cycle.

    Args:
        chances: The chances of a period's demand of 0, 1, 2 ... steps; the first below 1.
    """

    def __init__(self, chances: ndarray) -> None:
        self.chances, self.times = chances, [1 / (1 - chances[0])]

    def of(self, steps: int) -> tuple[ndarray, float]:
        """Return the expected periods at 0, 1 ... steps below, shape (steps,), and their sum: the
        length of a cycle.
        """
        while len(self.times) < steps:
            j = len(self.times)
            reach = min(j, len(self.chances) - 1)
            back = np.array(self.times[j - reach : j][::-1])
            self.times.append(float(self.chances[1 : reach + 1] @ back) / (1 - self.chances[0]))
        known = np.array(self.times[:steps])
        return known, float(known.sum())


# StockCases: the evidence that stock is decided from: levels by the law of demand, and what
# demand was.

LAW_SOURCES = {
    "paths": "sample paths",
    "errors": "the steps' quantiles in the rank order of past errors",
    "independent": "the steps' quantiles, as if months had nothing to do with each other",
}
"""The sources of the joint law of a series' steps, in words."""


@dataclass(frozen=True, eq=False)
class StockCases:
    """Levels of w pairs of a series and a cutoff.

    Attributes:
        keys: `series` and `cutoff`, one row a case; and `moment`, the cutoff on a clock of all
            series, where it is not.
        levels: The levels of each case.
        actual: Demand, NaN where it is not known, shape (w, periods).
        sources: The source of the joint law of each case, see `LAW_SOURCES`.
        alone: Levels without a depot; those of the rule where it has none, shape (w, periods of
            orders).
        textbook: Levels of normal demand whose steps have nothing to do with each other, shape (w,
            periods of orders).
    """

    keys: pl.DataFrame
    levels: tuple[StockLevels, ...]
    actual: ndarray
    sources: tuple[str, ...]
    textbook: ndarray
    alone: ndarray

    def __len__(self) -> int:
        return len(self.levels)

    @property
    def known(self) -> ndarray:
        """A flag for each case that has a demand for each of its periods, shape (w,)."""
        return ~np.isnan(self.actual).any(axis=1)

    def stack(self, name: str) -> ndarray:
        """Return a part of the levels, shape (w, periods of orders)."""
        parts = [getattr(each, name) for each in self.levels]
        return np.stack(parts) if parts else np.zeros((0, 0))


def stock_cases(
    keys: pl.DataFrame,
    draws: Iterable[tuple[ndarray, str]],
    actual: ndarray,
    terms: StockTerms,
) -> StockCases:
    """Return the levels of each case.

    Args:
        keys: See `StockCases`.
        draws: The joint draws of each case, shape (periods, n), and their source.
        actual: Demand, shape (w, periods).
        terms: The rule.
    """
    levels, sources, textbook, alone = [], [], [], []
    for each, source in draws:
        levels.append(levels_of(each, terms))
        sources.append(source)
        textbook.append(textbook_levels(each, terms))
        no_depot = terms.policy == "two_echelons"
        alone.append((levels_of(each, without_depot(terms)) if no_depot else levels[-1]).upto)
    return StockCases(
        keys, tuple(levels), actual, tuple(sources), np.array(textbook), np.array(alone)
    )
