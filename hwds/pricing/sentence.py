"""A verdict on a price in words, for a manager."""

from __future__ import annotations

from hwds.pricing.evidence import ArmEvidence
from hwds.pricing.rule import Judgement, below_floor
from hwds.results.formatting import brief, chance, interval, percent, probability
from hwds.results.verdict import RuleRecord

REASONS = {
    "absent": "it is no longer offered",
    "no_estimate": "the evidence has no estimate of it",
    "too_few": "too few customers saw it",
    "ladder": "it is not on the ladder",
    "margin_floor": "it is below the margin floor",
    "largest_step": "it is beyond the largest step",
}
"""The reason why a guard excludes an arm."""


def sentence(
    judgement: Judgement,
    gain: tuple[float, float, float] | None,
    best: float | None,
    unit: str,
    level: float,
    rule: str = "",
) -> str:
    """Return what to do and why.

    Args:
        judgement: The judgement.
        gain: Of the candidate over the current arm, per customer, with its interval.
        best: The probability that the candidate earns most.
        unit: Of money.
        level: Of the interval.
        rule: How a test made it; empty for a credible interval.
    """
    if judgement.candidate is None:
        return f"HOLD{_at(judgement)}: no other arm is left to charge ({_listed(judgement)})."
    arm = judgement.candidate.arm
    size, ends = interval(*gain, unit, sign=True) if gain is not None else ("", "")
    worth = f"{size} per customer ({f'{rule} ' if rule else ''}{100 * level:g} %: {ends})" if gain is not None else ""
    chance_best = "" if best is None else f"the best of those allowed with a probability of {probability(best)}"
    if judgement.change:
        start = f"CHANGE from {judgement.current.arm} to {arm}" if judgement.current else f"CHANGE to {arm}"
        text = ": ".join(filter(None, (start, ", ".join(filter(None, (worth, chance_best))))))
    elif judgement.rule == "not_sure":
        risk = f"its risk is {_risk(judgement.risk)} and may be {_risk(judgement.risk_allowed)}"
        text = (
            f"HOLD{_at(judgement)}: that {arm} earns more is not sure ({'; '.join(filter(None, (worth, chance_best, risk)))})"
        )
    elif gain is None:
        text = f"HOLD{_at(judgement)}: {REASONS['no_estimate']}"
    else:
        text = f"HOLD{_at(judgement)}: no arm that is allowed seems to earn more (best: {arm}, {worth})"
    return f"{text}{_excluded(judgement)}."


def floor_sentence(current: ArmEvidence | None, floor: float | None) -> str:
    """Return what comes first where the price in force is itself below the margin floor; empty where it is not."""
    margin = None if current is None else current.offer.margin
    if current is None or margin is None or floor is None or not below_floor(margin, floor):
        return ""
    least = f"may not be below {percent(floor)}"
    return f"Today's price {current.arm} breaks its own floor: its margin is {percent(margin)}, and {least}."


def record_sentence(record: RuleRecord, unit: str) -> str:
    """Return how often the rule was right where the truth is known."""
    regret = "" if record.regret is None else f"; it leaves {brief(record.regret, None, unit)} per customer unearned on average"
    hold_right = ", and to hold was right" if record.best_is_current else ""
    return (
        f"In {record.replications:,} simulated replications the same rule changes rightly in {percent(record.right)}, holds in"
        f" {percent(record.hold)}{hold_right}, changes wrongly in {percent(record.wrong)}{regret}."
    )


def value_of_continuing(value: float, customers: int, unit: str) -> str:
    """Return the value of going on with the experiment."""
    most = brief(value, None, unit) if unit else f"{brief(value)} in all"
    return f"To know the best arm for certain is worth {most} at most over {customers:,} customers."


def _at(judgement: Judgement) -> str:
    return f" at {judgement.current.arm}" if judgement.current else ""


def _excluded(judgement: Judgement) -> str:
    """Return the rule that kept a better arm out."""
    rule = judgement.rule
    if rule not in REASONS or rule not in judgement.excluded:
        return ""
    return f"; what seems best is out: {', '.join(judgement.excluded[rule])} ({rule}: {REASONS[rule]})"


def _listed(judgement: Judgement) -> str:
    return "; ".join(f"{rule}: {', '.join(arms)}" for rule, arms in judgement.excluded.items())


def _risk(risk: float | None) -> str:
    return "unknown" if risk is None else chance(risk)
