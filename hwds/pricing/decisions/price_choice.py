"""PriceChoice: which price to charge from now on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Lt

from hwds.core.errors import ConfigError
from hwds.core.recipe import MOST, Amount, Level, NonNegative, NonNegativeInt, Once, Positive, PositiveInt
from hwds.decisions.base import Decision
from hwds.evaluation.base import Evaluation
from hwds.frames.outcomes import arm_name
from hwds.pricing.back_test import MOST_REPLICATIONS, record_of
from hwds.pricing.checks import check_counts, check_offers
from hwds.pricing.evidence import ArmEvidence, PriceEvidence, from_counts, replications
from hwds.pricing.offers import Certainty, Offer, Offers
from hwds.pricing.rule import PriceTerms
from hwds.pricing.verdict import verdict_of
from hwds.results.tables import Tables
from hwds.results.verdict import PriceVerdict

Money = NonNegative
Floor = Annotated[float, Ge(-MOST), Lt(1)]


class PriceChoice(Decision):
    """The price to charge: CHANGE where a gain is sure and no guard forbids it, HOLD otherwise.

    Reads the evidence of a protocol (`PriceEvidence`): a bandit's simulation (the first replication stands for the evidence;
    all of them say how often the rule is right), a table of an A/B test, or an off-policy estimate of each arm
    (`protocol.each_arm=true`); `of_counts` reads a live bandit's counts.
    What an arm earns has, where it is known who bought, a Beta posterior under a uniform prior times price less cost, else a
    normal one. The arm that seems best of those left is charged if the risk that it does not earn more than the current one is
    at most 1 - confidence, shared among the candidates. Counts are pooled over customers: those of a policy that tells
    customers apart compare different customers. A simulation counts the offers whose attribution window was over by the end,
    each with what was seen in it. An arm that is no longer offered at the end (`absent`) is not charged.

    Attributes:
        current: The arm in force; null for none: then the candidate must be better than all lawful others.
        confidence: One minus the risk of a change without a gain; also the level of the gain's interval. With `test` it must be
            1 - `protocol.alpha`.
        certainty: How the risk is measured. `posterior` is right for evidence that is read once and was not gathered by its own
            results; `adaptive` asks more of the posterior, as a bandit starves arms that were unlucky; `always_valid`, of
            counts alone, is a bound under any play and however often it is read, and seldom sure; `test` changes where the
            A/B test itself shows that the arm earns more, by its estimator, rule, looks and correction. null takes `adaptive`
            for a bandit, `test` for an A/B test, else `posterior`.
        margin_floor: The least (price - cost) / price.
        largest_step: The most that the price may change, as a share of the current one.
        ladder: Allowed prices; empty for all. Only arms that were tried can be chosen.
        least_customers: Arms that fewer customers were offered are not charged, but may be what the others must beat.
        customers: Customers to come, for whom the value of going on is told.
        cost: The cost of a sale; null takes the data's own. Money of a log is taken for revenue.
        prices: The price of each arm, where the data names none.

    Example:
        python -m hwds +experiment=price_bandit decision=price_choice decision.current=10 decision.largest_step=1.0
    """

    current: str | NonNegativeInt | Amount | None = None
    confidence: Level = 0.95
    certainty: Certainty | None = None
    margin_floor: Floor | None = None
    largest_step: Positive | None = None
    ladder: Annotated[tuple[Money, ...], Once] = ()
    least_customers: NonNegativeInt = 100
    customers: PositiveInt | None = None
    cost: Money | None = None
    prices: dict[str, Money] = field(default_factory=dict)

    def check_protocol(self, protocol: Evaluation[Any, Any]) -> None:
        """Refuse a protocol that knows no arms, or cannot feed this decision as it is set.

        Raises:
            ConfigError: It has no such evidence.
        """
        if not isinstance(protocol, PriceEvidence):
            raise ConfigError(
                f"decision: '{self.name}' decides from a task of arms that may be charged;"
                f" protocol '{protocol.name}' is of {protocol.task or 'none'}."
            )
        protocol.check_pricing(self.name, self.certainty, self.confidence)
        if self.largest_step is not None and self.current is None:
            raise ConfigError("decision.current: must be given, for decision.largest_step is a share of it.")

    def check_data(self, frame: Any, protocol: Evaluation[Any, Any]) -> None:
        """Refuse a current arm that is absent, and missing prices or costs that a guard needs.

        Raises:
            ConfigError: With the nearest arm.
        """
        offers = self._offers(frame, protocol)
        check_offers(offers, self._terms(offers.certainty), self.cost)

    def decide(self, tables: Tables, frame: Any, model: str, protocol: Evaluation[Any, Any]) -> PriceVerdict:
        """Return the verdict from a run's tables; see `Decision.decide`."""
        offers = self._offers(frame, protocol)
        terms = self._terms(offers.certainty)
        assert isinstance(protocol, PriceEvidence)
        evidence = protocol.price_evidence(tables, frame, model, offers, MOST_REPLICATIONS)
        played = replications(evidence.rows, offers)
        earns = np.array([each.earns(offers.measured) for each in offers.all])
        return verdict_of(
            self.name,
            played[0] if played else [ArmEvidence(offer) for offer in offers.all],
            terms,
            unit=offers.unit,
            customers=self.customers,
            record=None if evidence.truth is None else record_of(played, evidence.truth * earns, terms),
            note=evidence.note,
            contrasts=evidence.contrasts,
        )

    def of_counts(self, counts: Mapping[str, tuple[int, int]], unit: str = "") -> PriceVerdict:
        """Return the verdict from the counts of a live bandit, or of any test of conversions.

        Args:
            counts: By arm, customers who bought and customers who did not; an open exposure is none of them yet.
            unit: Of money; `conversions` where the arms have no prices.

        Raises:
            ConfigError: A count is negative, or a field does not fit the arms.

        Example:
            >>> choice = PriceChoice(current="149", prices={"149": 149, "199": 199})
            >>> choice.of_counts({"149": (900, 19100), "199": (1100, 18900)}).action
            'CHANGE'
        """
        check_counts(counts)
        arms = tuple(Offer(arm) for arm in counts)
        offers = Offers(arms, "conversions", unit, "adaptive").priced(self.prices, self.cost)
        terms = self._terms(offers.certainty)
        if terms.certainty == "test":
            raise ConfigError("decision.certainty: test is for protocol ab_test, which compares arms; counts have none.")
        if self.largest_step is not None and self.current is None:
            raise ConfigError("decision.current: must be given, for decision.largest_step is a share of it.")
        check_offers(offers, terms, self.cost)
        known = [from_counts(offer, *counts[offer.arm]) for offer in offers.all]
        return verdict_of(self.name or "price_choice", known, terms, unit=unit, customers=self.customers)

    def _offers(self, frame: Any, protocol: Evaluation[Any, Any]) -> Offers:
        assert isinstance(protocol, PriceEvidence)
        return protocol.offers(frame).priced(self.prices, self.cost).in_its_unit()

    def _terms(self, usual: Certainty) -> PriceTerms:
        return PriceTerms(
            None if self.current is None else arm_name(self.current),
            self.confidence,
            self.certainty or usual,
            self.margin_floor,
            self.largest_step,
            self.ladder,
            self.least_customers,
        )
