"""The record of recommended prices where the true demand is known: the share of the possible gain that they reach."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hwds.pricing.demand_evidence import STATUSES, DemandEstimates
from hwds.pricing.optimum.draws import DemandDraws
from hwds.pricing.optimum.guardrails import Guardrails
from hwds.pricing.optimum.recommend import PriceRecommendation, recommend


@dataclass(frozen=True, slots=True, kw_only=True)
class GainReached:
    """What recommended prices truly gain in a period.

    Attributes:
        gained: By the recommended prices.
        possible: By the best prices within the same guardrails, chosen by the true demand.
        gained_identified, possible_identified: The same where prices of cells with status `identified` alone may move.
    """

    gained: float
    possible: float
    gained_identified: float
    possible_identified: float

    @property
    def share(self) -> float | None:
        """The share of the possible gain that is reached; None where nothing could be gained."""
        return self.gained / self.possible if self.possible > 0 else None

    @property
    def share_identified(self) -> float | None:
        """The same for cells that the data identify."""
        return self.gained_identified / self.possible_identified if self.possible_identified > 0 else None


def gain_reached(evidence: DemandEstimates, made: PriceRecommendation, rails: Guardrails) -> GainReached | None:
    """Return the true gain of a recommendation beside the possible one; None where nobody knows the truth."""
    if evidence.truth is None:
        return None
    truth = DemandDraws.of_truth(evidence, made.demand)
    identified = (evidence.cells["status"] == "identified").to_numpy()
    alone = np.where(identified, made.prices, truth.price)
    now = float(truth.totals(truth.price)[0])
    return GainReached(
        gained=float(truth.totals(made.prices)[0]) - now,
        possible=_best(evidence, truth, rails, STATUSES),
        gained_identified=float(truth.totals(alone)[0]) - now,
        possible_identified=_best(evidence, truth, rails, ("identified",)),
    )


def _best(evidence: DemandEstimates, truth: DemandDraws, rails: Guardrails, act_on: tuple[str, ...]) -> float:
    made = recommend(evidence, truth, replace(rails, confidence=0.0, act_on=act_on))
    return float(made.gains[0])
