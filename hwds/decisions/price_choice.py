"""PriceChoice: which price to charge from now on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Lt

from hwds.decisions.base import Decision
from hwds.decisions.price_checks import check_known, check_offers
from hwds.decisions.price_evidence import evidence_of, from_counts, replications
from hwds.decisions.price_offers import Offer, Offers, offers_of, with_terms
from hwds.decisions.price_record import MOST_JUDGED, record_of, true_values
from hwds.decisions.price_rule import Certainty, Terms
from hwds.decisions.price_verdict import verdict_of
from hwds.decisions.price_words import pooled
from hwds.errors import ConfigError
from hwds.frames.arm_names import arm_name
from hwds.recipe import Count, Level, Once, Positive, Whole
from hwds.results.tables import Tables
from hwds.results.verdict import PriceVerdict

Money = Annotated[float, Ge(0)]
Floor = Annotated[float, Lt(1)]


class PriceChoice(Decision):
    """The price to charge: CHANGE where a gain is sure and no guard forbids it, HOLD otherwise.

    Reads a bandit's simulation (the first replication stands for the evidence; all of them say how often the rule is right), a
    table of an A/B test, or an off-policy estimate with `protocol.each_arm=true`; `of_counts` reads a live bandit's counts.
    What an arm earns has, where it is known who bought, a Beta posterior under a uniform prior times price less cost, else a
    normal one. The arm that seems best of those left is charged if the risk that it does not earn more than the current one is
    at most 1 - confidence, shared among the candidates. Counts are pooled over customers: those of a policy that tells
    customers apart compare different customers. A simulation counts the offers whose attribution window was over by the end,
    each with what was seen in it. An arm that is no longer offered at the end (`absent`) is not charged.

    Attributes:
        current: The arm in force; null for none: then the candidate must be better than all lawful others.
        confidence: One minus the risk of a change without a gain; also the level of the gain's interval.
        certainty: How the risk is measured. `posterior` is right for evidence that is read once and was not gathered by its own
            results; `adaptive` asks more of the posterior, as a bandit starves arms that were unlucky; `always_valid`, of
            counts alone, is a bound under any play and however often it is read, and seldom sure. null takes `adaptive` for a
            bandit, `always_valid` for a test of conversions that has no registered `protocol.size`, else `posterior`.
        margin_floor: The least (price - cost) / price.
        largest_step: The most that the price may change, as a share of the current one.
        ladder: Allowed prices; empty for all. Only arms that were tried can be chosen.
        least_customers: Arms that fewer customers were offered are not charged, but may be what the others must beat.
        customers: Customers to come, for whom the value of going on is told.
        cost: Of a sale; null takes the data's own. Money of a log is taken for revenue.
        prices: The price of each arm, where the data names none.

    Example:
        python -m hwds +experiment=price_bandit decision=price_choice decision.current=10 decision.largest_step=1.0
    """

    tasks: ClassVar[tuple[str, ...]] = ("bandit", "ab", "ope")

    current: str | int | float | None = None
    confidence: Level = 0.95
    certainty: Certainty | None = None
    margin_floor: Floor | None = None
    largest_step: Positive | None = None
    ladder: Annotated[tuple[Money, ...], Once] = ()
    least_customers: Whole = 100
    customers: Count | None = None
    cost: Money | None = None
    prices: dict[str, Money] = field(default_factory=dict)

    def check_protocol(self, protocol: Any) -> None:
        """Beyond the task: a log must be asked about each arm, and has no counts.

        Raises:
            ConfigError: It is not, or `always_valid` is asked of it.
        """
        super().check_protocol(protocol)
        if protocol.task == "ope" and not protocol.each_arm:
            raise ConfigError(f"protocol.each_arm: must be true for decision '{self.name}', got false.")
        if protocol.task == "ope" and self.certainty == "always_valid":
            raise ConfigError("decision.certainty: must be 'posterior' for an off-policy estimate, got 'always_valid'.")
        if self.largest_step is not None and self.current is None:
            raise ConfigError("decision.current: must be given, for decision.largest_step is a share of it.")

    def check_data(self, frame: Any, protocol: Any) -> None:
        """The current arm must be there, and prices and costs where a guard needs them.

        Raises:
            ConfigError: With the nearest arm.
        """
        offers = self._offers(frame, protocol)
        check_offers(offers, self._terms(self._usual(protocol, offers)), self.cost)

    def decide(self, tables: Tables, frame: Any, model: str, protocol: Any) -> PriceVerdict:
        """From a run's tables; see `Decision.decide`."""
        offers = self._offers(frame, protocol)
        terms = self._terms(self._usual(protocol, offers))
        known = evidence_of(tables, frame, model, offers, protocol)
        record, note = None, ""
        if protocol.task == "bandit":
            note = pooled(len(frame.segments))
            played = replications(tables, model, offers, MOST_JUDGED)
            record = record_of(played, true_values(frame, offers, protocol), terms)
        return verdict_of(self.name, known, terms, unit=offers.unit, customers=self.customers, record=record, note=note)

    def of_counts(self, counts: Mapping[str, tuple[int, int]], unit: str = "") -> PriceVerdict:
        """From the counts of a live bandit, or of any test of conversions.

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
        check_known(counts)
        offers = with_terms(Offers(tuple(Offer(arm) for arm in counts), "conversions", unit), self.prices, self.cost)
        terms = self._terms("adaptive")
        if self.largest_step is not None and self.current is None:
            raise ConfigError("decision.current: must be given, for decision.largest_step is a share of it.")
        check_offers(offers, terms, self.cost)
        known = [from_counts(offer, *counts[offer.arm]) for offer in offers.all]
        return verdict_of(self.name or "price_choice", known, terms, unit=unit, customers=self.customers)

    def _offers(self, frame: Any, protocol: Any) -> Offers:
        return offers_of(frame, protocol, self.prices, self.cost)

    def _usual(self, protocol: Any, offers: Offers) -> Certainty:
        """How the risk is measured where nobody says it: a test that may be read again has no other bound."""
        if protocol.task == "bandit":
            return "adaptive"
        again = protocol.task == "ab" and protocol.size is None and offers.measured == "conversions"
        return "always_valid" if again else "posterior"

    def _terms(self, usual: Certainty) -> Terms:
        return Terms(
            None if self.current is None else arm_name(self.current),
            self.confidence,
            self.certainty or usual,
            self.margin_floor,
            self.largest_step,
            self.ladder,
            self.least_customers,
        )
