"""A verdict on a price in words, for a manager."""

from __future__ import annotations

from hwds.decisions.price_rule import Judgement
from hwds.results.verdict import RuleRecord

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
    worth = "" if gain is None else f"{_signed(gain[0])} {_each(unit)}, {_signed(gain[1])} to {_signed(gain[2])} at {level:.0%}"
    chance = "" if best is None else f"the best of those allowed with a probability of {_chance(best)}"
    if judged.change:
        start = f"CHANGE from {judged.current.arm} to {arm}" if judged.current else f"CHANGE to {arm}"
        said = f"{start}: {', '.join(filter(None, (worth, chance)))}"
    elif judged.rule == "not_sure":
        risk = f"its risk is {_share(judged.risk)} and may be {_share(judged.risk_allowed)}"
        said = f"HOLD{_at(judged)}: that {arm} earns more is not sure ({'; '.join(filter(None, (worth, chance, risk)))})"
    elif gain is None:
        said = f"HOLD{_at(judged)}: {REASONS['no_estimate']}"
    else:
        said = f"HOLD{_at(judged)}: no arm that is allowed seems to earn more (best: {arm}, {worth})"
    return f"{said}{_excluded(judged)}."


def record_sentence(record: RuleRecord, unit: str) -> str:
    """How often the rule was right where the truth is known."""
    lost = "" if record.regret is None else f"; it leaves {_money(record.regret)} {_each(unit)} unearned on average"
    known = ", and to hold was right" if record.best_is_current else ""
    return (
        f"In {record.replications:,} simulated replications the same rule changes rightly in {record.right:.1%}, holds in"
        f" {record.hold:.1%}{known}, changes wrongly in {record.wrong:.1%}{lost}."
    )


def going_on(value: float, customers: int, unit: str) -> str:
    """The value of going on with the experiment."""
    return f"To know the best arm for certain is worth {_money(value)} {unit or 'in all'} at most over {customers:,} customers."


def pooled(segments: int) -> str:
    """What counts of several segments leave open."""
    if segments < 2:
        return ""
    return f"Counts are pooled over {segments} segments: they compare arms only if the policy offers them to all alike."


def late(delay: float) -> str:
    """What counts of a simulation hold where conversions come later than their offers."""
    if not delay:
        return ""
    return "Conversions are counted at their offers, also those that come after the end: no policy had seen all of them."


def _at(judged: Judgement) -> str:
    return f" at {judged.current.arm}" if judged.current else ""


def _excluded(judged: Judgement) -> str:
    """The rule that kept a better arm out."""
    if judged.rule not in REASONS or judged.rule not in judged.excluded:
        return ""
    return f"; what seems best is out: {', '.join(judged.excluded[judged.rule])} ({judged.rule}: {REASONS[judged.rule]})"


def _listed(judged: Judgement) -> str:
    return "; ".join(f"{rule}: {', '.join(arms)}" for rule, arms in judged.excluded.items())


def _each(unit: str) -> str:
    return f"{unit} per customer" if unit else "per customer"


def _signed(value: float) -> str:
    return f"{'-' if value < 0 else '+'}{_money(abs(value))}"


def _money(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _chance(share: float) -> str:
    return "> 99.9 %" if share > 0.999 else "< .1 %" if share < 0.001 else f"{100 * share:.1f} %"


def _share(risk: float | None) -> str:
    return "unknown" if risk is None else "< .0001" if risk < 0.0001 else f"{risk:.2g}".replace("0.", ".", 1)
