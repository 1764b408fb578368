"""The result of a test in words: the split, each arm's effect and verdict, the cost of looking."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

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
from hwds.results.formatting import brief, counted, interval, p_value_text, quote_percent
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


def arm_verdicts(tables: Tables, model: str) -> list[ArmVerdict]:
    """Return the verdict on each arm; none where metrics have no roles.

    An arm is shipped where a primary metric is shown to be better by the model's first rule,
    corrected for all arms and primary metrics, none is shown to be worse, and every guardrail is
    sure to be within its margin. It is stopped where a primary metric is shown to be worse or a
    guardrail beyond its margin. So an arm that changes nothing is shipped no more often than the
    rule is wrong.
    """
    roles = metric_roles(tables)
    own = [
        effect
        for effect in decisive_effects(tables)
        if effect.model == model and effect.value is not None
    ]
    arms = list(dict.fromkeys(effect.arm for effect in own)) if roles else []
    return [
        _arm_verdict(tables, model, arm, [effect for effect in own if effect.arm == arm], roles)
        for arm in arms
    ]


def _arm_verdict(
    tables: Tables, model: str, arm: str, own: Sequence[FinalEffect], roles: Mapping[str, str]
) -> ArmVerdict:
    primary = [effect for effect in own if roles.get(effect.outcome) == "primary"]
    money = [effect for label in MONEY_OUTCOMES for effect in own if effect.outcome == label]
    effect = (money or primary or own)[0]
    better, worse = (
        [each for each in primary if _shown_sign(tables, each) == side] for side in (1, -1)
    )
    broken, unsure = _guardrails_in_doubt(tables, model, arm, own, roles)
    if worse or broken:
        labels = [each.outcome for each in worse] + broken
        return ArmVerdict(
            arm,
            "STOP",
            f"{_outcome_list(tables, labels)} {_is_or_are(labels)} shown to be worse",
            effect,
        )
    if not better:
        return ArmVerdict(arm, "HOLD", _not_shown_words(tables, primary), effect)
    if unsure:
        return ArmVerdict(
            arm,
            "HOLD",
            f"{_outcome_list(tables, unsure)} may be worse than the margin allows",
            effect,
        )
    labels = [each.outcome for each in better]
    rails = ", and every guardrail holds" if "guardrail" in roles.values() else ""
    return ArmVerdict(
        arm,
        "SHIP",
        f"{_outcome_list(tables, labels)} {_is_or_are(labels)} shown to be better{rails}",
        effect,
    )


def _shown_sign(tables: Tables, effect: FinalEffect) -> int:
    """Return 1 where a metric is shown to be better, -1 where worse, 0 where neither is.

    A posterior has no rate to show by.
    """
    if (
        not is_shown(tables, effect)
        or effect.status != "ok"
        or effect.rule == "bayes"
        or not effect.value
    ):
        return 0
    good = tables.measure(f"effect[{effect.outcome}]" if effect.outcome else "effect").better
    return 1 if (effect.value > 0) == (good != "low") else -1


def _not_shown_words(tables: Tables, primary: Sequence[FinalEffect]) -> str:
    if any(effect.rule == "bayes" for effect in primary):
        return "a posterior has no stated rate of false verdicts; decide by a comparison with rules"
    early = next((effect.status for effect in primary if effect.status != "ok"), None)
    if early:
        return f"the rule does not hold here ({early.replace('_', ' ')})"
    return (
        f"{_outcome_list(tables, [each.outcome for each in primary])} {_is_or_are(primary)} "
        f"not shown to be better"
    )


def _guardrails_in_doubt(
    tables: Tables, model: str, arm: str, own: Sequence[FinalEffect], roles: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """Return the guardrails that are shown to be broken, and those that are not sure to hold.

    A posterior shows neither.
    """
    known = {
        outcome: (slack, most)
        for name, outcome, slack, most in guardrail_rows(tables, model)
        if name == arm
    }
    rails = [label for label, role in roles.items() if role == "guardrail"]
    early = {effect.outcome for effect in own if effect.status != "ok" or effect.rule == "bayes"}
    broken = [
        label for label in rails if label in known and known[label][1] < 0 and label not in early
    ]
    unsure = [
        label for label in rails if label not in known or known[label][0] <= 0 or label in early
    ]
    return broken, unsure


def verdict_sentence(tables: Tables, verdict: ArmVerdict) -> str:
    """Return the verdict in words: what to do, why, and the money of a thousand units with its
    interval and p-value.
    """
    return f"{verdict.word} {verdict.arm}: {verdict.reason}{_money_words(tables, verdict.effect)}."


def _money_words(tables: Tables, effect: FinalEffect) -> str:
    if effect.value is None or effect.low is None or effect.high is None:
        return ""
    unit, level = unit_of(tables, effect.outcome), interval_level(tables)
    plain = effect.outcome in (
        *MONEY_OUTCOMES,
        "",
    )  # another metric may be a ratio or a quantile, which does not add up
    units = MONEY_UNITS if unit and plain else 1
    size, ends = interval(
        units * effect.value, units * effect.low, units * effect.high, unit, sign=True
    )
    of = "" if not plain else f" per {MONEY_UNITS:,} units" if unit else " per unit"
    p_value = corrected_p_value(tables, effect)
    shown, name = (effect.p_value, "p ") if p_value is None else (p_value, "corrected p ")
    sure = evidence_words(shown, effect.rule, name)
    bounds = ", ".join(
        filter(None, (f"{RULE_NAMES.get(effect.rule or '', '')} {level}: {ends}", sure))
    )
    return f"; {outcome_name(tables, effect.outcome)} changes by {size}{of} ({bounds})"


def _outcome_list(tables: Tables, labels: Sequence[str]) -> str:
    return (
        " and ".join(dict.fromkeys(outcome_name(tables, label) for label in labels))
        or "no primary metric"
    )


def _is_or_are(several: Sequence[object]) -> str:
    return "is" if len(several) < 2 else "are"


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


def ab_conclusion(tables: Tables, model: str) -> str:
    """Return the model's own effects by the rule that it decides by, after the sample ratio.

    And how often that rule is wrong.

    Args:
        tables: Of one run.
        model: The label of the experiment's own model.
    """
    ratio = ratio_row(tables)
    if ratio.get("status") == "sample_ratio_mismatch":
        hidden = not any(
            effect.value is not None for effect in final_effects(tables) if effect.model == model
        )
        why = (
            f"The units are not split as planned (chi-square {brief(ratio['value'])}, p "
            f"{p_value_text(ratio['p_value'])})"
        )
        return (
            f"{why}: {'no effect is shown' if hidden else 'no effect can be trusted'}; find "
            f"out why units are missing."
        )
    of_model = [effect for effect in decisive_effects(tables) if effect.model == model]
    sentences = [
        _effect_sentence(tables, effect) for effect in of_model if _is_told(tables, effect)
    ]
    if not sentences:
        return f"{model} shows no effect."
    first = " ".join(verdict_sentence(tables, verdict) for verdict in arm_verdicts(tables, model))
    text = (
        f"{'; '.join(sentences)}.{_correction_words(tables, of_model)}"
        f"{_false_winner_words(tables, model)}"
    )
    return f"{first} {text}".strip()


def ab_page(tables: Tables, model: str) -> str:
    """Return the test as a Markdown page; the arguments are those of `ab_conclusion`."""
    table, rates = effects_grid(tables, model), rates_grid(tables, model)
    parts = [
        "# A/B test",
        ab_conclusion(tables, model),
        ratio_words(tables),
        control_words(tables),
        table.markdown() if len(table) else "",
        _guardrail_sentence(tables, model),
        *parts_words(tables, model),
        *(
            grid.caption + "\n\n" + grid.markdown()
            for grid in (segments_grid(tables, model), ages_grid(tables, model))
            if len(grid)
        ),
        *_planning_sentences(tables, model),
        rates.caption,
        rates.markdown() if len(rates) else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _is_told(tables: Tables, effect: FinalEffect) -> bool:
    """Return whether an effect is in the sentence: of metrics the primary ones, and what else is
    sure.
    """
    roles = metric_roles(tables)
    return not roles or roles.get(effect.outcome) == "primary" or is_shown(tables, effect)


def _effect_sentence(tables: Tables, effect: FinalEffect) -> str:
    """Return one effect, which is sure by its corrected p-value where there is one, else by its
    interval.
    """
    what, unit = outcome_name(tables, effect.outcome), unit_of(tables, effect.outcome)
    of = (
        f"{what} per unit" if not metric_roles(tables) else what
    )  # a metric may be a ratio or a quantile
    if effect.value is None or effect.low is None or effect.high is None:
        return f"{effect.arm}: nothing is known of {what} yet"
    level = interval_level(tables)
    rule = RULE_NAMES.get(effect.rule or "", "")
    size, ends = interval(effect.value, effect.low, effect.high, unit, sign=True)
    relative, relative_ends = lift_ends(effect.lift)
    bounds = (
        f"{f'{rule} ' if rule else ''}{level}: {', '.join(filter(None, (relative_ends, ends)))}"
    )
    p_value = corrected_p_value(tables, effect)
    bounds += "" if p_value is None else f", {evidence_words(p_value, effect.rule, 'corrected p ')}"
    if not is_shown(tables, effect):
        return (
            f"{effect.arm}: no difference in {of} is shown "
            f"({', '.join(filter(None, (relative, size)))}; {bounds})"
        )
    mean = control_means(tables).get(effect.outcome)
    start = "" if mean is None else f" from the control's {brief(mean, None, unit)}"
    verb = "raises" if effect.value > 0 else "lowers"
    provisional = "" if effect.status == "ok" else f"; {effect.status.replace('_', ' ')}"
    by = ", ".join(each.lstrip("+-") for each in (relative, size) if each)
    return f"{effect.arm} {verb} {of} by {by}{start} ({bounds}{provisional})"


def _correction_words(tables: Tables, of_model: list[FinalEffect]) -> str:
    """Return how several comparisons were corrected for."""
    with_interval = [effect for effect in of_model if effect.low is not None]
    if len(with_interval) < 2:
        return ""
    if all(corrected_p_value(tables, effect) is None for effect in with_interval):
        return f" Nothing is corrected for the number of comparisons, {len(with_interval)}."
    correction, roles = CORRECTION_NAMES[correction_name(tables)], metric_roles(tables)
    if not roles:
        return f" The p-values are {correction} for {len(with_interval)} comparisons."
    counts = {
        role: sum(roles.get(each.outcome) == role for each in with_interval)
        for role in ("primary", "secondary")
    }
    families = " and, apart, ".join(
        f"{count} of {role} metrics" for role, count in counts.items() if count
    )
    return f" The p-values are {correction} for comparisons: {families}." if families else ""


def _false_winner_words(tables: Tables, model: str) -> str:
    """Return how often the model's first rule finds what is not there at the most looks, beside the
    worst of the rivals.
    """
    rows = rate_rows(tables, "false_positive_rate")
    of_model = rows.filter(pl.col("model") == model)
    if of_model.is_empty():
        return ""
    of_model = of_model.filter(pl.col("ci_method") == of_model["ci_method"][0]).sort("step")
    last = of_model.row(-1, named=True)
    rate, many = _rate_words(last), counted(last["step"], "looks")
    sentence = (
        f" Without any effect its rule would find one on {outcome_name(tables, '')} in "
        f"{rate} of tests at {many}"
    )
    family = _family_rate_words(tables, last)
    others = rows.filter((pl.col("model") != model) & (pl.col("step") == last["step"])).sort(
        "value", descending=True
    )
    if others.is_empty():
        return f"{sentence}{family}."
    worst = others.row(0, named=True)
    rule = RULE_NAMES.get(worst["ci_method"], worst["ci_method"])
    most = "the most with one arm" if family else "the most"
    return f"{sentence}{family}; {most} is {_rate_words(worst)}, of {worst['model']} ({rule})."


def _rate_words(row: dict[str, Any]) -> str:
    """Return the share of simulated tests with its interval: `0.5 % (95 %: 0.1 to 1.8)`."""
    low, high = wilson(float(row["value"]), float(row["n"]))
    return "".join(quote_percent(row["value"], float(low), float(high)))


def _family_rate_words(tables: Tables, one: dict[str, Any]) -> str:
    """Return the rates of all arms at once beside that of one, where there are several."""
    rates = []
    for how, rows in family_rows(tables).items():
        same = rows.filter(*(pl.col(name) == one[name] for name in ("model", "ci_method", "step")))
        rates += [f"{_rate_words(row)} {CORRECTION_NAMES[how]}" for row in same.to_dicts()]
    return (
        f" with one arm, and in any of all {compared_arms(tables)} arms in {', '.join(rates)}"
        if rates
        else ""
    )


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
        of_model = final_scores(tables).filter(
            (pl.col("model") == model) & pl.col("segment").is_not_null()
        )
        rows = of_model.filter(
            (pl.col("metric").str.split("[").list.first() == metric)
            & (pl.col("value") < MOST_UNITS)
        )
        units = [
            f"{row['value']:,.0f} for "
            f"{outcome_name(tables, row['metric'].partition('[')[2].rstrip(']'))} of "
            f"{row['segment']}"
            for row in rows.to_dicts()
        ]
        if units:
            yield f"{introduction}: {'; '.join(units)}."
