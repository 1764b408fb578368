"""The result of a test in words: the split, each arm's effect and verdict, the cost of looking."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from polars import col

from hwds.ab.report.scores import (
    FinalEffect,
    compared_arms,
    control_means,
    corrected_p_value,
    correction_name,
    decisive_effects,
    family_rows,
    final_effects,
    final_scores,
    guardrail_rows,
    interval_level,
    is_shown,
    metric_roles,
    outcome_name,
    rate_rows,
    ratio_row,
    unit_of,
)
from hwds.ab.report.tables import (
    CORRECTION_NAMES,
    RULE_NAMES,
    ages_grid,
    control_words,
    effects_grid,
    evidence_words,
    lift_ends,
    parts_words,
    rates_grid,
    ratio_words,
    segments_grid,
)
from hwds.report.words import BETTER, NOT_SURE, WORSE, say
from hwds.results.formatting import quote_percent
from hwds.results.tables import Tables
from hwds.stats.estimates import wilson

# The verdict of a test whose metrics have roles: ship, hold or stop an arm, in money.

VerdictWord = Literal["SHIP", "HOLD", "STOP"]

MONEY_OUTCOMES = ("margin", "revenue")
"""The outcomes that are money, the preferred first."""

MONEY_UNITS = 1_000
"""The units that the money of a verdict is of."""


@dataclass(frozen=True, slots=True)
class ArmVerdict:
    """The verdict on one arm.

    Attributes:
        arm: Its name.
        word: What to do with it.
        reason: The metrics that decided.
        effect: The effect that is reported in money: on margin, else on revenue, else on the first
            primary metric.
    """

    arm: str
    word: VerdictWord
    reason: str
    effect: FinalEffect


REASON = """
{%- macro named(labels) -%}
{%- set names = [] -%}
{%- for label in labels %}{{ names.append(name(label)) or "" }}{% endfor -%}
{{ names | unique(true) | join(" and ") or "no primary metric" }}
{%- endmacro -%}
{%- macro are(labels) %}{{ named(labels) }} {{ "is" if labels | length < 2 else "are" }}
{%- endmacro -%}
{%- if worse -%}
{{ are(worse) }} shown to be worse
{%- elif better and unsure -%}
{{ named(unsure) }} may be worse than the margin allows
{%- elif better -%}
{{ are(better) }} shown to be better{% if rails %}, and every guardrail holds{% endif %}
{%- elif primary | selectattr("rule", "equalto", "bayes") | list -%}
a posterior has no stated rate of false verdicts; decide by a comparison with rules
{%- elif primary | rejectattr("status", "equalto", "ok") | list -%}
the rule does not hold here
({{ (primary | rejectattr("status", "equalto", "ok") | first).status | word }})
{%- else -%}
{{ are(primary | map(attribute="outcome") | list) }} not shown to be better
{%- endif -%}
"""


def arm_verdicts(tables: Tables, model: str) -> list[ArmVerdict]:
    """Return the verdict on each arm; none where metrics have no roles.

    An arm is shipped where a primary metric is shown to be better by the model's first rule,
    corrected for all arms and primary metrics, none is shown to be worse, and every guardrail is
    sure to be within its margin. It is stopped where a primary metric is shown to be worse or a
    guardrail beyond its margin. So an arm that changes nothing is shipped no more often than the
    rule is wrong.
    """
    roles = metric_roles(tables)
    by_arm: dict[str, list[FinalEffect]] = {}
    for effect in decisive_effects(tables) if roles else []:
        if effect.model == model and effect.value is not None:
            by_arm.setdefault(effect.arm, []).append(effect)
    return [_arm_verdict(tables, model, arm, own, roles) for arm, own in by_arm.items()]


def _arm_verdict(
    tables: Tables, model: str, arm: str, own: Sequence[FinalEffect], roles: Mapping[str, str]
) -> ArmVerdict:
    primary = [effect for effect in own if roles.get(effect.outcome) == "primary"]
    money = [effect for label in MONEY_OUTCOMES for effect in own if effect.outcome == label]
    signs = {effect.outcome: _shown_sign(tables, effect) for effect in primary}
    broken, unsure = _guardrails_in_doubt(tables, model, arm, own, roles)
    better = [label for label, sign in signs.items() if sign > 0]
    worse = [label for label, sign in signs.items() if sign < 0] + broken
    reason = say(
        REASON,
        name=lambda label: outcome_name(tables, label),
        primary=primary,
        better=better,
        worse=worse,
        unsure=unsure,
        rails="guardrail" in roles.values(),
    )
    word: VerdictWord = "STOP" if worse else "SHIP" if better and not unsure else "HOLD"
    return ArmVerdict(arm, word, reason, (money or primary or own)[0])


def _shown_sign(tables: Tables, effect: FinalEffect) -> int:
    """Return 1 where a metric is shown to be better, -1 where worse, 0 where neither is.

    A posterior has no rate to show by.
    """
    holds = effect.status == "ok" and effect.rule != "bayes"
    return {BETTER: 1, WORSE: -1}.get(_effect_word(tables, effect), 0) if holds else 0


def _guardrails_in_doubt(
    tables: Tables, model: str, arm: str, own: Sequence[FinalEffect], roles: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """Return the guardrails that are shown to be broken, and those that are not sure to hold.

    A posterior shows neither.
    """
    early = {effect.outcome for effect in own if effect.status != "ok" or effect.rule == "bayes"}
    known = {
        outcome: (slack, most)
        for name, outcome, slack, most in guardrail_rows(tables, model)
        if name == arm and outcome not in early
    }
    rails = [label for label, role in roles.items() if role == "guardrail"]
    broken = [label for label in rails if label in known and known[label][1] < 0]
    unsure = [label for label in rails if label not in known or known[label][0] <= 0]
    return broken, unsure


MONEY = """
{{- verdict.word }}: {{ verdict.arm }}: {{ verdict.reason }}
{%- if effect.low is not none and effect.high is not none %}; {{ called }} changes by
{{ (units * effect.value) | size(units * effect.low, units * effect.high, unit, sign=True) }}
{%- if summed %} per {{ (units | count ~ " units") if unit else "unit" }}{% endif %}
({{ rule }} {{ level }}:
{{ (units * effect.value) | ends(units * effect.low, units * effect.high, unit, sign=True) }}
{%- if sure %}, {{ sure }}{% endif %})
{%- endif %}.
"""


def verdict_sentence(tables: Tables, verdict: ArmVerdict) -> str:
    """Return the verdict in words: what to do, why, and the money of a thousand units with its
    interval and p-value.
    """
    effect = verdict.effect
    unit = unit_of(tables, effect.outcome)
    # another metric may be a ratio or a quantile, which does not add up
    summed = effect.outcome in (*MONEY_OUTCOMES, "")
    p_value = corrected_p_value(tables, effect)
    shown, name = (effect.p_value, "p ") if p_value is None else (p_value, "corrected p ")
    return say(
        MONEY,
        verdict=verdict,
        effect=effect,
        called=outcome_name(tables, effect.outcome),
        units=MONEY_UNITS if unit and summed else 1,
        unit=unit,
        summed=summed,
        rule=RULE_NAMES.get(effect.rule or "", ""),
        level=interval_level(tables),
        sure=evidence_words(shown, effect.rule, name),
    )


# The result of a test in words: whether units are split as planned, the effect of each arm, the
# cost of looking often.

MOST_UNITS = 1e7
"""An effect that would need more units per arm is as good as none."""

PLAN_INTRODUCTIONS = {
    "units_for_minimum_detectable_effect": (
        "Units per arm at which a fixed test finds the planned change of conversion "
        "(`protocol.minimum_detectable_effect`)"
    ),
    "units_for_effect_seen": "Units per arm at which a fixed test finds an effect as large as the "
    "one seen",
}
"""The words before the units of each plan on the page."""

MISMATCH = """
STOP: the units are not split as planned (chi-square {{ value | brief }}, p
{{ p_value | p_value }}): {{ "no effect is shown" if hidden else "no effect can be trusted" }}; find
out why units are missing.
"""


def ab_conclusion(tables: Tables, model: str) -> str:
    """Return the model's own effects by the rule that it decides by, after the sample ratio.

    And how often that rule is wrong.

    Args:
        tables: Of one run.
        model: The label of the experiment's own model.
    """
    ratio = ratio_row(tables)
    if ratio.get("status") == "sample_ratio_mismatch":
        own = [effect for effect in final_effects(tables) if effect.model == model]
        return say(MISMATCH, ratio, hidden=all(effect.value is None for effect in own))
    of_model = [effect for effect in decisive_effects(tables) if effect.model == model]
    roles = metric_roles(tables)
    told = [
        effect
        for effect in of_model
        if not roles or roles.get(effect.outcome) == "primary" or is_shown(tables, effect)
    ]
    if not told:
        return f"{model} shows no effect."
    verdicts = [verdict_sentence(tables, verdict) for verdict in arm_verdicts(tables, model)]
    effects = [f"{_effect_sentence(tables, effect)}." for effect in told]
    if not verdicts:
        effects[0] = f"{_effect_word(tables, told[0])}: {effects[0]}"
    more = _correction_words(tables, of_model), _false_winner_words(tables, model)
    return "\n".join(filter(None, [*verdicts, *effects, *more]))


def _effect_word(tables: Tables, effect: FinalEffect) -> str:
    """Return the word for an effect, by whether it is shown and which way is good."""
    if not effect.value or not is_shown(tables, effect):
        return NOT_SURE
    good = tables.measure(f"effect[{effect.outcome}]" if effect.outcome else "effect").better
    return BETTER if (effect.value > 0) == (good != "low") else WORSE


def ab_page(tables: Tables, model: str) -> str:
    """Return the test as a Markdown page; the arguments are those of `ab_conclusion`."""
    table, rates = effects_grid(tables, model), rates_grid(tables, model)
    of_parts = filter(len, (segments_grid(tables, model), ages_grid(tables, model)))
    parts = [
        "# A/B test",
        ab_conclusion(tables, model),
        ratio_words(tables),
        control_words(tables),
        table.markdown() if len(table) else "",
        _guardrail_sentence(tables, model),
        *parts_words(tables, model),
        *(f"{grid.caption}\n\n{grid.markdown()}" for grid in of_parts),
        *_planning_sentences(tables, model),
        rates.caption,
        rates.markdown() if len(rates) else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


EFFECT = """
{%- if value is none or low is none or high is none -%}
{{ arm }}: nothing is known of {{ called }} yet
{%- else -%}
{%- set of = called if roles else called ~ " per unit" -%}
{%- set size = value | size(low, high, unit, sign=True) -%}
{%- set ends = [relative[1], value | ends(low, high, unit, sign=True)] -%}
{%- set bounds -%}
{% if rule %}{{ rule }} {% endif %}{{ level }}: {{ ends | select | join(", ") }}
{%- if corrected %}, {{ corrected }}{% endif %}
{%- endset -%}
{{ arm }}{% if not shown -%}
: no difference in {{ of }} is shown ({{ [relative[0], size] | select | join(", ") }}; {{ bounds }})
{%- else %}
{{ "raises" if value > 0 else "lowers" }} {{ of }} by
{% if relative[0] %}{{ relative[0].lstrip("+-") }}, {% endif %}{{ size.lstrip("+-") }}
{%- if mean is not none %} from the control's {{ mean | money(unit) }}{% endif %}
({{ bounds }}{% if status != "ok" %}; {{ status | word }}{% endif %})
{%- endif -%}
{%- endif -%}
"""


def _effect_sentence(tables: Tables, effect: FinalEffect) -> str:
    """Return one effect, which is sure by its corrected p-value where there is one, else by its
    interval.
    """
    return say(
        EFFECT,
        effect,
        called=outcome_name(tables, effect.outcome),
        unit=unit_of(tables, effect.outcome),
        roles=metric_roles(tables),
        level=interval_level(tables),
        rule=RULE_NAMES.get(effect.rule or "", ""),
        relative=lift_ends(effect.lift),
        corrected=evidence_words(corrected_p_value(tables, effect), effect.rule, "corrected p "),
        shown=is_shown(tables, effect),
        mean=control_means(tables).get(effect.outcome),
    )


CORRECTION = """
{%- if not correction -%}
Nothing is corrected for the number of comparisons, {{ many }}.
{%- elif families is none -%}
The p-values are {{ correction }} for {{ many }} comparisons.
{%- elif families -%}
The p-values are {{ correction }} for comparisons:
{% for role, count in families.items() -%}
{{ count }} of {{ role }} metrics{% if not loop.last %} and, apart, {% endif %}
{%- endfor %}.
{%- endif -%}
"""


def _correction_words(tables: Tables, of_model: list[FinalEffect]) -> str:
    """Return how several comparisons were corrected for."""
    with_interval = [effect for effect in of_model if effect.low is not None]
    if len(with_interval) < 2:
        return ""
    corrected = any(corrected_p_value(tables, each) is not None for each in with_interval)
    roles = metric_roles(tables)
    counts = Counter(roles.get(effect.outcome) for effect in with_interval)
    families = {role: counts[role] for role in ("primary", "secondary") if counts[role]}
    return say(
        CORRECTION,
        correction=CORRECTION_NAMES[correction_name(tables)] if corrected else "",
        many=len(with_interval),
        families=families if roles else None,
    )


FALSE_WINNERS = """
Without any effect its rule would find one on {{ outcome }} in {{ rate(own) }} of tests at
{{ own.step | counted("looks") }}
{%- if families %} with one arm, and in any of all {{ arms }} arms in {{ families | join(", ") }}
{%- endif %}
{%- if worst %}; the most {%- if families %} with one arm{% endif %} is {{ rate(worst) }}, of
{{ worst.model }} ({{ rules.get(worst.ci_method, worst.ci_method) }}){% endif %}.
"""


def _false_winner_words(tables: Tables, model: str) -> str:
    """Return how often the model's first rule finds what is not there at the most looks, beside the
    worst of the rivals.
    """
    rows = rate_rows(tables, "false_positive_rate")
    of_model = rows.filter(model=model)
    if of_model.is_empty():
        return ""
    of_rule = of_model.filter(ci_method=of_model["ci_method"][0])
    last = of_rule.sort("step").row(-1, named=True)
    others = rows.filter(col("model") != model, step=last["step"])
    same = {name: last[name] for name in ("model", "ci_method", "step")}
    families = [
        f"{_rate_words(row)} {CORRECTION_NAMES[how]}"
        for how, family in family_rows(tables).items()
        for row in family.filter(**same).to_dicts()
    ]
    return say(
        FALSE_WINNERS,
        outcome=outcome_name(tables, ""),
        own=last,
        rate=_rate_words,
        families=families,
        arms=compared_arms(tables),
        worst=next(others.sort("value", descending=True).iter_rows(named=True), None),
        rules=RULE_NAMES,
    )


def _rate_words(row: dict[str, Any]) -> str:
    """Return the share of simulated tests with its interval: `0.5 % (95 %: 0.1 to 1.8)`."""
    low, high = wilson(float(row["value"]), float(row["n"]))
    return "".join(quote_percent(row["value"], float(low), float(high)))


def _guardrail_sentence(tables: Tables, model: str) -> str:
    """Return every guardrail, by the rule that the model decides by."""
    lines = []
    for arm, outcome, slack, most in guardrail_rows(tables, model):
        sure = "holds" if slack > 0 else "is not sure" if most >= 0 else "is broken"
        lines.append(f"{outcome_name(tables, outcome)} of {arm} {sure} ({100 * slack:+.2g} %)")
    head = "Guardrails, with the distance of the lift's end on the side of harm from the margin"
    return f"{head}: {'; '.join(lines)}." if lines else ""


def _planning_sentences(tables: Tables, model: str) -> Iterator[str]:
    """Yield the units that a planned change of conversion needs, and those that the effects seen
    need.
    """
    for metric, introduction in PLAN_INTRODUCTIONS.items():
        rows = final_scores(tables, metric).filter(
            col("segment").is_not_null(), col("value") < MOST_UNITS, model=model
        )
        units = [
            f"{row['value']:,.0f} for {outcome_name(tables, row['outcome'])} of {row['segment']}"
            for row in rows.to_dicts()
        ]
        if units:
            yield f"{introduction}: {'; '.join(units)}."
