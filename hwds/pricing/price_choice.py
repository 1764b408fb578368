"""Which price to charge: the rule, the verdict with its probabilities, and its words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

import numpy as np

from hwds.pricing.arm_evidence import (
    ArmEvidence,
    Certainty,
    Contrast,
    Contrasts,
    Offer,
    always_valid_risk,
    contrast_of,
    posterior_risk,
)
from hwds.report.words import spoken
from hwds.results.tables import Verdict
from hwds.stats.distributions import Posterior, difference_bounds, expected_loss, probability_best

# The rule: which arms may be charged, which of them seems best, and whether it is sure enough
# to change to it.

ADAPTIVE_ODDS = 0.5, 1.25
"""A bandit starves arms that were unlucky, so that posteriors are too sure: where two arms earn the
same, one in ten games of Thompson sampling ends with a posterior risk of a twentieth. A risk of r
is kept by asking for at most 0.5 r^1.25: measured at r = .05 for Thompson sampling, KL-UCB, greedy
and epsilon-greedy play, conversions of .02 to .5 and 1,000 to 100,000 customers, and at .01 to .2
for Thompson sampling.
"""

HARD_GUARDS = ("absent", "ladder", "margin_floor", "largest_step")
"""The guards that hold whatever is known."""

PRICE_TOLERANCE = 1e-9
"""The relative difference within which two prices, shares of change or margins are the same."""


@dataclass(frozen=True, slots=True)
class PriceTerms:
    """The fields of the rule; see `PriceChoice`."""

    current: str | None
    confidence: float
    certainty: Certainty
    margin_floor: float | None
    largest_step: float | None
    ladder: tuple[float, ...]
    least_customers: int


@dataclass(frozen=True, slots=True)
class PriceJudgement:
    """The result of the rule.

    Attributes:
        change: Whether to charge the candidate.
        rule: What bound: a guard, `not_sure`, or `none`.
        excluded: The arms that each guard excludes.
        current: The arm in force.
        candidate: What seems best of the others that are left.
        compared: The current arm and all that the laws allow, those that few customers saw among
            them.
        risk: That the candidate does not earn more.
        risk_allowed: The most that it may be.
    """

    change: bool
    rule: str
    excluded: Mapping[str, tuple[str, ...]]
    current: ArmEvidence | None
    candidate: ArmEvidence | None
    compared: tuple[ArmEvidence, ...]
    risk: float | None = None
    risk_allowed: float | None = None


def apply_rule(
    arms: Sequence[ArmEvidence], terms: PriceTerms, contrasts: Contrasts = MappingProxyType({})
) -> PriceJudgement:
    """Return the judgement of the rule.

    Beyond the guards, the candidate must earn more than the current arm but for a risk of at most 1
    - confidence, shared among all that the laws leave (Bonferroni), since the best-looking of them
    was picked. Without a current arm it must earn more than each of those. With the certainty
    `test` what an arm earns more, and the risk, which is corrected already, are those of the
    contrasts.

    Args:
        arms: What is known of each arm.
        terms: The rule.
        contrasts: What a test says of pairs of arms.
    """
    current = next((each for each in arms if each.arm == terms.current), None)
    excluded = guards_against(arms, terms)
    others = [each for each in arms if each is not current]
    candidates = [
        each for each in others if not any(each.arm in barred for barred in excluded.values())
    ]
    allowed_arms = [
        each for each in arms if not any(each.arm in excluded.get(rule, ()) for rule in HARD_GUARDS)
    ]
    compared = tuple(each for each in allowed_arms if each.posterior is not None)
    earned = _apparent_earnings(arms, current, terms, contrasts)
    candidate = max(candidates, key=lambda each: earned[each.arm], default=None)
    bound = _binding_guard(others, candidates, excluded, current, earned)
    if candidate is None:
        return PriceJudgement(False, bound, excluded, current, None, compared)
    if current is not None and current.posterior is None:
        return PriceJudgement(False, "no_estimate", excluded, current, candidate, compared)
    allowed = risk_allowed(terms, len(allowed_arms) - (current is not None))
    risk = _candidate_risk(candidate, current, compared, terms.certainty, contrasts)
    if current is not None and earned[candidate.arm] <= earned[current.arm]:
        return PriceJudgement(False, bound, excluded, current, candidate, compared, risk, allowed)
    sure = risk <= allowed
    return PriceJudgement(
        sure, bound if sure else "not_sure", excluded, current, candidate, compared, risk, allowed
    )


def risk_allowed(terms: PriceTerms, tries: int) -> float:
    """Return the most that the risk of a candidate may be, where so many could have been picked."""
    share = (1 - terms.confidence) / (1 if terms.certainty == "test" else max(tries, 1))
    factor, power = ADAPTIVE_ODDS
    return factor * share**power if terms.certainty == "adaptive" else share


def guards_against(arms: Sequence[ArmEvidence], terms: PriceTerms) -> dict[str, tuple[str, ...]]:
    """Return the arms but the current one that each guard excludes, guards that exclude none left
    out.
    """
    now = next((each.offer.price for each in arms if each.arm == terms.current), None)
    rules: dict[str, Callable[[ArmEvidence], bool]] = {
        "absent": lambda each: each.offer.absent,
        "no_estimate": lambda each: each.posterior is None,
        "too_few": lambda each: each.customers < terms.least_customers,
        "ladder": lambda each: bool(terms.ladder) and not _on_ladder(each.offer, terms.ladder),
        "margin_floor": lambda each: below_floor(each.offer.margin, terms.margin_floor),
        "largest_step": lambda each: _beyond_step(each.offer.price, now, terms.largest_step),
    }
    by_guard = {
        name: tuple(each.arm for each in arms if each.arm != terms.current and out(each))
        for name, out in rules.items()
    }
    return {name: excluded for name, excluded in by_guard.items() if excluded}


def _on_ladder(offer: Offer, ladder: Sequence[float]) -> bool:
    return offer.price is not None and bool(
        np.isclose(offer.price, ladder, rtol=PRICE_TOLERANCE, atol=0).any()
    )


def below_floor(margin: float | None, floor: float | None) -> bool:
    """Return whether a margin is below the floor, where both are known."""
    return floor is not None and margin is not None and margin < floor - PRICE_TOLERANCE


def _beyond_step(price: float | None, now: float | None, step: float | None) -> bool:
    return (
        step is not None
        and price is not None
        and bool(now)
        and abs(price / (now or 1.0) - 1) > step + PRICE_TOLERANCE
    )


def _binding_guard(
    others: Sequence[ArmEvidence],
    candidates: Sequence[ArmEvidence],
    excluded: Mapping[str, tuple[str, ...]],
    current: ArmEvidence | None,
    earned: Mapping[str, float],
) -> str:
    """Return the guard that excludes what seems best of all that was seen enough.

    `none` where nothing better was excluded.
    """
    unseen = {arm for rule in ("no_estimate", "too_few") for arm in excluded.get(rule, ())}
    favourite = max(
        (each for each in others if each.arm not in unseen),
        key=lambda each: earned[each.arm],
        default=None,
    )
    if favourite is None:
        return next(iter(excluded), "none")
    better = current is None or earned[favourite.arm] > earned[current.arm]
    if favourite in candidates or (candidates and not better):
        return "none"
    return next(rule for rule, arms in excluded.items() if favourite.arm in arms)


def _apparent_earnings(
    arms: Sequence[ArmEvidence],
    current: ArmEvidence | None,
    terms: PriceTerms,
    contrasts: Contrasts,
) -> dict[str, float]:
    """Return by arm what it seems to earn.

    Of a test that compares it with the current arm, beyond what that one earns.
    """
    means = {each.arm: each.mean for each in arms}
    if terms.certainty != "test" or current is None:
        return means
    found = {arm: contrast_of(contrasts, arm, current.arm) for arm in means}
    return {
        arm: current.mean + contrast.gain if (contrast := found[arm]) is not None else mean
        for arm, mean in means.items()
    }


def _candidate_risk(
    candidate: ArmEvidence,
    current: ArmEvidence | None,
    compared: Sequence[ArmEvidence],
    certainty: Certainty,
    contrasts: Contrasts,
) -> float:
    """Return the probability that the candidate earns no more than the current arm, or than any
    other without one.
    """
    rivals = (
        [current] if current is not None else [each for each in compared if each is not candidate]
    )
    if not rivals:
        return 0.0
    if certainty == "test":
        found = [contrast_of(contrasts, candidate.arm, each.arm) for each in rivals]
        return max(1.0 if contrast is None else contrast.risk_of_loss for contrast in found)
    if certainty == "always_valid":
        counted = [each.counts for each in rivals if each.counts is not None]
        assert candidate.counts is not None
        assert len(counted) == len(rivals)
        return max(always_valid_risk(candidate.counts, counts) for counts in counted)
    posteriors = [each.posterior for each in (candidate, *rivals) if each.posterior is not None]
    return (
        posterior_risk(*posteriors) if len(posteriors) == 2 else 1 - probability_best(posteriors)[0]
    )


# The verdict on a price, and its words.

GUARD_REASONS = {
    "absent": "it is no longer offered",
    "no_estimate": "the evidence has no estimate of it",
    "too_few": "too few customers saw it",
    "ladder": "it is not on the ladder",
    "margin_floor": "it is below the margin floor",
    "largest_step": "it is beyond the largest step",
}
"""The reason why a guard excludes an arm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceStanding:
    """The evidence on one arm, per customer to whom it was offered.

    Attributes:
        arm, price: Its name and what a customer pays (None where the data names no price).
        customers: The number of customers to whom it was offered.
        mean, stderr: Of the posterior of what it earns; None without an estimate.
        probability_best: That it earns most of those that ladder, floor and step allow; None where
            it is not among them.
    """

    arm: str
    price: float | None
    customers: int
    mean: float | None
    stderr: float | None
    probability_best: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRecord:
    """The performance of the same rule in replications of a simulated world whose truth is known.

    Attributes:
        replications: The number of replications.
        right: Share of changes to an arm that truly earns more than the current one (without one:
            to the best allowed arm).
        hold: Share without a change.
        wrong: Share of the other changes.
        best_is_current: Whether the current arm is truly the best of those allowed, so that to hold
            is right.
        regret, stderr: Mean per customer that the best allowed arm truly earns more than the arm in
            force afterwards, over the replications in which one is; None where there is none.
    """

    replications: int
    right: float
    hold: float
    wrong: float
    best_is_current: bool
    regret: float | None
    stderr: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceVerdict(Verdict):
    """A price to charge; all money is per customer to whom it is offered, unless it says otherwise.

    Attributes:
        action: `CHANGE` or `HOLD`.
        terms: The rule, with the arm in force; None there where there is none.
        arm, price: To charge from now on; None where nothing is in force and nothing is sure.
        candidate: The arm that seems to earn most among those that the guards leave, the current
            one apart.
        probability_best: That the candidate earns most of the current arm and all that ladder,
            floor and step allow.
        probability_gain: That it earns more than the current one; None with the certainty `test`,
            which knows no such thing.
        gain, gain_low, gain_high: What it earns more than the current one: posterior mean and
            equal-tailed credible interval; with the certainty `test` the effect and the interval of
            the test.
        risk, risk_allowed: That the candidate earns no more, and the most that the rule allows for
            changing to it.
        value_of_information: The expected value of perfect information: what knowing the best arm
            for certain would add to charging `arm` (to the one that seems best where nothing is
            charged).
        customers, value_of_going_on: For so many customers to come, what that is at most worth in
            all.
        unit: The unit of money; empty where the data names none.
        standings: Every arm.
        record: The record of the same rule in a simulation; None for real evidence.
    """

    stored = ("terms.current", "terms.confidence", "terms.certainty")
    words = """
    {%- set at %}{% if now %} at {{ now.arm }}{% endif %}{% endset %}
    {%- set worth -%}
    {% if gain is not none %}{{ gain | size(gain_low, gain_high, unit, sign=true) }} per customer
    ({% if law %}{{ law }} {% endif %}{{ (100 * terms.confidence) | written("g") }} %:
    {{ gain | ends(gain_low, gain_high, unit, sign=true) }}){% endif %}{% endset %}
    {%- set best -%}
    {% if probability_best is not none and terms.certainty != "test" %}the best with a
    probability of {{ probability_best | chance }}{% endif %}{% endset %}
    {%- if candidate is none -%}
    HOLD{{ at }}: no other arm is left to charge
    ({%- for guard, arms in excluded.items() %}{{ guard }}: {{ arms | join(", ") }}
    {%- if not loop.last %}; {% endif %}{% endfor %}).
    {%- else %}
    {%- if action == "CHANGE" -%}
    CHANGE {% if now %}from {{ now.arm }} {% endif %}to {{ candidate }}
    {%- if worth or best %}: {{ [worth, best] | select | join(", ") }}{% endif %}
    {%- elif rule == "not_sure" -%}
    {%- set sure %}its risk is {{ "unknown" if risk is none else risk | p_value }} and may be
    {{ "unknown" if risk_allowed is none else risk_allowed | p_value }}{% endset -%}
    HOLD{{ at }}: that {{ candidate }} earns more is not sure
    ({{- [worth, best, sure] | select | join("; ") }})
    {%- elif gain is none -%}
    HOLD{{ at }}: {{ reasons.no_estimate }}
    {%- else -%}
    HOLD{{ at }}: no arm that is allowed seems to earn more (best: {{ candidate }}, {{ worth }})
    {%- endif %}
    {%- if rule in reasons and rule in excluded %}; what seems best is out:
    {{ excluded[rule] | join(", ") }} ({{ rule }}: {{ reasons[rule] }}){% endif %}.
    {%- endif %}

    {% if floor_margin is not none -%}
    Today's price {{ terms.current }} breaks its own floor: its margin is
    {{ floor_margin | percent }}, and may not be below {{ terms.margin_floor | percent }}.
    {%- endif %}

    {% if value_of_going_on is not none -%}
    To know the best arm for certain is worth {{ value_of_going_on | money(unit) }}
    {%- if not unit %} in all{% endif %} at most over {{ customers | count }} customers.
    {%- endif %}

    {% if record -%}
    In {{ record.replications | count }} simulated replications the same rule changes rightly in
    {{ record.right | percent }}, holds in {{ record.hold | percent }}
    {%- if record.best_is_current %}, and to hold was right{% endif %}, changes wrongly in
    {{ record.wrong | percent }}
    {%- if record.regret is not none %}; it leaves {{ record.regret | money(unit) }} per customer
    unearned on average{% endif %}.
    {%- endif %}

    {{ note }}
    """
    reasons: ClassVar = GUARD_REASONS

    action: Literal["CHANGE", "HOLD"]
    terms: PriceTerms
    arm: str | None
    price: float | None
    candidate: str | None
    probability_best: float | None
    probability_gain: float | None
    gain: float | None
    gain_low: float | None
    gain_high: float | None
    risk: float | None
    risk_allowed: float | None
    value_of_information: float | None
    customers: int | None
    value_of_going_on: float | None
    unit: str
    standings: tuple[PriceStanding, ...]
    record: RuleRecord | None


# The verdict of a judgement: probabilities, the gain with its interval, the value of
# continuing, the sentence.


def choice_verdict(
    name: str,
    arms: Sequence[ArmEvidence],
    terms: PriceTerms,
    *,
    unit: str,
    customers: int | None,
    record: RuleRecord | None = None,
    note: str = "",
    contrasts: Contrasts = MappingProxyType({}),
) -> PriceVerdict:
    """Return the verdict on what is known.

    All numbers are exact integrals, so that nothing is drawn.

    Args:
        name: The decision's.
        arms: What is known of each arm.
        terms: The rule.
        unit: The unit of money.
        customers: Customers to come.
        record: The record of the same rule in a simulation.
        note: What the sentence is to end with.
        contrasts: What a test says of pairs of arms.
    """
    judgement = apply_rule(arms, terms, contrasts)
    contrast = _contrast(judgement, terms, contrasts)
    now, then = judgement.current, judgement.candidate
    charged = then if judgement.change else now
    best = _best_chances(judgement)
    information = _information(judgement, charged)
    total = None if information is None or customers is None else information * customers
    gain = _gain_interval(judgement, terms, contrast)
    margin = None if now is None else now.offer.margin
    size, low, high = gain or (None, None, None)
    verdict = PriceVerdict(
        decision=name,
        action="CHANGE" if judgement.change else "HOLD",
        rule=judgement.rule,
        excluded=judgement.excluded,
        terms=terms,
        arm=None if charged is None else charged.arm,
        price=None if charged is None else charged.offer.price,
        candidate=None if then is None else then.arm,
        probability_best=None if then is None else best.get(then.arm),
        probability_gain=None
        if gain is None or terms.certainty == "test"
        else 1 - _no_gain_chance(judgement),
        gain=size,
        gain_low=low,
        gain_high=high,
        risk=judgement.risk,
        risk_allowed=judgement.risk_allowed,
        value_of_information=information,
        customers=customers,
        value_of_going_on=total,
        unit=unit,
        standings=tuple(_arm_standing(each, best.get(each.arm)) for each in arms),
        record=record,
    )
    return spoken(
        verdict,
        now=now,
        law="" if contrast is None else contrast.rule,
        floor_margin=margin if below_floor(margin, terms.margin_floor) else None,
        note=note,
    )


def _best_chances(judgement: PriceJudgement) -> dict[str, float]:
    """Return the probability that each compared arm earns most."""
    posteriors = [_posterior(each) for each in judgement.compared]
    if not posteriors:
        return {}
    return dict(
        zip((each.arm for each in judgement.compared), probability_best(posteriors), strict=True)
    )


def _information(judgement: PriceJudgement, charged: ArmEvidence | None) -> float | None:
    """Return what knowing the best arm would add to charging this one.

    To the one that seems best where nothing is charged.
    """
    losses = expected_loss([_posterior(each) for each in judgement.compared])
    charged_losses = [
        loss for loss, each in zip(losses, judgement.compared, strict=True) if each is charged
    ]
    return min(charged_losses or losses, default=None)


def _posterior(evidence: ArmEvidence) -> Posterior:
    assert evidence.posterior is not None
    return evidence.posterior


def _contrast(
    judgement: PriceJudgement, terms: PriceTerms, contrasts: Contrasts
) -> Contrast | None:
    """Return what the test says of the candidate and the current arm.

    None where it does not decide, or says nothing.
    """
    if terms.certainty != "test" or judgement.candidate is None or judgement.current is None:
        return None
    return contrast_of(contrasts, judgement.candidate.arm, judgement.current.arm)


def _gain_interval(
    judgement: PriceJudgement, terms: PriceTerms, contrast: Contrast | None
) -> tuple[float, float, float] | None:
    """Return the gain of the candidate over the current arm, with its interval.

    None where one of them is missing.
    """
    if terms.certainty == "test":
        return None if contrast is None else contrast.interval
    arms = (judgement.candidate, judgement.current)
    own, other = (None if each is None else each.posterior for each in arms)
    if own is None or other is None:
        return None
    return (own.mean - other.mean, *difference_bounds(own, other, terms.confidence))


def _no_gain_chance(judgement: PriceJudgement) -> float:
    assert judgement.candidate is not None
    assert judgement.current is not None
    return posterior_risk(_posterior(judgement.candidate), _posterior(judgement.current))


def _arm_standing(evidence: ArmEvidence, best: float | None) -> PriceStanding:
    posterior = evidence.posterior
    return PriceStanding(
        arm=evidence.arm,
        price=evidence.offer.price,
        customers=evidence.customers,
        mean=None if posterior is None else posterior.mean,
        stderr=None if posterior is None else posterior.deviation,
        probability_best=best,
    )
