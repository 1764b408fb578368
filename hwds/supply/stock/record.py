"""The record of stock: costs and service reached in held-out periods, of each model, with intervals over series."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from hwds.statistics.aggregate import Estimate, one_minus_ratio, pooled
from hwds.supply.stock.cases import StockCases
from hwds.supply.stock.simulate import StockPaths, simulate, simulate_echelons
from hwds.supply.stock.terms import StockTerms, without_depot

TEXTBOOK = "[normal, independent months]"
"""Behind a model's name: levels of its means and deviations by the textbook's rule."""

GOLDEN = (5**0.5 - 1) / 2
"""Multiples of it, less their whole parts, fill the unit interval evenly."""

ALONE = "[without a depot]"
"""Behind a model's name: all stock in the store, by the lead time of both echelons together."""

RECORD = {
    "model": pl.String,
    **{f"{name}{end}": pl.Float64 for name in ("cost", "saving", "service", "fill") for end in ("", "_low", "_high")},
    "held": pl.Float64,
    "short": pl.Float64,
    "orders": pl.Float64,
    "cases": pl.Int64,
    "series": pl.Int64,
    "periods": pl.Int64,
}
"""The columns of a record: cost of a period, saving against the experiment's own model's cost of the first rival, share of
periods that end without a shortage, share of demand that is served in its period, mean units held and owed, orders a period."""


def record_of(models: Mapping[str, StockCases], own: str, base: str | None, terms: StockTerms) -> pl.DataFrame:
    """Return a row for each model, and for the textbook's levels of the experiment's own.

    Args:
        models: By label; all on the same cases where they have answers.
        own: The experiment's own model.
        base: The model that savings are counted from; None for none.
        terms: The costs.
    """
    paths = {name: (cases, _paths(cases, terms, cases.stacked("upto"))) for name, cases in models.items() if cases.known.any()}
    if own in paths and terms.policy == "two_echelons":
        paths[f"{own}{ALONE}"] = (models[own], _paths(models[own], without_depot(terms), models[own].alone))
    elif own in paths and terms.policy != "reorder_point":
        paths[f"{own}{TEXTBOOK}"] = (models[own], _paths(models[own], terms, models[own].textbook))
    names = series_of(models)
    costs = {name: _by_series(names, cases, path.cost(terms)) for name, (cases, path) in paths.items()}
    rows = [_row(name, cases, path, names, costs, base) for name, (cases, path) in paths.items()]
    return pl.DataFrame(rows, schema=RECORD)


def series_of(models: Mapping[str, StockCases]) -> list[str]:
    """Return the names of all series."""
    return sorted({name for cases in models.values() for name in cases.keys["series"]})


def _paths(cases: StockCases, terms: StockTerms, upto: np.ndarray) -> StockPaths:
    """Return what happened in the cases whose demand is known."""
    known = cases.known
    if terms.policy == "two_echelons":
        return simulate_echelons(upto[known], cases.stacked("store")[known], cases.actual[known], terms)
    reorder = cases.stacked("reorder") if terms.policy == "reorder_point" else upto
    return simulate(upto[known], reorder[known], cases.actual[known], terms, _begins(cases))


def _begins(cases: StockCases) -> tuple[np.ndarray, np.ndarray] | None:
    """Return where the stock of each known case stands at first, by its long run, evenly over cases; None without (s, S)."""
    known = np.flatnonzero(cases.known).tolist()
    points = [(place, cases.levels[place].point) for place in known]
    stands = [point.at((place + 0.5) * GOLDEN % 1) for place, point in points if point is not None]
    return (np.array([at for at, _ in stands]), np.array([after for _, after in stands])) if stands else None


def _by_series(names: list[str], cases: StockCases, values: np.ndarray) -> np.ndarray:
    """Return the mean of a value over the periods of each series, NaN for one without; shape (series,)."""
    place = pl.Series(names).search_sorted(cases.keys["series"].filter(pl.Series(cases.known))).to_numpy()
    total = np.bincount(place, values.sum(axis=1), len(names))
    count = np.bincount(place, minlength=len(names)) * values.shape[1]
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _row(
    name: str,
    cases: StockCases,
    path: StockPaths,
    names: list[str],
    costs: Mapping[str, np.ndarray],
    base: str | None,
) -> dict[str, object]:
    ok = _by_series(names, cases, (path.net >= 0).astype(float))
    unserved, demand = (_by_series(names, cases, each) for each in (path.unserved, path.demand))
    lost = pooled(unserved, demand)
    row: dict[str, object] = {"model": name, "cases": int(cases.known.sum()), "series": int((~np.isnan(costs[name])).sum())}
    row |= dict(_ends("cost", _mean(costs[name], np.inf))) | dict(_ends("service", _mean(ok, 1.0)))
    row |= {f"fill{end}": value for end, value in _complement(lost)}
    if base is not None and base in costs and name != base:
        row |= dict(_ends("saving", one_minus_ratio(costs[name], costs[base])))
    held, owed = (np.maximum(path.net, 0) + path.depot).mean(), np.maximum(-path.net, 0).mean()
    return row | {"held": held, "short": owed, "orders": path.ordered.mean(), "periods": path.net.size}


def _mean(values: np.ndarray, most: float) -> Estimate:
    """Return the mean over series, and its interval within 0 and `most`: no cost is negative, no share above 1."""
    mean = pooled(values, np.where(np.isnan(values), np.nan, 1.0))
    low, high = (None if end is None else min(max(end, 0.0), most) for end in (mean.low, mean.high))
    return replace(mean, low=low, high=high)


def _ends(name: str, each: Estimate) -> Iterator[tuple[str, float | None]]:
    yield from ((f"{name}", each.value), (f"{name}_low", each.low), (f"{name}_high", each.high))


def _complement(lost: Estimate) -> Iterator[tuple[str, float | None]]:
    """Yield one less a share, and the ends of its interval within 0 and 1."""
    yield "", None if lost.value is None else 1 - lost.value
    yield "_low", None if lost.high is None else max(1 - lost.high, 0.0)
    yield "_high", None if lost.low is None else min(1 - lost.low, 1.0)
