"""What is known of recommended prices: value of tests, optimism of gains, the truth reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy import ndarray

from hwds.pricing.demand_draws import DemandDraws
from hwds.pricing.demand_evidence import DemandEstimates
from hwds.pricing.recommended_prices import (
    PriceProblem,
    PriceRecommendation,
    allowed_prices,
    gap_interval,
    recommend,
    round_prices,
    solve_prices,
)

# The value of information: what knowing an elasticity, or a test of it, would add to the
# recommended prices.

PRICE_STEPS = 21
"""Prices of a cell between its bounds among which knowledge would choose."""

INFORMATION_DRAWS = 500
"""Draws that are read, the first of all."""

TEST_RESULTS = 512
"""Simulated results of a test."""

GOLDEN = (5**0.5 - 1) / 2
"""The golden ratio."""


@dataclass(frozen=True, slots=True)
class InformationValue:
    """The worth of information on one cell's elasticity in a period, beyond the best price by what
    is known.

    Attributes:
        perfect: Of knowing it, and all that moves with it, for certain (expected value of perfect
            information).
        test: Of a test with a standard error (expected value of sample information).
    """

    perfect: float
    test: float


def information_values(
    made: PriceRecommendation, cell: int, stderrs: Sequence[float]
) -> list[InformationValue]:
    """Return what information on a cell is worth, with a test of each standard error.

    Other prices stay as recommended.

    A test's result is the elasticity plus normal noise; each draw is weighted by its likelihood
    given the result, and the price that is best under the weights is charged (Raiffa and Schlaifer
    1961, Applied Statistical Decision Theory). A result adds what that price brings more than the
    one charged without a test, under the same weights: never less than 0, and 0 where no result
    changes the price. All standard errors are tried on the same results.

    Args:
        made: What is recommended.
        cell: Which cell.
        stderrs: The standard errors of the elasticity that each test measures.
    """
    tried = np.append(_price_choices(made, cell), made.prices[cell])
    part = first_draws(made.demand, INFORMATION_DRAWS).answering(np.array([cell]), made.prices)[0]
    totals = np.stack([part.totals(np.append(price, part.price[1:])) for price in tried], 1)
    more = totals - totals[:, [totals.mean(0).argmax()]]
    perfect = float(more.max(1).mean())
    elasticities = part.own[:, 0]
    truths, noise = _simulate_results(elasticities)
    tests = (
        (_result_weights(elasticities, truths + stderr * noise, stderr) @ more).max(1).mean()
        for stderr in stderrs
    )
    return [InformationValue(perfect, min(float(test), perfect)) for test in tests]


def _price_choices(made: PriceRecommendation, cell: int) -> ndarray:
    """Return the prices among which knowledge would choose: within bounds and gaps, and allowed."""
    problem, rails = made.problem, made.problem.rails
    cells = next(cells for cells in problem.products.values() if cell in cells)
    lowest, highest = gap_interval(made.prices[cells], int(np.flatnonzero(cells == cell)[0]), rails)
    low, high = max(made.bounds.low[cell], lowest), min(made.bounds.high[cell], highest)
    if low >= high:
        return np.empty(0)
    steps = np.linspace(low, high, PRICE_STEPS)
    if not rails.ladder and rails.rounding is None:
        return steps
    return np.unique(np.concatenate([allowed_prices(rails, low, high, step) for step in steps]))


def _simulate_results(elasticities: ndarray) -> tuple[ndarray, ndarray]:
    """Return true elasticities and standard noise of simulated results, shape (results,).

    Each is evenly spread over its law, and the two are paired by multiples of the golden ratio,
    which fill a square more evenly than chance does (Kronecker's sequence; Niederreiter 1992,
    Random Number Generation and Quasi-Monte Carlo Methods).
    """
    places = np.arange(TEST_RESULTS)
    noise = np.array(
        [NormalDist().inv_cdf(level) for level in ((0.5 + places * GOLDEN) % 1).tolist()]
    )
    return np.sort(elasticities)[
        ((places + 0.5) / TEST_RESULTS * len(elasticities)).astype(int)
    ], noise


def _result_weights(elasticities: ndarray, results: ndarray, stderr: float) -> ndarray:
    """Return the weight of each draw given each result, shape (results, D)."""
    apart = -0.5 * ((results[:, None] - elasticities) / stderr) ** 2
    weights = np.exp(apart - apart.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True)


def first_draws(demand: DemandDraws, most: int) -> DemandDraws:
    """Return at most so many draws."""
    units = demand.units if len(demand.units) == 1 else demand.units[:most]
    return replace(demand, units=units, own=demand.own[:most], cross=demand.cross[:most], lag=None)


# What a stated gain owes to the errors of the slopes that all cells share, by which the best
# prices were chosen.

OPTIMISM_DRAWS = 200
"""Draws that are read, the first of all: prices are recommended four times more."""

LEAST_SHARED_VARIANCE = 1e-6
"""The variance of shared slopes under which they count as known."""


def gain_optimism(evidence: DemandEstimates, made: PriceRecommendation) -> float:
    """Return by how much the stated mean gain of recommended prices is expected to exceed the true
    one.

    Cells' elasticities are shrunk to those of their groups, and the best of many shrunk ones is not
    too good on average. The slopes that all cells share, the mean elasticity and that to
    substitutes' prices, are not shrunk: prices chosen by a mean that is off gain less than it says.
    So these slopes are moved by one standard error to each side in each direction of their errors,
    prices are recommended anew, and what they then seem to gain is compared with what they gain by
    the slopes that were moved (the optimism of the bootstrap, Efron 1983, Estimating the error rate
    of a prediction rule, to second order).

    Args:
        evidence: The cells.
        made: What is recommended for them.
    """
    demand = first_draws(made.demand, OPTIMISM_DRAWS)
    away, covariance = _shared_errors(demand)
    known = _move_slopes(demand, -away)
    drawn = _mean_gain(demand, made.prices) - _mean_gain(known, made.prices)
    variances, directions = np.linalg.eigh(covariance)
    total = drawn
    for variance, direction in zip(variances, directions.T, strict=True):
        if variance <= LEAST_SHARED_VARIANCE:
            continue
        for side in (-1, 1):
            moved = _move_slopes(demand, side * np.sqrt(variance) * direction[None, :])
            prices = recommend(evidence, moved, made.problem.rails).prices
            total += 0.5 * (_mean_gain(moved, prices) - _mean_gain(known, prices) - drawn)
    return total


def _shared_errors(demand: DemandDraws) -> tuple[ndarray, ndarray]:
    """Return by how much each draw's shared slopes are off, shape (D, 1 or 2), and their
    covariance.

    What all own elasticities share has the mean covariance of two cells; the draws' mean over cells
    has that and what single cells leave in it, which is taken off.
    """
    unsure = np.ptp(demand.own, axis=0) > 0  # those with an estimate that is not known for certain
    own = demand.own[:, unsure] if unsure.any() else demand.own
    cells = own.shape[1]
    shared = np.column_stack([own.mean(1), *([demand.cross.mean(1)] if demand.cross.size else [])])
    away = shared - shared.mean(0)
    covariance = away.T @ away / len(away)
    alone = float(own.var(0).sum()) / cells**2
    common = max((covariance[0, 0] - alone) * cells / max(cells - 1, 1), 0.0)
    factor = np.ones(len(covariance))
    factor[0] = np.sqrt(common / covariance[0, 0]) if covariance[0, 0] > 0 else 0.0
    return away * factor, covariance * np.outer(factor, factor)


def _move_slopes(demand: DemandDraws, by: ndarray) -> DemandDraws:
    """Return the draws with own elasticities and those to substitutes' prices moved, `by` of shape
    (D or 1, 1 or 2).
    """
    return replace(
        demand,
        own=demand.own + by[:, :1],
        cross=demand.cross + by[:, 1:] if demand.cross.size else demand.cross,
    )


def _mean_gain(demand: DemandDraws, prices: ndarray) -> float:
    return float((demand.totals(prices) - demand.totals(demand.price)).mean())


# The record of recommended prices where the true demand is known: the share of the possible
# gain that they reach.


@dataclass(frozen=True, slots=True, kw_only=True)
class GainReached:
    """The true gain of recommended prices in a period.

    Attributes:
        gained: By the recommended prices.
        possible: By the best prices within the same guardrails, chosen by the true demand.
        gained_identified, possible_identified: By the cells with status `identified` alone, the
            others as recommended.
        identified: How many these are.
    """

    gained: float
    possible: float
    gained_identified: float
    possible_identified: float
    identified: int

    @property
    def share(self) -> float | None:
        """The share of the possible gain that is reached; None where nothing could be gained."""
        return self.gained / self.possible if self.possible > 0 else None

    @property
    def share_identified(self) -> float | None:
        """The same for cells that the data identify."""
        return (
            self.gained_identified / self.possible_identified
            if self.possible_identified > 0
            else None
        )


def gain_reached(evidence: DemandEstimates, made: PriceRecommendation) -> GainReached | None:
    """Return the true gain of a recommendation beside the possible one.

    None where nobody knows the truth.
    """
    if evidence.truth is None:
        return None
    truth = DemandDraws.of_truth(evidence, made.demand)
    identified = (evidence.cells["status"] == "identified").to_numpy()
    others = np.where(identified, truth.price, made.prices)
    return GainReached(
        gained=_true_gain(truth, truth.price, made.prices),
        possible=_true_gain(
            truth, truth.price, _true_best_prices(made, truth, np.ones(len(evidence), bool))
        ),
        gained_identified=_true_gain(truth, others, made.prices),
        possible_identified=_true_gain(truth, others, _true_best_prices(made, truth, identified)),
        identified=int(identified.sum()),
    )


def _true_gain(truth: DemandDraws, before: ndarray, after: ndarray) -> float:
    return float(truth.totals(after)[0] - truth.totals(before)[0])


def _true_best_prices(made: PriceRecommendation, truth: DemandDraws, moving: ndarray) -> ndarray:
    """Return the truly best prices of some cells within the guardrails, the others as recommended.

    A cell whose bounds exclude one another, or whose channels are too far apart, keeps its price.
    """
    problem, bounds = made.problem, made.bounds
    stuck = [
        cell
        for cell, rule in made.holds.items()
        if rule in ("no_room", "channel_gap", "ladder", "capacity", "no_units")
    ]
    moving = moving & ~np.isin(np.arange(len(moving)), stuck)
    low, high = (np.where(moving, ends, made.prices) for ends in (bounds.low, bounds.high))
    by_truth = PriceProblem(truth, problem.rails, low, high, problem.products, problem.capacity)
    prices, without = round_prices(by_truth, solve_prices(by_truth, made.prices))
    for name in without:
        prices[problem.products[name]] = made.prices[problem.products[name]]
    return prices
