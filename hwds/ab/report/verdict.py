"""The verdict of a test whose metrics have roles: ship, hold or stop an arm, in money."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from hwds.ab.report.scores import Effect, called, corrected, decisive, guardrail_rows, is_shown, level_of, roles_of, unit_of
from hwds.ab.report.tables import RULES, evidence_words
from hwds.results.formatting import interval
from hwds.results.tables import Tables

Word = Literal["SHIP", "HOLD", "STOP"]

MONEY = ("margin", "revenue")
"""The outcomes that are money, the preferred first."""

PER = 1_000
"""The units that the money of a verdict is of."""


@dataclass(frozen=True, slots=True)
class ArmVerdict:
    """The verdict on one arm.

    Attributes:
        arm: Its name.
        word: What to do with it.
        reason: The metrics that decided.
        effect: The effect that is reported in money: on margin, else on revenue, else on the first primary metric.
    """

    arm: str
    word: Word
    reason: str
    effect: Effect


def verdicts(tables: Tables, model: str) -> list[ArmVerdict]:
    """Return the verdict on each arm; none where metrics have no roles.

    An arm is shipped where a primary metric is shown to be better by the model's first rule, corrected for all arms and primary
    metrics, none is shown to be worse, and every guardrail is sure to be within its margin. It is stopped where a primary
    metric is shown to be worse or a guardrail beyond its margin. So an arm that changes nothing is shipped no more often than
    the rule is wrong.
    """
    roles = roles_of(tables)
    own = [effect for effect in decisive(tables) if effect.model == model and effect.value is not None]
    arms = list(dict.fromkeys(effect.arm for effect in own)) if roles else []
    return [_verdict(tables, model, arm, [effect for effect in own if effect.arm == arm], roles) for arm in arms]


def _verdict(tables: Tables, model: str, arm: str, own: Sequence[Effect], roles: Mapping[str, str]) -> ArmVerdict:
    primary = [effect for effect in own if roles.get(effect.outcome) == "primary"]
    money = [effect for label in MONEY for effect in own if effect.outcome == label]
    effect = (money or primary or own)[0]
    better, worse = ([each for each in primary if _shown(tables, each) == side] for side in (1, -1))
    broken, unsure = _guardrails(tables, model, arm, own, roles)
    if worse or broken:
        labels = [each.outcome for each in worse] + broken
        return ArmVerdict(arm, "STOP", f"{_listed(tables, labels)} {_is(labels)} shown to be worse", effect)
    if not better:
        return ArmVerdict(arm, "HOLD", _not_shown(tables, primary), effect)
    if unsure:
        return ArmVerdict(arm, "HOLD", f"{_listed(tables, unsure)} may be worse than the margin allows", effect)
    labels = [each.outcome for each in better]
    rails = ", and every guardrail holds" if "guardrail" in roles.values() else ""
    return ArmVerdict(arm, "SHIP", f"{_listed(tables, labels)} {_is(labels)} shown to be better{rails}", effect)


def _shown(tables: Tables, effect: Effect) -> int:
    """Return 1 where a metric is shown to be better, -1 where worse, 0 where neither is; a posterior has no rate to show by."""
    if not is_shown(tables, effect) or effect.status != "ok" or effect.rule == "bayes" or not effect.value:
        return 0
    good = tables.measure(f"effect[{effect.outcome}]" if effect.outcome else "effect").better
    return 1 if (effect.value > 0) == (good != "low") else -1


def _not_shown(tables: Tables, primary: Sequence[Effect]) -> str:
    if any(effect.rule == "bayes" for effect in primary):
        return "a posterior has no stated rate of false verdicts; decide by a comparison with rules"
    early = next((effect.status for effect in primary if effect.status != "ok"), None)
    if early:
        return f"the rule does not hold here ({early.replace('_', ' ')})"
    return f"{_listed(tables, [each.outcome for each in primary])} {_is(primary)} not shown to be better"


def _guardrails(
    tables: Tables, model: str, arm: str, own: Sequence[Effect], roles: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """Return the guardrails that are shown to be broken, and those that are not sure to hold; a posterior shows neither."""
    known = {outcome: (slack, most) for name, outcome, slack, most in guardrail_rows(tables, model) if name == arm}
    rails = [label for label, role in roles.items() if role == "guardrail"]
    early = {effect.outcome for effect in own if effect.status != "ok" or effect.rule == "bayes"}
    broken = [label for label in rails if label in known and known[label][1] < 0 and label not in early]
    unsure = [label for label in rails if label not in known or known[label][0] <= 0 or label in early]
    return broken, unsure


def verdict_sentence(tables: Tables, verdict: ArmVerdict) -> str:
    """Return the verdict in words: what to do, why, and the money of a thousand units with its interval and p-value."""
    return f"{verdict.word} {verdict.arm}: {verdict.reason}{_money(tables, verdict.effect)}."


def _money(tables: Tables, effect: Effect) -> str:
    if effect.value is None or effect.low is None or effect.high is None:
        return ""
    unit, level = unit_of(tables, effect.outcome), level_of(tables)
    plain = effect.outcome in (*MONEY, "")  # another metric may be a ratio or a quantile, which does not add up
    units = PER if unit and plain else 1
    size, ends = interval(units * effect.value, units * effect.low, units * effect.high, unit, sign=True)
    of = "" if not plain else f" per {PER:,} units" if unit else " per unit"
    p_value = corrected(tables, effect)
    shown, name = (effect.p_value, "p ") if p_value is None else (p_value, "corrected p ")
    sure = evidence_words(shown, effect.rule, name)
    bounds = ", ".join(filter(None, (f"{RULES.get(effect.rule or '', '')} {level}: {ends}", sure)))
    return f"; {called(tables, effect.outcome)} changes by {size}{of} ({bounds})"


def _listed(tables: Tables, labels: Sequence[str]) -> str:
    return " and ".join(dict.fromkeys(called(tables, label) for label in labels)) or "no primary metric"


def _is(several: Sequence[object]) -> str:
    return "is" if len(several) < 2 else "are"
