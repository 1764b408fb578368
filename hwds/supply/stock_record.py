"""The record of stock: costs and service in held-out periods, with intervals over series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy import ndarray

from hwds.results.columns import Column, Declared, with_interval
from hwds.stats.estimates import Estimate, one_minus_ratio, pooled_ratio
from hwds.supply.stock_levels import StockCases, StockTerms, without_depot

# Stock in held-out periods: what would have been on hand and short, had levels been those of
# the forecast.


@dataclass(frozen=True, eq=False)
class StockPaths:
    """The stock of w series over p periods, each of shape (w, p).

    Attributes:
        net: The stock on hand at the end of a period, less what is still owed; of two echelons in
            the store.
        depot: The stock on hand in the depot, 0 without one.
        demand: The demand of the period.
        unserved: The demand of the period that could not be served in it.
        ordered: Whether an order was made for it.
    """

    net: ndarray
    depot: ndarray
    demand: ndarray
    unserved: ndarray
    ordered: ndarray

    def cost(self, terms: StockTerms) -> ndarray:
        """Return the cost of each period, shape (w, p)."""
        held, owed = np.maximum(self.net, 0.0), np.maximum(-self.net, 0.0)
        here = terms.holding * held + terms.depot_holding * self.depot
        return here + terms.shortage * owed + terms.order * self.ordered


def simulate_stock(
    upto: ndarray,
    reorder: ndarray,
    actual: ndarray,
    terms: StockTerms,
    begins: tuple[ndarray, ndarray] | None = None,
) -> StockPaths:
    """Return what happens to stock where what is short is delivered later.

    An order of a period arrives `lead` periods on, and the stock after it meets demand to the end
    of that one. The first `lead` periods, which no level of the forecast reaches, are not counted.
    A newsvendor begins each period anew, and owes nothing.

    Args:
        upto: Levels by period of the order, shape (w, p).
        reorder: The level at or below which one orders, shape (w, p).
        actual: Demand, shape (w, p + lead).
        terms: The rule.
        begins: Stock on hand and on order in the first period, and whether that is after an order,
            each of shape (w,); None for the first level without an order.
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
    net = position - _demand_sums(actual, 0, lead + 1, periods)
    demand, depot = actual[:, lead : lead + periods], np.zeros(net.shape)
    return StockPaths(net, depot, demand, np.minimum(demand, np.maximum(-net, 0.0)), ordered)


def _demand_sums(actual: ndarray, first: int, many: int, periods: int) -> ndarray:
    """Return the demand of `many` periods in a row, from each of so many first ones; shape (w,
    periods).
    """
    total = np.concatenate([np.zeros((len(actual), 1)), np.cumsum(actual, axis=1)], axis=1)
    last = first + many
    return total[:, last : last + periods] - total[:, first : first + periods]


def simulate_echelons(
    upto: ndarray, store: ndarray, actual: ndarray, terms: StockTerms
) -> StockPaths:
    """Return what happens to the stock of a depot and a store, each of which orders up to its level
    in each period.

    The depot's order of a period arrives `depot_lead` on; the store then orders what the depot has,
    which arrives `lead` on. What is above a level that has fallen stays until it is asked for.

    Args:
        upto: The level of all stock, by period of the depot's order, shape (w, p).
        store: The level of the store, in the period in which that order arrives, shape (w, p).
        actual: Demand, shape (w, p + depot_lead + lead).
        terms: Costs and lead times.
    """
    periods, early, late = upto.shape[1], terms.depot_lead, terms.lead + 1
    there = _carry_stock(upto, actual[:, :periods]) - _demand_sums(actual, 0, early, periods)
    sent = _carry_stock(store, actual[:, early : early + periods], there)
    net = sent - _demand_sums(actual, early, late, periods)
    last = early + late - 1
    demand, ordered = actual[:, last : last + periods], np.ones(net.shape, bool)
    unserved = np.minimum(demand, np.maximum(-net, 0.0))
    return StockPaths(net, there - sent, demand, unserved, ordered)


def _carry_stock(levels: ndarray, demand: ndarray, there: ndarray | None = None) -> ndarray:
    """Return stock on hand and on order after each order up to a level, as far as there is so much,
    shape (w, p).
    """
    position = np.empty(levels.shape)
    for t in range(levels.shape[1]):
        before = position[:, t - 1] - demand[:, t - 1] if t else levels[:, 0]
        most = np.inf if there is None else there[:, t]
        position[:, t] = np.minimum(np.maximum(levels[:, t], before), most)
    return position


# The record of stock: costs and service reached in held-out periods, of each model, with
# intervals over series.

TEXTBOOK_RULE = "[normal, independent months]"
"""Behind a model's name: levels of its means and deviations by the textbook's rule."""

GOLDEN_RATIO = (5**0.5 - 1) / 2
"""Multiples of it, less their whole parts, fill the unit interval evenly."""

NO_DEPOT = "[without a depot]"
"""Behind a model's name: all stock in the store, by the lead time of both echelons together."""

RECORD = Declared.of(
    Column("model", "text", "", "levels from", "levels from", "{{ shown_name(model) }}"),
    with_interval(
        Column("cost", "number", "Mean cost of a period.", "cost a period and series", "cost"),
        brief="95 %",
    ),
    with_interval(
        Column(
            "saving",
            "share",
            "1 - the cost of the experiment's own model over that of the first rival.",
            "saves against {{ base }}, %",
            "saves\n%",
            "{{ saving | change }}{% if saving_low is not none %}"
            " ± {{ (50 * (saving_high - saving_low)) | written('.1f') }}{% endif %}",
        ),
        ends="",
    ),
    with_interval(
        Column("service", "share", "", "periods without a shortage, %", "service\n%"),
        ends="95 % of these",
    ),
    with_interval(
        Column("fill", "share", "", "demand served in its period, %", "fill\n%"), ends=""
    ),
    Column("held", "number", "Mean units on hand.", "units held", "held"),
    Column("short", "number", "Mean units owed.", "units owed", "owed"),
    Column("orders", "number", "", "orders a period", "orders", "{{ orders | written('.2f') }}"),
    Column("cases", "count", "Cases with known demand.", "cases", "cases"),
    Column("series", "count", "Series of these."),
    Column("periods", "count", "Periods of these."),
)


def stock_records(
    models: Mapping[str, StockCases], own: str, base: str | None, terms: StockTerms
) -> pl.DataFrame:
    """Return a row for each model, and for the textbook's levels of the experiment's own.

    Args:
        models: The cases of each model by its label; the same ones where they have forecasts.
        own: The experiment's own model.
        base: The model that savings are counted from; None for none.
        terms: The costs.
    """
    paths = {
        name: (cases, _stock_paths(cases, terms, cases.stack("upto")))
        for name, cases in models.items()
        if cases.known.any()
    }
    if own in paths:
        cases = models[own]
        if terms.policy == "two_echelons":
            in_store = _stock_paths(cases, without_depot(terms), cases.alone)
            paths[f"{own}{NO_DEPOT}"] = cases, in_store
        elif terms.policy != "reorder_point":
            paths[f"{own}{TEXTBOOK_RULE}"] = cases, _stock_paths(cases, terms, cases.textbook)
    names = sorted({name for cases in models.values() for name in cases.keys["series"]})
    costs = {
        name: _by_series(names, cases, path.cost(terms)) for name, (cases, path) in paths.items()
    }
    rows = [
        _record_row(name, cases, path, names, costs, base) for name, (cases, path) in paths.items()
    ]
    return RECORD.frame(rows)


def _stock_paths(cases: StockCases, terms: StockTerms, upto: ndarray) -> StockPaths:
    """Return what happened in the cases whose demand is known."""
    known = cases.known
    if terms.policy == "two_echelons":
        return simulate_echelons(
            upto[known], cases.stack("store")[known], cases.actual[known], terms
        )
    reorder = cases.stack("reorder") if terms.policy == "reorder_point" else upto
    return simulate_stock(
        upto[known], reorder[known], cases.actual[known], terms, _case_begins(cases)
    )


def _case_begins(cases: StockCases) -> tuple[ndarray, ndarray] | None:
    """Return where the stock of each known case stands at first, by its long run, evenly over
    cases; None without (s, S).
    """
    known = np.flatnonzero(cases.known).tolist()
    points = [(place, cases.levels[place].point) for place in known]
    stands = [
        point.at((place + 0.5) * GOLDEN_RATIO % 1) for place, point in points if point is not None
    ]
    at, after = zip(*stands, strict=True) if stands else ((), ())
    return (np.array(at), np.array(after)) if stands else None


def _by_series(names: list[str], cases: StockCases, values: ndarray) -> ndarray:
    """Return the mean of a value over the periods of each series, NaN for one without.

    Shape (series,).
    """
    known = cases.keys["series"].filter(pl.Series(cases.known))
    place = pl.Series(names).search_sorted(known).to_numpy()
    total = np.bincount(place, values.sum(axis=1), len(names))
    count = np.bincount(place, minlength=len(names)) * values.shape[1]
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _record_row(
    name: str,
    cases: StockCases,
    path: StockPaths,
    names: list[str],
    costs: Mapping[str, ndarray],
    base: str | None,
) -> dict[str, object]:
    short = np.maximum(-path.net, 0)
    met, unserved, demand = (
        _by_series(names, cases, each)
        for each in ((path.net >= 0).astype(float), path.unserved, path.demand)
    )
    estimates = {
        "cost": _clip(_series_mean(costs[name]), np.inf),
        "service": _clip(_series_mean(met), 1.0),
        "fill": _share_served(pooled_ratio(unserved, demand)),
    }
    if base is not None and base in costs and name != base:
        estimates["saving"] = one_minus_ratio(costs[name], costs[base])
    row: dict[str, object] = {
        "model": name,
        "cases": int(cases.known.sum()),
        "series": int((~np.isnan(costs[name])).sum()),
        "held": (np.maximum(path.net, 0) + path.depot).mean(),
        "short": short.mean(),
        "orders": path.ordered.mean(),
        "periods": path.net.size,
    }
    for column, each in estimates.items():
        row |= {column: each.value, f"{column}_low": each.low, f"{column}_high": each.high}
    return row


def _series_mean(values: ndarray) -> Estimate:
    """Return the mean over series, NaN counting as undefined."""
    return pooled_ratio(values, np.where(np.isnan(values), np.nan, 1.0))


def _clip(estimate: Estimate, most: float) -> Estimate:
    """Return an estimate with its interval within 0 and `most`: no cost is negative, no share above
    1.
    """
    low, high = (
        None if end is None else min(max(end, 0.0), most) for end in (estimate.low, estimate.high)
    )
    return replace(estimate, low=low, high=high)


def _share_served(lost: Estimate) -> Estimate:
    """Return the share of demand that is served, from the share that is lost."""
    value, low, high = (
        None if each is None else 1 - each for each in (lost.value, lost.high, lost.low)
    )
    return _clip(replace(lost, value=value, low=low, high=high), 1.0)
