"""The impact of a change of prices: units, revenue and margin, of the cells whose prices change and of their substitutes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from hwds.pricing.demand_evidence import DemandEstimates
from hwds.pricing.optimum.draws import MOST_LOG, DemandDraws

Scope = Literal["cell", "product", "channel"]

EVERYTHING = "all cells"
"""The name of the scope of all cells together."""

MOST_BEYOND = 0.1
"""The share of the cells whose price may lie beyond the observed ones in a change that is recommended."""

MEASURES = ("units", "revenue", "margin")

IMPACT: dict[str, Any] = {
    "scope": pl.String,
    "cells": pl.Int64,
    "change": pl.Float64,
    **{f"{name}_now": pl.Float64 for name in MEASURES},
    **{f"{name}{end}": pl.Float64 for name in MEASURES for end in ("", "_low", "_high")},
    "probability_margin_up": pl.Float64,
    **{f"others_{name}": pl.Float64 for name in MEASURES},
    "first_units": pl.Float64,
    "brought_forward": pl.Float64,
    "beyond": pl.Int64,
}
"""Columns of the impacts, a row for each scope and change of price; all of a period.

`units`, `revenue` and `margin` are the changes that stay, with equal-tailed intervals, of the scope's own cells and all cells
that answer to their prices; `others_` are the parts of the latter, posterior means. `first_units` is what the scope's own cells
change by in the first period, `brought_forward` the part of it that does not stay, for it comes from later periods. `beyond`
counts the cells whose price would lie further outside the observed ones than the band. Margins are null without costs.
"""


@dataclass(frozen=True, slots=True)
class ImpactTerms:
    """The changes that are asked for.

    Attributes:
        changes: Of prices, as shares.
        scope: Whose prices change together.
        level: Of the intervals.
        deductions: The share of the price that is given back after the invoice.
        band: The largest distance beyond the observed prices, as a share of these.
    """

    changes: tuple[float, ...]
    scope: Scope
    level: float
    deductions: float = 0.0
    band: float = 0.0


def impacts(evidence: DemandEstimates, draws: int, rng: np.random.Generator, terms: ImpactTerms) -> pl.DataFrame:
    """Return the impact of each change on each scope, and on all cells together; see `IMPACT`.

    Cells without an estimate are left out: their prices do not change.

    Args:
        evidence: The cells.
        draws: Of the posterior.
        rng: Of the draws.
        terms: The settings of the changes.
    """
    demand = DemandDraws.of(evidence, draws, rng, objective="profit", deductions=terms.deductions)
    costs = not np.isnan(evidence.column("cost")).any()
    lowest = evidence.column("low") * (1 - terms.band - 1e-9)
    highest = evidence.column("high") * (1 + terms.band + 1e-9)
    rows = []
    for scope, cells in scopes(evidence, terms.scope).items():
        price, answer = demand.price[cells], _ScopeAnswer.of(demand, cells)
        for change in terms.changes:
            moved = price * (1 + change)
            beyond = int(((moved < lowest[cells]) | (moved > highest[cells])).sum())
            row = answer.impact(change, terms.level, MEASURES if costs else MEASURES[:2])
            rows.append({"scope": scope, "cells": len(cells), "change": change, "beyond": beyond} | row)
    return pl.DataFrame(rows, schema=IMPACT)


def scopes(evidence: DemandEstimates, scope: Scope) -> dict[str, np.ndarray]:
    """Return the cells with an estimate that change together, all of them first."""
    known = np.flatnonzero(evidence.known)
    names = evidence.cells[scope].to_numpy()
    each = {str(name): known[names[known] == name] for name in dict.fromkeys(names[known].tolist())}
    return {EVERYTHING: known, **each} if len(known) else {}


@dataclass(frozen=True, eq=False)
class _ScopeAnswer:
    """The units of some cells, and of all that answer to their prices, as these prices move.

    Attributes:
        own: d log units of the scope's cells / d log of its prices, shape (D, n).
        others: The same of the cells that answer, shape (D, m).
        lag: The part of `own` that last period's prices have, shape (D, n); None for none.
        units, price, cost: Of the scope's cells and of the others behind them, shape (n + m,).
        pocket: The share of the price that is kept.
    """

    own: np.ndarray
    others: np.ndarray
    lag: np.ndarray | None
    units: np.ndarray
    price: np.ndarray
    cost: np.ndarray
    pocket: float

    @classmethod
    def of(cls, demand: DemandDraws, cells: np.ndarray) -> _ScopeAnswer:
        """Return how demand answers where the prices of some cells move together."""
        logs, place = demand.answer_to(cells)
        lag = None if demand.lag is None or not demand.lag.any() else demand.lag[:, cells]
        own, others = logs[:, : len(cells)], logs[:, len(cells) :]
        units = demand.units.mean(0)[place]
        return cls(own, others, lag, units, demand.price[place], demand.cost[place], demand.pocket)

    def impact(self, change: float, level: float, measures: Sequence[str]) -> dict[str, Any]:
        """Return the numbers of one change of the scope's prices; see `IMPACT`."""
        count, moved = self.own.shape[1], np.log1p(change)
        now, then = self._brought(self.price), self._brought(self.price * (1 + change))
        own = _factors(self.own, moved) @ then[:count] - now[:count].sum(0)
        others = _factors(self.others, moved) @ now[count:] - now[count:].sum(0)
        low, high = np.quantile(own + others, [(1 - level) / 2, (1 + level) / 2], axis=0)
        row: dict[str, Any] = {}
        for place, name in enumerate(measures):
            row |= {f"{name}_now": now[:count, place].sum(), name: (own + others)[:, place].mean()}
            row |= {f"{name}_low": low[place], f"{name}_high": high[place], f"others_{name}": others[:, place].mean()}
        if "margin" in measures:
            row["probability_margin_up"] = ((own + others)[:, MEASURES.index("margin")] > 0).mean()
        first = lasting = float(own[:, 0].mean())
        if self.lag is not None:
            units = self.units[:count]
            first = float((_factors(self.own - self.lag, moved) @ units).mean() - units.sum())
        return row | {"first_units": first, "brought_forward": first - lasting}

    def _brought(self, prices: np.ndarray) -> np.ndarray:
        """Return what today's units are and bring at some prices, in the order of `MEASURES`, shape (n + m, 3)."""
        return self.units[:, None] * np.column_stack([np.ones(len(prices)), prices, prices * self.pocket - self.cost])


def _factors(answer: np.ndarray, moved: float) -> np.ndarray:
    """Return by what units are multiplied where the log of prices moves, shape (D, cells)."""
    factors: np.ndarray = np.exp(np.clip(answer * moved, -MOST_LOG, MOST_LOG))
    return factors


def best_change(rows: pl.DataFrame, confidence: float) -> Mapping[str, Any] | None:
    """Return the change of all prices that brings most margin, of those that bring some surely enough and were mostly observed.

    Args:
        rows: The impacts.
        confidence: The least probability that margin rises.
    """
    of_all = rows.filter((pl.col("scope") == EVERYTHING) & (pl.col("margin") > 0))
    observed = of_all.filter(pl.col("beyond") <= MOST_BEYOND * pl.col("cells"))
    sure = observed.filter(pl.col("probability_margin_up") >= confidence).sort("margin", descending=True)
    return sure.row(0, named=True) if len(sure) else None


def at_change(rows: pl.DataFrame, change: float, scopes: Sequence[str] = (EVERYTHING,)) -> pl.DataFrame:
    """Return the impacts of one change on some scopes."""
    return rows.filter(((pl.col("change") - change).abs() < 1e-9) & pl.col("scope").is_in(scopes))
