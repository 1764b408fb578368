"""What a stated gain owes to the errors of the slopes that all cells share, by which the best prices were chosen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwds.pricing.demand_evidence import DemandEstimates
from hwds.pricing.optimum.draws import DemandDraws
from hwds.pricing.optimum.information import first_draws
from hwds.pricing.optimum.recommend import PriceRecommendation, recommend

MOST_DRAWS = 200
"""Draws that are read, the first of all: prices are recommended four times more."""

SMALLEST = 1e-6
"""The variance of shared slopes under which they count as known."""


def optimism(evidence: DemandEstimates, made: PriceRecommendation) -> float:
    """Return by how much the stated mean gain of recommended prices is expected to exceed the true one.

    Cells' elasticities are shrunk to those of their groups, and the best of many shrunk ones is not too good on average. The
    slopes that all cells share, the mean elasticity and that to substitutes' prices, are not shrunk: prices chosen by a mean
    that is off gain less than it says. So these slopes are moved by one standard error to each side in each direction of their
    errors, prices are recommended anew, and what they then seem to gain is compared with what they gain by the slopes that were
    moved (the optimism of the bootstrap, Efron 1983, Estimating the error rate of a prediction rule, to second order).

    Args:
        evidence: The cells.
        made: What is recommended for them.
    """
    demand = first_draws(made.demand, MOST_DRAWS)
    away, covariance = _shared(demand)
    known = _moved(demand, -away)
    drawn = _gain(demand, made.prices) - _gain(known, made.prices)
    variances, directions = np.linalg.eigh(covariance)
    total = drawn
    for variance, direction in zip(variances, directions.T, strict=True):
        if variance <= SMALLEST:
            continue
        for side in (-1, 1):
            moved = _moved(demand, side * np.sqrt(variance) * direction[None, :])
            prices = recommend(evidence, moved, made.problem.rails).prices
            total += 0.5 * (_gain(moved, prices) - _gain(known, prices) - drawn)
    return total


def _shared(demand: DemandDraws) -> tuple[np.ndarray, np.ndarray]:
    """Return by how much each draw's shared slopes are off, shape (D, 1 or 2), and their covariance.

    What all own elasticities share has the mean covariance of two cells; the draws' mean over cells has that and what single
    cells leave in it, which is taken off.
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


def _moved(demand: DemandDraws, by: np.ndarray) -> DemandDraws:
    """Return the draws with own elasticities and those to substitutes' prices moved, `by` of shape (D or 1, 1 or 2)."""
    return replace(demand, own=demand.own + by[:, :1], cross=demand.cross + by[:, 1:] if demand.cross.size else demand.cross)


def _gain(demand: DemandDraws, prices: np.ndarray) -> float:
    return float((demand.totals(prices) - demand.totals(demand.price)).mean())
