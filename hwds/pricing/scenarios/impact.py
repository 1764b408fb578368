"""The impact of a change of prices: units, revenue and margin, of the cells whose prices change and of their substitutes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import polars as pl

from hwds.pricing.demand_evidence import DemandEstimates
from hwds.pricing.optimum.draws import DemandDraws

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
    """Which changes are asked for.

    Attributes:
        changes: Of prices, as shares.
        scope: Whose prices change together.
        level: Of the intervals.
        deductions: The share of the price that is given back after the invoice.
        band: How far beyond the observed prices one may go, as a share of these.
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
        terms: What is asked for.
    """
    demand = DemandDraws.of(evidence, draws, rng, objective="profit", deductions=terms.deductions)
    costs = not np.isnan(evidence.column("cost")).any()
    rows = [
        _impact(evidence, demand, scope, cells, change, terms, costs=costs)
        for scope, cells in scopes(evidence, terms.scope).items()
        for change in terms.changes
    ]
    return pl.DataFrame(rows, schema=IMPACT)


def scopes(evidence: DemandEstimates, scope: Scope) -> dict[str, np.ndarray]:
    """Return the cells with an estimate that change together, all of them first."""
    known = np.flatnonzero(evidence.known)
    names = evidence.cells[scope].to_numpy()
    each = {str(name): known[names[known] == name] for name in dict.fromkeys(names[known].tolist())}
    return {EVERYTHING: known, **each} if len(known) else {}


def _impact(
    evidence: DemandEstimates,
    demand: DemandDraws,
    scope: str,
    cells: np.ndarray,
    change: float,
    terms: ImpactTerms,
    *,
    costs: bool,
) -> dict[str, Any]:
    level = terms.level
    part, _ = demand.answering(cells, demand.price)
    first = part if part.lag is None else replace(part, own=part.own - part.lag)
    prices, count = part.price.copy(), len(cells)
    prices[:count] *= 1 + change
    now, then = dict(_measures(part, part.price)), dict(_measures(part, prices))
    row: dict[str, Any] = {"scope": scope, "cells": count, "change": change}
    for name in MEASURES if costs else MEASURES[:2]:
        own, others = ((then[name] - now[name])[:, where].sum(1) for where in (slice(count), slice(count, None)))
        low, high = np.quantile(own + others, [(1 - level) / 2, (1 + level) / 2])
        row |= {f"{name}_now": float(now[name][:, :count].sum(1).mean()), name: float((own + others).mean())}
        row |= {f"{name}_low": float(low), f"{name}_high": float(high), f"others_{name}": float(others.mean())}
        if name == "margin":
            row["probability_margin_up"] = float((own + others > 0).mean())
    at_first = float((first.units_at(prices) - now["units"])[:, :count].sum(1).mean())
    lasting = float((then["units"] - now["units"])[:, :count].sum(1).mean())
    low, high = (evidence.column(name)[cells] for name in ("low", "high"))
    beyond = int(((prices[:count] < low * (1 - terms.band - 1e-9)) | (prices[:count] > high * (1 + terms.band + 1e-9))).sum())
    return row | {"first_units": at_first, "brought_forward": at_first - lasting, "beyond": beyond}


def _measures(part: DemandDraws, prices: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    units = part.units_at(prices)
    yield "units", units
    yield "revenue", units * prices
    yield "margin", units * part.margin(prices)


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
