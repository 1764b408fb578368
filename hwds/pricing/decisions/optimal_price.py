"""OptimalPrice: what each product should cost in each channel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from hwds.core.recipe import Level, Positive
from hwds.core.seeds import stream
from hwds.pricing.decisions.base import GuardedDecision
from hwds.pricing.demand_evidence import DemandEstimates
from hwds.pricing.optimal_price import OptimalPriceVerdict, optimal_price_verdict


class OptimalPrice(GuardedDecision):
    """The prices of all products in all channels that earn most within guardrails; HOLD if a gain
    is not sure.

    Reads the estimates of a model of demand (`DemandEstimates`). The mean of profit or revenue over
    posterior draws is as large as possible, jointly over products and channels, with cross effects;
    demand answers to a price that stays, so that what a cut only brings forward is no gain. Hard
    limits come first: the bounds of each price (`margin_floor`, `largest_step`, `band`), the gap
    between channels of one product that would pay a reseller (`freight`, `duty`, `risk`),
    capacities and allowed prices. A product whose change gains with a lower probability than
    `confidence` stays. So does what no limit allows to move. Each cell has a status: `interior`,
    `corner` (a limit bound it), `undefined_inelastic` (demand does not answer enough for any price
    to earn most, so that a limit decides) or `HOLD`, and the trail of what each limit did.

    Attributes:
        level: The confidence of the intervals, as a share.
        test_stderr: The standard error of an elasticity in the test whose value is reported.

    Example:
        python -m hwds +experiment=optimal_price decision.largest_step=.15 decision.rounding=1
    """

    reports: ClassVar[Mapping[str, str]] = {
        "optimal_price": "hwds.pricing.optimal_price:PRICES_REPORT",
        "price_curves": "hwds.pricing.optimal_price:CURVES_REPORT",
    }

    level: Level = 0.95
    test_stderr: Positive = 0.3

    def of_estimates(self, evidence: DemandEstimates, seed: int = 0) -> OptimalPriceVerdict:
        """Return the verdict from any estimates of demand.

        Args:
            evidence: The estimates.
            seed: Names the random draws.

        Raises:
            DataError: A cost is missing or above its price, where profit is asked for.
            ConfigError: A capacity is of no product.
        """
        return optimal_price_verdict(
            self.name or "optimal_price",
            evidence,
            self.recommended(evidence, stream(seed, "optimal_price")),
            self.guardrails(),
            level=self.level,
            periods=self.periods,
            test_stderr=self.test_stderr,
        )
