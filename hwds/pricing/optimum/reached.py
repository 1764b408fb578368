"""The record of recommended prices where the true demand is known: the share of the possible gain that they reach."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.pricing.demand_evidence import DemandEstimates
from hwds.pricing.optimum.draws import DemandDraws
from hwds.pricing.optimum.recommend import PriceRecommendation
from hwds.pricing.optimum.solve import PriceProblem, rounded, solve


@dataclass(frozen=True, slots=True, kw_only=True)
class GainReached:
    """The true gain of recommended prices in a period.

    Attributes:
        gained: By the recommended prices.
        possible: By the best prices within the same guardrails, chosen by the true demand.
        gained_identified, possible_identified: By the cells with status `identified` alone, the others as recommended.
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
        return self.gained_identified / self.possible_identified if self.possible_identified > 0 else None


def gain_reached(evidence: DemandEstimates, made: PriceRecommendation) -> GainReached | None:
    """Return the true gain of a recommendation beside the possible one; None where nobody knows the truth."""
    if evidence.truth is None:
        return None
    truth = DemandDraws.of_truth(evidence, made.demand)
    identified = (evidence.cells["status"] == "identified").to_numpy()
    others = np.where(identified, truth.price, made.prices)
    return GainReached(
        gained=_gain(truth, truth.price, made.prices),
        possible=_gain(truth, truth.price, _best(made, truth, np.ones(len(evidence), bool))),
        gained_identified=_gain(truth, others, made.prices),
        possible_identified=_gain(truth, others, _best(made, truth, identified)),
        identified=int(identified.sum()),
    )


def _gain(truth: DemandDraws, before: np.ndarray, after: np.ndarray) -> float:
    return float(truth.totals(after)[0] - truth.totals(before)[0])


def _best(made: PriceRecommendation, truth: DemandDraws, moving: np.ndarray) -> np.ndarray:
    """Return the truly best prices of some cells within the guardrails, the others as recommended.

    A cell whose bounds exclude one another, or whose channels are too far apart, keeps its price.
    """
    problem, bounds = made.problem, made.bounds
    stuck = [cell for cell, rule in made.holds.items() if rule in ("no_room", "channel_gap", "ladder", "capacity", "no_units")]
    moving = moving & ~np.isin(np.arange(len(moving)), stuck)
    low, high = (np.where(moving, ends, made.prices) for ends in (bounds.low, bounds.high))
    by_truth = PriceProblem(truth, problem.rails, low, high, problem.products, problem.capacity)
    prices, without = rounded(by_truth, solve(by_truth, made.prices))
    for name in without:
        prices[problem.products[name]] = made.prices[problem.products[name]]
    return prices
