"""PriceChoice: which price to charge from now on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Lt

from hwds.core.errors import ConfigError, nearest
from hwds.core.recipe import (
    MOST,
    Amount,
    Level,
    NonNegative,
    NonNegativeInt,
    Once,
    Positive,
    PositiveInt,
)
from hwds.evaluation.decisions.base import Decision
from hwds.evaluation.protocol import Evaluation
from hwds.frames.table import arm_name
from hwds.pricing.arm_evidence import (
    ArmEvidence,
    Certainty,
    Offer,
    PriceEvidence,
    PriceOffers,
    from_counts,
    replications,
)
from hwds.pricing.decisions.base import terms_from
from hwds.pricing.price_choice import (
    HARD_GUARDS,
    PriceTerms,
    PriceVerdict,
    RuleRecord,
    apply_rule,
    choice_verdict,
)
from hwds.results.tables import Tables

MOST_REPLICATIONS = 2000
"""Replications that are judged at most: a second or two."""


Money = NonNegative
Floor = Annotated[float, Ge(-MOST), Lt(1)]


class PriceChoice(Decision):
    """The price to charge: CHANGE if a gain is sure and no guard forbids it, otherwise HOLD.

    Reads the evidence of a protocol (`PriceEvidence`): a bandit's simulation (the first replication
    is the evidence; all of them show how often the rule is right), a table of an A/B test, or an
    off-policy estimate of each arm (`protocol.each_arm=true`); `of_counts` reads a live bandit's
    counts. If purchases are known, an arm's earnings have a Beta posterior under a uniform prior,
    times price minus cost. Otherwise they have a normal one. The best remaining arm is charged if
    the risk that it does not earn more than the current arm is at most 1 - confidence, shared among
    the candidates. Counts are pooled over customers: those of a policy that tells customers apart
    compare different customers. A simulation counts the offers whose attribution window was over by
    the end, each with what was seen in it. An arm that is no longer offered at the end (`absent`)
    is not charged.

    Attributes:
        current: The arm in force; null for none: then the candidate must be better than all lawful
            others.
        confidence: One minus the risk of a change without a gain; also the level of the gain's
            interval. With `test` it must be 1 - `protocol.alpha`.
        certainty: How the risk is measured. `posterior` is right for evidence that is read once and
            was not gathered by its own results; `adaptive` asks more of the posterior, as a bandit
            starves arms that were unlucky; `always_valid`, of counts alone, is a bound under any
            play and however often it is read, and seldom sure; `test` changes where the A/B test
            itself shows that the arm earns more, by its estimator, rule, looks and correction. null
            takes `adaptive` for a bandit, `test` for an A/B test, and `posterior` otherwise.
        margin_floor: The least (price - cost) / price.
        largest_step: The most that the price may change, as a share of the current one.
        ladder: Allowed prices; empty for all. Only arms that were tried can be chosen.
        least_customers: Arms that fewer customers were offered are not charged, but may be what the
            others must beat.
        customers: Customers to come, for whom the value of going on is reported.
        cost: The cost of a sale; null takes the data's own. Money of a log is taken for revenue.
        prices: The price of each arm, where the data names none.

    Example:
        python -m hwds +experiment=price_bandit decision=price_choice decision.current=10 \
            decision.largest_step=1.0
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
            raise ConfigError(
                "decision.current: must be given, for decision.largest_step is a share of it."
            )

    def check_data(self, frame: Any, protocol: Evaluation[Any, Any]) -> None:
        """Refuse a current arm that is absent, and missing prices or costs that a guard needs.

        Raises:
            ConfigError: With the nearest arm.
        """
        offers = self._offers(frame, protocol)
        check_offers(offers, self._terms(offers.certainty), self.cost)

    def decide(
        self, tables: Tables, frame: Any, model: str, protocol: Evaluation[Any, Any]
    ) -> PriceVerdict:
        """Return the verdict from a run's tables; see `Decision.decide`."""
        offers = self._offers(frame, protocol)
        terms = self._terms(offers.certainty)
        assert isinstance(protocol, PriceEvidence)
        evidence = protocol.price_evidence(tables, frame, model, offers, MOST_REPLICATIONS)
        played = replications(evidence.rows, offers)
        earns = np.array([each.earns(offers.measured) for each in offers.all])
        return choice_verdict(
            self.name,
            played[0] if played else [ArmEvidence(offer) for offer in offers.all],
            terms,
            unit=offers.unit,
            customers=self.customers,
            record=None
            if evidence.truth is None
            else choice_record(played, evidence.truth * earns, terms),
            note=evidence.note,
            contrasts=evidence.contrasts,
        )

    def of_counts(self, counts: Mapping[str, tuple[int, int]], unit: str = "") -> PriceVerdict:
        """Return the verdict from the counts of a live bandit, or of any test of conversions.

        Args:
            counts: By arm, customers who bought and customers who did not; an open exposure is none
                of them yet.
            unit: The unit of money; `conversions` where the arms have no prices.

        Raises:
            ConfigError: A count is negative, or a field does not fit the arms.

        Example:
            >>> choice = PriceChoice(current="149", prices={"149": 149, "199": 199})
            >>> choice.of_counts({"149": (900, 19100), "199": (1100, 18900)}).action
            'CHANGE'
        """
        check_counts(counts)
        arms = tuple(Offer(arm) for arm in counts)
        offers = PriceOffers(arms, "conversions", unit, "adaptive").with_prices(
            self.prices, self.cost
        )
        terms = self._terms(offers.certainty)
        if terms.certainty == "test":
            raise ConfigError(
                "decision.certainty: test is for protocol ab_test, which compares arms; counts "
                "have none."
            )
        if self.largest_step is not None and self.current is None:
            raise ConfigError(
                "decision.current: must be given, for decision.largest_step is a share of it."
            )
        check_offers(offers, terms, self.cost)
        known = [from_counts(offer, *counts[offer.arm]) for offer in offers.all]
        return choice_verdict(
            self.name or "price_choice", known, terms, unit=unit, customers=self.customers
        )

    def _offers(self, frame: Any, protocol: Evaluation[Any, Any]) -> PriceOffers:
        assert isinstance(protocol, PriceEvidence)
        return protocol.offers(frame).with_prices(self.prices, self.cost).in_its_unit()

    def _terms(self, usual: Certainty) -> PriceTerms:
        current = None if self.current is None else arm_name(self.current)
        return terms_from(self, PriceTerms, current=current, certainty=self.certainty or usual)


def choice_record(
    played: Sequence[Sequence[ArmEvidence]], truth: np.ndarray, terms: PriceTerms
) -> RuleRecord | None:
    """Return what the rule did, and what that is truly worth.

    Args:
        played: The evidence of each replication.
        truth: What each arm truly earns per customer, shape (K,); NaN only where it is excluded as
            absent.
        terms: The rule.
    """
    if not played:
        return None
    arms = [arms_of_game.arm for arms_of_game in played[0]]
    worth = dict(zip(arms, truth.tolist(), strict=True))
    judgements = [apply_rule(arms_of_game, terms) for arms_of_game in played]
    static = {arm for rule in HARD_GUARDS for arm in judgements[0].excluded.get(rule, ())}
    best = max((arm for arm in arms if arm not in static), key=lambda arm: worth[arm], default=None)
    if best is None:
        return None
    benchmark = worth[best if terms.current is None else terms.current]
    changed = [
        worth[each.candidate.arm]
        for each in judgements
        if each.change and each.candidate is not None
    ]
    right = sum(
        value > benchmark or (terms.current is None and value >= benchmark) for value in changed
    )
    holds = len(judgements) - len(changed)
    losses = worth[best] - np.array(
        changed + ([worth[terms.current]] * holds if terms.current is not None else [])
    )
    return RuleRecord(
        replications=len(judgements),
        right=right / len(judgements),
        hold=holds / len(judgements),
        wrong=(len(changed) - right) / len(judgements),
        best_is_current=terms.current is not None and worth[terms.current] >= worth[best],
        regret=float(losses.mean()) if len(losses) else None,
        stderr=float(losses.std(ddof=1) / np.sqrt(len(losses))) if len(losses) > 1 else None,
    )


def check_offers(offers: PriceOffers, terms: PriceTerms, cost: float | None) -> None:
    """Refuse offers that lack what the rule reads.

    Raises:
        ConfigError: The current arm is not there (with the nearest) or has left, a price or a cost
            is missing, or there are no counts.
    """
    if terms.current is not None and terms.current not in offers.arms:
        raise ConfigError(
            f"decision.current: no arm '{terms.current}'{nearest(terms.current, offers.arms)}"
        )
    if terms.current is not None and offers.find(terms.current).absent:
        raise ConfigError(
            f"decision.current: arm '{terms.current}' is no longer offered at the end."
        )
    if terms.certainty == "always_valid" and offers.measured != "conversions":
        raise ConfigError(
            "decision.certainty: always_valid needs outcomes of 0 and 1; take 'posterior'."
        )
    wants = {
        "ladder": bool(terms.ladder),
        "margin_floor": terms.margin_floor is not None,
        "largest_step": terms.largest_step is not None,
        "cost": cost is not None,
    }
    option = next((name for name, wanted in wants.items() if wanted), None)
    bare = next((offer.arm for offer in offers.all if offer.price is None), None)
    if option and bare is not None:
        raise ConfigError(
            f"decision.{option}: needs the price of every arm, and arm '{bare}' has no price of "
            f"its own."
        )
    if bare is not None and offers.measured == "conversions" and offers.unit != "conversions":
        raise ConfigError(
            f"decision.prices: must name the price of arm '{bare}': conversions alone say nothing "
            f"of prices."
        )
    costless = next((offer.arm for offer in offers.all if offer.cost is None), None)
    if terms.margin_floor is not None and costless is not None:
        raise ConfigError(
            f"decision.margin_floor: needs decision.cost, for the data has no cost of arm "
            f"'{costless}'."
        )
    if (
        terms.largest_step is not None
        and terms.current is not None
        and not offers.find(terms.current).price
    ):
        raise ConfigError(
            f"decision.largest_step: is a share of the current price, and the price of "
            f"'{terms.current}' is 0."
        )


def check_counts(counts: Mapping[str, tuple[int, int]]) -> None:
    """Refuse numbers that are not counts, or of fewer than two arms.

    Raises:
        ConfigError: They are not.
    """
    if len(counts) < 2:
        raise ConfigError(f"counts: must be of two arms or more, got {len(counts)}.")
    for arm, pair in counts.items():
        if any(count < 0 or count != int(count) for count in pair):
            raise ConfigError(
                f"counts: of arm '{arm}' must be whole numbers >= 0, got {tuple(pair)}."
            )
