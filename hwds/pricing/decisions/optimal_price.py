"""OptimalPrice: what each product should cost in each channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Lt

from hwds.core.errors import ConfigError, nearest
from hwds.core.recipe import MOST, Draws, Level, NonNegative, Once, Positive, PositiveInt, Small, UnitInterval
from hwds.core.seeds import stream
from hwds.evaluation.base import Evaluation
from hwds.pricing.decisions.base import DemandDecision, Share, Step
from hwds.pricing.demand_evidence import DemandEstimates
from hwds.pricing.optimum.decide import verdict_of
from hwds.pricing.optimum.draws import DemandDraws
from hwds.pricing.optimum.guardrails import Guardrails
from hwds.pricing.optimum.recommend import recommend
from hwds.pricing.optimum.verdict import OptimalPriceVerdict
from hwds.results.tables import Tables

MarginFloor = Annotated[float, Ge(-MOST), Lt(1)]
Status = Literal["identified", "weak", "no_variation", "endogenous?"]


class OptimalPrice(DemandDecision):
    """The prices of all products in all channels that earn most within guardrails, each sure enough to gain, else HOLD.

    Reads the estimates of a model of demand (`DemandEstimates`). The mean of profit or revenue over posterior draws is as large
    as possible, jointly over products and channels, with cross effects; demand answers to a price that stays, so that what a
    cut only brings forward is no gain. Hard limits come first: the bounds of each price (`margin_floor`, `largest_step`,
    `band`), the gap between channels of one product that would pay a reseller (`freight`, `duty`, `risk`), capacities and
    allowed prices. A product whose change gains with a lower probability than `confidence` stays. So does what no limit
    allows to move. Each cell has a status: `interior`, `corner` (a limit bound it), `undefined_inelastic` (demand does not
    answer enough for any price to earn most, so that a limit decides) or `HOLD`, and the trail of what each limit did.

    Attributes:
        objective: `profit`, which needs the cost of a unit, or `revenue`.
        margin_floor: The least (pocket price - cost) / pocket price; null for none.
        deductions: The share of the price that is given back after the invoice: rebates, terms.
        largest_step: The most that a price may change, as a share of today's.
        band: How far beyond the observed prices one may go, as a share of these.
        ladder: The only prices allowed; empty for any.
        rounding: Prices are multiples of it; null for any.
        ending: What a multiple is less by: 10 and .01 allow 139.99 and 149.99.
        freight: What reselling one unit costs; null for no cap on the gaps between channels.
        duty: The share of the price paid that is due when a unit is resold in another channel.
        risk: The share of the price paid that a reseller asks for the risk.
        capacity: The most expected units of a product in a period.
        confidence: The least probability that a product's change gains.
        act_on: The statuses of cells whose price may change.
        level: Of the intervals.
        periods: How long the prices are to stand, for the value of tests.
        test_stderr: The standard error of an elasticity in the test whose value is told.
        draws: Of the posterior.

    Example:
        python -m hwds +experiment=optimal_price decision.largest_step=.15 decision.rounding=1
    """

    reports: ClassVar[Mapping[str, str]] = {
        "optimal_price": "hwds.pricing.report.optimal_price:REPORT",
        "price_curves": "hwds.pricing.report.price_curves:REPORT",
    }

    objective: Literal["profit", "revenue"] = "profit"
    margin_floor: MarginFloor | None = 0.0
    deductions: Share = 0.0
    largest_step: Step = 0.1
    band: Step = 0.05
    ladder: Annotated[tuple[Positive, ...], Once] = ()
    rounding: Positive | None = None
    ending: NonNegative = 0.0
    freight: NonNegative | None = 10.0
    duty: UnitInterval = 0.0
    risk: UnitInterval = 0.05
    capacity: dict[str, Positive] = field(default_factory=dict)
    confidence: Level = 0.8
    act_on: Annotated[tuple[Status, ...], Once] = ("identified", "weak")
    level: Level = 0.95
    periods: PositiveInt = 26
    test_stderr: Positive = 0.3
    draws: Annotated[Draws, Small(200)] = 1000

    def check_protocol(self, protocol: Evaluation[Any, Any]) -> None:
        """Refuse a protocol without elasticities, and two ways of saying which prices are allowed.

        Raises:
            ConfigError: With the field.
        """
        super().check_protocol(protocol)
        if self.ladder and self.rounding is not None:
            raise ConfigError("decision.rounding: must be null where decision.ladder lists the allowed prices.")
        if self.rounding is not None and self.ending >= self.rounding:
            raise ConfigError(f"decision.ending: must be < rounding, {self.rounding:g}, got {self.ending:g}.")

    def decide(self, tables: Tables, frame: Any, model: str, protocol: Evaluation[Any, Any]) -> OptimalPriceVerdict | None:
        """Return the verdict from a run's tables; see `Decision.decide`. None where the model has no estimates."""
        evidence = self.evidence(tables, frame, model, protocol)
        return None if evidence is None else self.of_estimates(evidence, seed=int(tables.scores["seed"][0]))

    def of_estimates(self, evidence: DemandEstimates, seed: int = 0) -> OptimalPriceVerdict:
        """Return the verdict from any estimates of demand.

        Args:
            evidence: The estimates.
            seed: Names the random draws.

        Raises:
            DataError: A cost is missing or above its price, where profit is asked for.
            ConfigError: A capacity is of no product.
        """
        for product in self.capacity:
            if product not in evidence.cells["product"]:
                raise ConfigError(f"decision.capacity: no product '{product}'{nearest(product, evidence.cells['product'])}")
        if self.objective == "profit":
            evidence.require_costs("decision.objective=profit")
        demand = DemandDraws.of(
            evidence, self.draws, stream(seed, "optimal_price"), objective=self.objective, deductions=self.deductions
        )
        made = recommend(evidence, demand, self.guardrails())
        return verdict_of(
            self.name or "optimal_price",
            evidence,
            made,
            self.guardrails(),
            level=self.level,
            periods=self.periods,
            test_stderr=self.test_stderr,
            rng=stream(seed, "optimal_price", "tests"),
        )

    def guardrails(self) -> Guardrails:
        """Return the limits."""
        return Guardrails(
            objective=self.objective,
            margin_floor=self.margin_floor,
            deductions=self.deductions,
            largest_step=self.largest_step,
            band=self.band,
            ladder=self.ladder,
            rounding=self.rounding,
            ending=self.ending,
            freight=self.freight,
            duty=self.duty,
            risk=self.risk,
            capacity=self.capacity,
            confidence=self.confidence,
            act_on=self.act_on,
        )
