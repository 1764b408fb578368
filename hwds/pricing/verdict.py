"""The verdict of a judgement: probabilities, the gain with its interval, the value of continuing, the sentence."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

from hwds.pricing.contrasts import Contrast, Contrasts, contrast_of
from hwds.pricing.evidence import ArmEvidence
from hwds.pricing.gain_risk import posterior_risk
from hwds.pricing.rule import Judgement, PriceTerms, apply_rule
from hwds.pricing.sentence import floor_sentence, record_sentence, sentence, value_of_continuing
from hwds.results.verdict import PriceStanding, PriceVerdict, RuleRecord
from hwds.statistics.arm_posteriors import Posterior, difference_bounds, expected_loss, probability_best


def verdict_of(
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
    """Return the verdict on what is known; all numbers are exact integrals, so that nothing is drawn.

    Args:
        name: The decision's.
        arms: What is known of each arm.
        terms: The rule.
        unit: Of money.
        customers: Customers to come.
        record: Of the same rule in a simulation.
        note: What the sentence is to end with.
        contrasts: What a test says of pairs of arms.
    """
    judgement = apply_rule(arms, terms, contrasts)
    contrast = _contrast(judgement, terms, contrasts)
    now, then = judgement.current, judgement.candidate
    charged = then if judgement.change else now
    best = _best(judgement)
    information = _information(judgement, charged)
    total = None if information is None or customers is None else information * customers
    gain, rule = _gain(judgement, terms, contrast), "" if contrast is None else contrast.rule
    top = None if then is None else best.get(then.arm)
    first = sentence(judgement, gain, None if terms.certainty == "test" else top, unit, terms.confidence, rule)
    parts = [floor_sentence(now, terms.margin_floor), first, *_behind(total, customers, record, unit), note]
    return PriceVerdict(
        decision=name,
        action="CHANGE" if judgement.change else "HOLD",
        rule=judgement.rule,
        excluded=judgement.excluded,
        sentence=" ".join(filter(None, parts)),
        current=terms.current,
        arm=None if charged is None else charged.arm,
        price=None if charged is None else charged.offer.price,
        candidate=None if then is None else then.arm,
        probability_best=top,
        probability_gain=None if gain is None or terms.certainty == "test" else 1 - _no_gain(judgement),
        gain=None if gain is None else gain[0],
        gain_low=None if gain is None else gain[1],
        gain_high=None if gain is None else gain[2],
        confidence=terms.confidence,
        certainty=terms.certainty,
        risk=judgement.risk,
        risk_allowed=judgement.risk_allowed,
        value_of_information=information,
        customers=customers,
        value_of_going_on=total,
        unit=unit,
        standings=tuple(_standing(each, best.get(each.arm)) for each in arms),
        record=record,
    )


def _behind(total: float | None, customers: int | None, record: RuleRecord | None, unit: str) -> list[str]:
    """Return the sentences after the first: what going on is worth, and how often the rule is right."""
    said = [value_of_continuing(total, customers, unit)] if total is not None and customers is not None else []
    return said + ([record_sentence(record, unit)] if record is not None else [])


def _best(judgement: Judgement) -> dict[str, float]:
    """Return the probability that each compared arm earns most."""
    posteriors = [_posterior(each) for each in judgement.compared]
    if not posteriors:
        return {}
    return dict(zip((each.arm for each in judgement.compared), probability_best(posteriors), strict=True))


def _information(judgement: Judgement, charged: ArmEvidence | None) -> float | None:
    """Return what knowing the best arm would add to charging this one; to the one that seems best where nothing is charged."""
    losses = expected_loss([_posterior(each) for each in judgement.compared])
    charged_losses = [loss for loss, each in zip(losses, judgement.compared, strict=True) if each is charged]
    return min(charged_losses or losses, default=None)


def _posterior(evidence: ArmEvidence) -> Posterior:
    assert evidence.posterior is not None
    return evidence.posterior


def _comparable(judgement: Judgement) -> bool:
    return judgement.candidate is not None and judgement.current is not None and judgement.current.posterior is not None


def _contrast(judgement: Judgement, terms: PriceTerms, contrasts: Contrasts) -> Contrast | None:
    """Return what the test says of the candidate and the current arm; None where it does not decide, or says nothing."""
    if terms.certainty != "test" or judgement.candidate is None or judgement.current is None:
        return None
    return contrast_of(contrasts, judgement.candidate.arm, judgement.current.arm)


def _gain(judgement: Judgement, terms: PriceTerms, contrast: Contrast | None) -> tuple[float, float, float] | None:
    """Return the gain of the candidate over the current arm, with its interval; None where one of them is missing."""
    if terms.certainty == "test":
        return None if contrast is None else contrast.interval
    if not _comparable(judgement):
        return None
    assert judgement.candidate is not None
    assert judgement.current is not None
    own, other = _posterior(judgement.candidate), _posterior(judgement.current)
    return (own.mean - other.mean, *difference_bounds(own, other, terms.confidence))


def _no_gain(judgement: Judgement) -> float:
    assert judgement.candidate is not None
    assert judgement.current is not None
    return posterior_risk(_posterior(judgement.candidate), _posterior(judgement.current))


def _standing(evidence: ArmEvidence, best: float | None) -> PriceStanding:
    posterior = evidence.posterior
    return PriceStanding(
        arm=evidence.arm,
        price=evidence.offer.price,
        customers=evidence.customers,
        mean=None if posterior is None else posterior.mean,
        stderr=None if posterior is None else posterior.deviation,
        probability_best=best,
    )
