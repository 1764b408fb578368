"""From a judgement to the verdict: probabilities, the gain with its interval, the value of going on, the sentence."""

from __future__ import annotations

from collections.abc import Sequence

from hwds.decisions.price_evidence import Known
from hwds.decisions.price_rule import Judgement, Terms, judge
from hwds.decisions.price_words import going_on, record_sentence, sentence
from hwds.metrics.ab_bayes import Posterior, difference_bounds, expected_loss, probability_best
from hwds.metrics.gain_risk import posterior_risk
from hwds.results.verdict import PriceStanding, PriceVerdict, RuleRecord


def verdict_of(
    name: str,
    arms: Sequence[Known],
    terms: Terms,
    *,
    unit: str,
    customers: int | None,
    record: RuleRecord | None = None,
    note: str = "",
) -> PriceVerdict:
    """The verdict on what is known; all numbers are exact integrals, so that nothing is drawn.

    Args:
        name: The decision's.
        arms: What is known of each arm.
        terms: The rule.
        unit: Of money.
        customers: Customers to come.
        record: Of the same rule in a simulation.
        note: What the sentence is to end with.
    """
    judged = judge(arms, terms)
    now, then = judged.current, judged.candidate
    charged = then if judged.change else now
    posteriors = [_posterior(each) for each in judged.compared]
    best = dict(zip((each.arm for each in judged.compared), probability_best(posteriors), strict=True)) if posteriors else {}
    information = _information(judged, charged)
    total = None if information is None or customers is None else information * customers
    gain = _gain(judged, terms.confidence)
    top = None if then is None else best.get(then.arm)
    said = [sentence(judged, gain, top, unit, terms.confidence)]
    said += [going_on(total, customers, unit)] if total is not None and customers is not None else []
    said += [record_sentence(record, unit)] if record is not None else []
    return PriceVerdict(
        decision=name,
        action="CHANGE" if judged.change else "HOLD",
        rule=judged.rule,
        excluded=judged.excluded,
        sentence=" ".join([*said, note] if note else said),
        current=terms.current,
        arm=None if charged is None else charged.arm,
        price=None if charged is None else charged.offer.price,
        candidate=None if then is None else then.arm,
        probability_best=top,
        probability_gain=None if gain is None else 1 - _no_gain(judged),
        gain=None if gain is None else gain[0],
        gain_low=None if gain is None else gain[1],
        gain_high=None if gain is None else gain[2],
        confidence=terms.confidence,
        certainty=terms.certainty,
        risk=judged.risk,
        risk_allowed=judged.risk_allowed,
        value_of_information=information,
        customers=customers,
        value_of_going_on=total,
        unit=unit,
        standings=tuple(_standing(each, best.get(each.arm)) for each in arms),
        record=record,
    )


def _information(judged: Judgement, charged: Known | None) -> float | None:
    """What knowing the best arm would add to charging this one; to the one that seems best where nothing is charged."""
    losses = expected_loss([_posterior(each) for each in judged.compared])
    own = [loss for loss, each in zip(losses, judged.compared, strict=True) if each is charged]
    return min(own or losses, default=None)


def _posterior(known: Known) -> Posterior:
    assert known.posterior is not None
    return known.posterior


def _comparable(judged: Judgement) -> bool:
    return judged.candidate is not None and judged.current is not None and judged.current.posterior is not None


def _gain(judged: Judgement, level: float) -> tuple[float, float, float] | None:
    """Of the candidate over the current arm, with its interval; None where one of them is missing."""
    if not _comparable(judged):
        return None
    assert judged.candidate is not None
    assert judged.current is not None
    own, other = _posterior(judged.candidate), _posterior(judged.current)
    return (own.mean - other.mean, *difference_bounds(own, other, level))


def _no_gain(judged: Judgement) -> float:
    assert judged.candidate is not None
    assert judged.current is not None
    return posterior_risk(_posterior(judged.candidate), _posterior(judged.current))


def _standing(known: Known, best: float | None) -> PriceStanding:
    told = known.posterior
    return PriceStanding(
        arm=known.arm,
        price=known.offer.price,
        customers=known.customers,
        mean=None if told is None else told.mean,
        stderr=None if told is None else told.deviation,
        probability_best=best,
    )
