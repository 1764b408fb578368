"""The value of information: what knowing an elasticity, or a test of it, would add to the recommended prices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.pricing.optimum.draws import DemandDraws
from hwds.pricing.optimum.guardrails import gap_interval
from hwds.pricing.optimum.recommend import PriceRecommendation
from hwds.pricing.optimum.solve import allowed_prices

STEPS = 21
"""Prices of a cell between its bounds among which knowledge would choose."""

MOST_DRAWS = 500
"""Draws that are read, the first of all."""

RESULTS = 64
"""Simulated results of a test."""


@dataclass(frozen=True, slots=True)
class InformationValue:
    """What information on one cell's elasticity is worth in a period, beyond the best price by what is known.

    Attributes:
        perfect: Of knowing it, and all that moves with it, for certain (expected value of perfect information).
        test: Of a test with a standard error (expected value of sample information).
    """

    perfect: float
    test: float


def value_of(made: PriceRecommendation, cell: int, stderr: float, rng: np.random.Generator) -> InformationValue:
    """Return what information on a cell is worth; other prices stay as recommended.

    A test's result is the elasticity plus normal noise; each draw is weighted by its likelihood given the result, and the price
    that is best under the weights is charged (Raiffa and Schlaifer 1961, Applied Statistical Decision Theory).

    Args:
        made: What is recommended.
        cell: Which cell.
        stderr: Of the elasticity that the test measures.
        rng: Of the simulated results.
    """
    tried = np.append(_choices(made, cell), made.prices[cell])
    part = first_draws(made.demand, MOST_DRAWS).answering(np.array([cell]), made.prices)[0]
    totals = np.stack([part.totals(np.append(price, part.price[1:])) for price in tried], 1)
    acting = float(totals.mean(0).max())
    perfect = max(float(totals.max(1).mean()) - acting, 0.0)
    test = max(float((_weights(part.own[:, 0], stderr, rng) @ totals).max(1).mean()) - acting, 0.0)
    return InformationValue(perfect, min(test, perfect))


def _choices(made: PriceRecommendation, cell: int) -> np.ndarray:
    """Return the prices among which knowledge would choose: within bounds and gaps, and allowed."""
    problem, rails = made.problem, made.problem.rails
    cells = next(cells for cells in problem.products.values() if cell in cells)
    lowest, highest = gap_interval(made.prices[cells], int(np.flatnonzero(cells == cell)[0]), rails)
    low, high = max(made.bounds.low[cell], lowest), min(made.bounds.high[cell], highest)
    if low >= high:
        return np.empty(0)
    steps = np.linspace(low, high, STEPS)
    if not rails.ladder and rails.rounding is None:
        return steps
    return np.unique(np.concatenate([allowed_prices(rails, low, high, step) for step in steps]))


def _weights(elasticities: np.ndarray, stderr: float, rng: np.random.Generator) -> np.ndarray:
    """Return the weight of each draw given each of some simulated results, shape (results, D)."""
    results = rng.choice(elasticities, RESULTS) + stderr * rng.standard_normal(RESULTS)
    apart = -0.5 * ((results[:, None] - elasticities) / stderr) ** 2
    weights = np.exp(apart - apart.max(1, keepdims=True))
    normed: np.ndarray = weights / weights.sum(1, keepdims=True)
    return normed


def first_draws(demand: DemandDraws, most: int) -> DemandDraws:
    """Return at most so many draws."""
    units = demand.units if len(demand.units) == 1 else demand.units[:most]
    return DemandDraws(demand.price, units, demand.own[:most], demand.pairs, demand.cross[:most], demand.cost, demand.pocket)
