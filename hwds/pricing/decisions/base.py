"""DemandDecision and GuardedDecision: the bases of decisions that read a model of demand."""

from __future__ import annotations

from dataclasses import field, fields, replace
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import numpy as np
from annotated_types import Ge, Le, Lt
from pydantic import AfterValidator

from hwds.core.errors import ConfigError, nearest
from hwds.core.recipe import (
    MOST,
    Draws,
    Level,
    NonNegative,
    Once,
    Positive,
    PositiveInt,
    Small,
    UnitInterval,
)
from hwds.evaluation.decisions.base import Decision
from hwds.evaluation.protocol import Evaluation
from hwds.frames.panel import Panel
from hwds.pricing.demand_draws import DemandDraws
from hwds.pricing.demand_evidence import DemandEstimates, DemandEvidence
from hwds.pricing.recommended_prices import PriceGuardrails, PriceRecommendation, recommend
from hwds.results.formatting import is_money
from hwds.results.tables import Tables, Verdict

MarginFloor = Annotated[float, Ge(-MOST), Lt(1)]
EvidenceStatus = Literal["identified", "weak", "no_variation", "endogenous?"]
PriceShare = Annotated[float, Ge(0), Lt(1)]
"""A share of a price that leaves something of it."""

PriceStep = Annotated[float, Ge(0), Le(0.9)]
"""A change of a price, as a share of it."""


CURRENCY_COLUMN = "currency"
"""The column that names the currency of a row, where the data has one."""


def _currency_of(unit: str) -> str:
    if unit and not is_money(unit):
        raise ValueError("must be a currency, such as EUR")
    return unit


TermsT = TypeVar("TermsT")


def terms_from(settings: Decision, terms: type[TermsT], **others: Any) -> TermsT:
    """Return the terms of a rule: a decision's fields of the same names, and others."""
    names = [field.name for field in fields(terms) if field.name not in others]  # type: ignore[arg-type]
    return terms(**{name: getattr(settings, name) for name in names}, **others)


class DemandDecision(Decision):
    """A decision that reads the evidence of a protocol of demand (`DemandEvidence`).

    Class attribute: `without_costs`, the end of the refusal of data without costs, which says what
    would do without.

    Attributes:
        currency: The currency of prices and costs, where the data names none: a sign or a code in
            capitals.
    """

    without_costs: ClassVar[str] = ""

    currency: Annotated[str, AfterValidator(_currency_of)] = ""

    def check_protocol(self, protocol: Evaluation[Any, Any]) -> None:
        """Refuse a protocol that estimates no demand.

        Raises:
            ConfigError: It has no such evidence.
        """
        if not isinstance(protocol, DemandEvidence):
            raise ConfigError(
                f"decision: '{self.name}' decides from a task of demand by price;"
                f" protocol '{protocol.name}' is of {protocol.task or 'none'};"
                " take protocol=elasticity_estimate."
            )

    @property
    def needs_costs(self) -> bool:
        """True where the cost of every unit must be known."""
        return False

    def check_data(self, frame: Any, protocol: Evaluation[Any, Any]) -> None:
        """Refuse a panel without costs where they are needed, and one whose column `currency` names
        several.

        Raises:
            ConfigError: It has no such column, or prices of several currencies, which cannot be
                added.
        """
        if isinstance(frame, Panel) and CURRENCY_COLUMN in frame.table.columns:
            named = sorted(map(str, frame.table[CURRENCY_COLUMN].drop_nulls().unique()))
            if len(named) > 1:
                raise ConfigError(
                    f"dataset: prices must be in one currency for decision '{self.name}', got "
                    f"{', '.join(named)} in column"
                    f" '{CURRENCY_COLUMN}'."
                )
        if self.needs_costs and isinstance(frame, Panel) and not frame.roles.get("cost"):
            raise ConfigError(
                f"dataset.roles.cost: must be given, for decision '{self.name}' needs the cost of "
                f"a unit{self.without_costs}."
            )

    def evidence(
        self, tables: Tables, frame: Any, model: str, protocol: Evaluation[Any, Any]
    ) -> DemandEstimates | None:
        """Return what a run says of demand, with the currency.

        None where the model answered nothing.
        """
        assert isinstance(protocol, DemandEvidence)
        found = protocol.demand_evidence(tables, frame, model)
        return found if found is None or found.unit else replace(found, unit=self.currency)

    def decide(
        self, tables: Tables, frame: Any, model: str, protocol: Evaluation[Any, Any]
    ) -> Verdict | None:
        """Return the verdict from a run's tables.

        See `Decision.decide`. None where the model has no estimates.
        """
        evidence = self.evidence(tables, frame, model, protocol)
        seed = int(tables.scores["seed"][0])
        return None if evidence is None else self.of_estimates(evidence, seed)

    def of_estimates(self, evidence: DemandEstimates, seed: int = 0) -> Verdict:
        """Return the verdict from any estimates of demand; `seed` names the random draws."""
        raise NotImplementedError(f"{type(self).__name__}.of_estimates")


class GuardedDecision(DemandDecision):
    """A decision on prices within guardrails.

    Attributes:
        objective: `profit`, which needs the cost of a unit, or `revenue`.
        margin_floor: The least (pocket price - cost) / pocket price; null for none.
        deductions: The share of the price that is given back after the invoice: rebates, terms.
        largest_step: The most that a price may change, as a share of today's.
        band: The largest distance beyond the observed prices, as a share of these.
        ladder: The only prices allowed; empty for any.
        rounding: Prices are multiples of it; null for any.
        ending: The amount below a multiple: 10 and .01 allow 139.99 and 149.99.
        freight: The cost of reselling one unit; null for no cap on the gaps between channels.
        duty: The share of the price paid that is due when a unit is resold in another channel.
        risk: The share of the price paid that a reseller asks for the risk.
        capacity: The most expected units of a product in a period.
        confidence: The least probability that a product's change gains.
        act_on: The statuses of cells whose price may change.
        periods: The periods for which the prices are to stand, for the value of tests.
        draws: The draws from the posterior.
    """

    without_costs: ClassVar[str] = "; decision.objective=revenue does not"

    objective: Literal["profit", "revenue"] = "profit"
    margin_floor: MarginFloor | None = 0.0
    deductions: PriceShare = 0.0
    largest_step: PriceStep = 0.1
    band: PriceStep = 0.05
    ladder: Annotated[tuple[Positive, ...], Once] = ()
    rounding: Positive | None = None
    ending: NonNegative = 0.0
    freight: NonNegative | None = 10.0
    duty: UnitInterval = 0.0
    risk: UnitInterval = 0.05
    capacity: dict[str, Positive] = field(default_factory=dict)
    confidence: Level = 0.8
    act_on: Annotated[tuple[EvidenceStatus, ...], Once] = ("identified", "weak")
    periods: PositiveInt = 26
    draws: Annotated[Draws, Small(200)] = 1000

    def check_protocol(self, protocol: Evaluation[Any, Any]) -> None:
        """Refuse a protocol without elasticities, and two ways of saying which prices are allowed.

        Raises:
            ConfigError: With the field.
        """
        super().check_protocol(protocol)
        if self.ladder and self.rounding is not None:
            raise ConfigError(
                "decision.rounding: must be null if decision.ladder lists the allowed prices."
            )
        if self.rounding is not None and self.ending >= self.rounding:
            raise ConfigError(
                f"decision.ending: must be < rounding, {self.rounding:g}, got {self.ending:g}."
            )

    @property
    def needs_costs(self) -> bool:
        """True where the objective is profit."""
        return self.objective == "profit"

    def recommended(
        self, evidence: DemandEstimates, rng: np.random.Generator
    ) -> PriceRecommendation:
        """Return the best prices within the guardrails.

        Args:
            evidence: The estimates.
            rng: The random generator of the posterior's draws.

        Raises:
            DataError: A cost is missing, or no price covers its cost, where profit is asked for.
            ConfigError: A capacity is of no product.
        """
        for product in self.capacity:
            if product not in evidence.cells["product"]:
                raise ConfigError(
                    f"decision.capacity: no product "
                    f"'{product}'{nearest(product, evidence.cells['product'])}"
                )
        if self.objective == "profit":
            some_pay = len(evidence.below_cost) < len(evidence)
            evidence.require_costs("decision.objective=profit", () if some_pay else None)
        demand = DemandDraws.of(
            evidence, self.draws, rng, objective=self.objective, deductions=self.deductions
        )
        return recommend(evidence, demand, self.guardrails())

    def guardrails(self) -> PriceGuardrails:
        """Return the limits."""
        return terms_from(self, PriceGuardrails)
