"""The value of information: what knowing an elasticity, or a test of it, would add to the recommended prices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from hwds.pricing.optimum.draws import DemandDraws
from hwds.pricing.optimum.guardrails import gap_interval
from hwds.pricing.optimum.recommend import PriceRecommendation
from hwds.pricing.optimum.solve import allowed_prices

STEPS = 21
"""Prices of a cell between its bounds among which knowledge would choose."""

MOST_DRAWS = 500
"""Draws that are read, the first of all."""

RESULTS = 512
"""Simulated results of a test."""

GOLDEN = (5**0.5 - 1) / 2
"""The golden ratio."""


@dataclass(frozen=True, slots=True)
class InformationValue:
    """The worth of information on one cell's elasticity in a period, beyond the best price by what is known.

    Attributes:
        perfect: Of knowing it, and all that moves with it, for certain (expected value of perfect information).
        test: Of a test with a standard error (expected value of sample information).
    """

    perfect: float
    test: float


def values_of(made: PriceRecommendation, cell: int, stderrs: Sequence[float]) -> list[InformationValue]:
    """Return what information on a cell is worth, with a test of each standard error; other prices stay as recommended.

    A test's result is the elasticity plus normal noise; each draw is weighted by its likelihood given the result, and the price
    that is best under the weights is charged (Raiffa and Schlaifer 1961, Applied Statistical Decision Theory). A result adds
    what that price brings more than the one charged without a test, under the same weights: never less than 0, and 0 where no
    result changes the price. All standard errors are tried on the same results.

    Args:
        made: What is recommended.
        cell: Which cell.
        stderrs: Of the elasticity that each test measures.
    """
    tried = np.append(_choices(made, cell), made.prices[cell])
    part = first_draws(made.demand, MOST_DRAWS).answering(np.array([cell]), made.prices)[0]
    totals = np.stack([part.totals(np.append(price, part.price[1:])) for price in tried], 1)
    more = totals - totals[:, [totals.mean(0).argmax()]]
    perfect = float(more.max(1).mean())
    elasticities = part.own[:, 0]
    truths, noise = _simulated(elasticities)
    tests = ((_weights(elasticities, truths + stderr * noise, stderr) @ more).max(1).mean() for stderr in stderrs)
    return [InformationValue(perfect, min(float(test), perfect)) for test in tests]


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


def _simulated(elasticities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return true elasticities and standard noise of simulated results, shape (results,).

    Each is evenly spread over its law, and the two are paired by multiples of the golden ratio, which fill a square more evenly
    than chance does (Kronecker's sequence; Niederreiter 1992, Random Number Generation and Quasi-Monte Carlo Methods).
    """
    places = np.arange(RESULTS)
    noise = np.array([NormalDist().inv_cdf(level) for level in ((0.5 + places * GOLDEN) % 1).tolist()])
    return np.sort(elasticities)[((places + 0.5) / RESULTS * len(elasticities)).astype(int)], noise


def _weights(elasticities: np.ndarray, results: np.ndarray, stderr: float) -> np.ndarray:
    """Return the weight of each draw given each result, shape (results, D)."""
    apart = -0.5 * ((results[:, None] - elasticities) / stderr) ** 2
    weights = np.exp(apart - apart.max(1, keepdims=True))
    normed: np.ndarray = weights / weights.sum(1, keepdims=True)
    return normed


def first_draws(demand: DemandDraws, most: int) -> DemandDraws:
    """Return at most so many draws."""
    units = demand.units if len(demand.units) == 1 else demand.units[:most]
    return DemandDraws(demand.price, units, demand.own[:most], demand.pairs, demand.cross[:most], demand.cost, demand.pocket)
