"""A verdict on a price in words, for a manager."""

from __future__ import annotations

from hwds.decisions.price_rule import Judgement
from hwds.results.verdict import RuleRecord
from hwds.results.wording import brief, chance, percent, probability, reach

REASONS = {
    "absent": "it is no longer offered",
    "no_estimate": "the evidence has no estimate of it",
    "too_few": "too few customers saw it",
    "ladder": "it is not on the ladder",
    "margin_floor": "it is below the margin floor",
    "largest_step": "it is beyond the largest step",
}
"""Why an arm is excluded, by guard."""


def sentence(judged: Judgement, gain: tuple[float, float, float] | None, best: float | None, unit: str, level: float) -> str:
    """What to do and why.

    Args:
        judged: The judgement.
        gain: Of the candidate over the current arm, per customer, with its interval.
        best: The probability that the candidate earns most.
        unit: Of money.
        level: Of the interval.
    """
    if judged.candidate is None:
        return f"HOLD{_at(judged)}: no other arm is left to charge ({_listed(judged)})."
    arm = judged.candidate.arm
    size, ends = reach(*gain, unit, sign=True) if gain is not None else ("", "")
    worth = f"{size} per customer ({100 * level:g} %: {ends})" if gain is not None else ""
    likely = "" if best is None else f"the best of those allowed with a probability of {probability(best)}"
    if judged.change:
        start = f"CHANGE from {judged.current.arm} to {arm}" if judged.current else f"CHANGE to {arm}"
        said = f"{start}: {', '.join(filter(None, (worth, likely)))}"
    elif judged.rule == "not_sure":
        risk = f"its risk is {_risk(judged.risk)} and may be {_risk(judged.risk_allowed)}"
        said = f"HOLD{_at(judged)}: that {arm} earns more is not sure ({'; '.join(filter(None, (worth, likely, risk)))})"
    elif gain is None:
        said = f"HOLD{_at(judged)}: {REASONS['no_estimate']}"
    else:
        said = f"HOLD{_at(judged)}: no arm that is allowed seems to earn more (best: {arm}, {worth})"
    return f"{said}{_excluded(judged)}."


def record_sentence(record: RuleRecord, unit: str) -> str:
    """How often the rule was right where the truth is known."""
    lost = "" if record.regret is None else f"; it leaves {brief(record.regret, None, unit)} per customer unearned on average"
    known = ", and to hold was right" if record.best_is_current else ""
    return (
        f"In {record.replications:,} simulated replications the same rule changes rightly in {percent(record.right)}, holds in"
        f" {percent(record.hold)}{known}, changes wrongly in {percent(record.wrong)}{lost}."
    )


def going_on(value: float, customers: int, unit: str) -> str:
    """The value of going on with the experiment."""
    most = brief(value, None, unit) if unit else f"{brief(value)} in all"
    return f"To know the best arm for certain is worth {most} at most over {customers:,} customers."


def pooled(segments: int) -> str:
    """What counts of several segments leave open."""
    if segments < 2:
        return ""
    return f"Counts are pooled over {segments} segments: they compare arms only if the policy offers them to all alike."


def _at(judged: Judgement) -> str:
    return f" at {judged.current.arm}" if judged.current else ""


def _excluded(judged: Judgement) -> str:
    """The rule that kept a better arm out."""
    if judged.rule not in REASONS or judged.rule not in judged.excluded:
        return ""
    return f"; what seems best is out: {', '.join(judged.excluded[judged.rule])} ({judged.rule}: {REASONS[judged.rule]})"


def _listed(judged: Judgement) -> str:
    return "; ".join(f"{rule}: {', '.join(arms)}" for rule, arms in judged.excluded.items())


def _risk(risk: float | None) -> str:
    return "unknown" if risk is None else chance(risk)
