"""The result of a test in words: whether units are split as planned, the effect of each arm, the cost of looking often."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from hwds.ab.report.parts import ages_grid, parts_words, segments_grid
from hwds.ab.report.scores import (
    Effect,
    arms_of,
    called,
    control_means,
    corrected,
    correction_of,
    decisive,
    effects,
    family_rows,
    final_scores,
    guardrail_rows,
    is_shown,
    level_of,
    rate_rows,
    ratio_row,
    roles_of,
    unit_of,
)
from hwds.ab.report.tables import (
    CORRECTIONS,
    RULES,
    control_words,
    effects_grid,
    evidence_words,
    lift_ends,
    rates_grid,
    ratio_words,
)
from hwds.ab.report.verdict import verdict_sentence, verdicts
from hwds.results.formatting import brief, chance, counted, interval, percent_quoted
from hwds.results.tables import Tables
from hwds.statistics.wilson import wilson

MOST_UNITS = 1e7
"""An effect that would need more units per arm is as good as none."""

PLANS = {
    "units_for_minimum_detectable_effect": (
        "Units per arm at which a fixed test finds the planned change of conversion (`protocol.minimum_detectable_effect`)"
    ),
    "units_for_effect_seen": "Units per arm at which a fixed test finds an effect as large as the one seen",
}
"""The words before the units of each plan on the page."""


def conclusion(tables: Tables, model: str) -> str:
    """Return the model's own effects by the rule that it decides by, after the sample ratio; and how often that rule is wrong.

    Args:
        tables: Of one run.
        model: The label of the experiment's own model.
    """
    ratio = ratio_row(tables)
    if ratio.get("status") == "sample_ratio_mismatch":
        hidden = not any(effect.value is not None for effect in effects(tables) if effect.model == model)
        why = f"The units are not split as planned (chi-square {brief(ratio['value'])}, p {chance(ratio['p_value'])})"
        return f"{why}: {'no effect is shown' if hidden else 'no effect can be trusted'}; find out why units are missing."
    of_model = [effect for effect in decisive(tables) if effect.model == model]
    sentences = [_effect_sentence(tables, effect) for effect in of_model if _leads(tables, effect)]
    if not sentences:
        return f"{model} shows no effect."
    first = " ".join(verdict_sentence(tables, verdict) for verdict in verdicts(tables, model))
    text = f"{'; '.join(sentences)}.{_compared(tables, of_model)}{_wrong(tables, model)}"
    return f"{first} {text}".strip()


def page(tables: Tables, model: str) -> str:
    """Return the test as a Markdown page; the arguments are those of `conclusion`."""
    table, rates = effects_grid(tables, model), rates_grid(tables, model)
    parts = [
        "# A/B test",
        conclusion(tables, model),
        ratio_words(tables),
        control_words(tables),
        table.markdown() if len(table) else "",
        _guardrails(tables, model),
        *parts_words(tables, model),
        *(
            grid.caption + "\n\n" + grid.markdown()
            for grid in (segments_grid(tables, model), ages_grid(tables, model))
            if len(grid)
        ),
        *_planning(tables, model),
        rates.caption,
        rates.markdown() if len(rates) else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _leads(tables: Tables, effect: Effect) -> bool:
    """Return whether an effect is in the sentence: of metrics the primary ones, and what else is sure."""
    roles = roles_of(tables)
    return not roles or roles.get(effect.outcome) == "primary" or is_shown(tables, effect)


def _effect_sentence(tables: Tables, effect: Effect) -> str:
    """Return one effect, which is sure by its corrected p-value where there is one, else by its interval."""
    what, unit = called(tables, effect.outcome), unit_of(tables, effect.outcome)
    of = f"{what} per unit" if not roles_of(tables) else what  # a metric may be a ratio or a quantile
    if effect.value is None or effect.low is None or effect.high is None:
        return f"{effect.arm}: nothing is known of {what} yet"
    level = level_of(tables)
    rule = RULES.get(effect.rule or "", "")
    size, ends = interval(effect.value, effect.low, effect.high, unit, sign=True)
    relative, relative_ends = lift_ends(effect.lift)
    bounds = f"{f'{rule} ' if rule else ''}{level}: {', '.join(filter(None, (relative_ends, ends)))}"
    p_value = corrected(tables, effect)
    bounds += "" if p_value is None else f", {evidence_words(p_value, effect.rule, 'corrected p ')}"
    if not is_shown(tables, effect):
        return f"{effect.arm}: no difference in {of} is shown ({', '.join(filter(None, (relative, size)))}; {bounds})"
    mean = control_means(tables).get(effect.outcome)
    start = "" if mean is None else f" from the control's {brief(mean, None, unit)}"
    verb = "raises" if effect.value > 0 else "lowers"
    provisional = "" if effect.status == "ok" else f"; {effect.status.replace('_', ' ')}"
    by = ", ".join(each.lstrip("+-") for each in (relative, size) if each)
    return f"{effect.arm} {verb} {of} by {by}{start} ({bounds}{provisional})"


def _compared(tables: Tables, of_model: list[Effect]) -> str:
    """Return how several comparisons were corrected for."""
    with_interval = [effect for effect in of_model if effect.low is not None]
    if len(with_interval) < 2:
        return ""
    if all(corrected(tables, effect) is None for effect in with_interval):
        return f" Nothing is corrected for the number of comparisons, {len(with_interval)}."
    correction, roles = CORRECTIONS[correction_of(tables)], roles_of(tables)
    if not roles:
        return f" The p-values are {correction} for {len(with_interval)} comparisons."
    counts = {role: sum(roles.get(each.outcome) == role for each in with_interval) for role in ("primary", "secondary")}
    families = " and, apart, ".join(f"{count} of {role} metrics" for role, count in counts.items() if count)
    return f" The p-values are {correction} for comparisons: {families}." if families else ""


def _wrong(tables: Tables, model: str) -> str:
    """Return how often the model's first rule finds what is not there at the most looks, beside the worst of the rivals."""
    rows = rate_rows(tables, "false_positive_rate")
    of_model = rows.filter(pl.col("model") == model)
    if of_model.is_empty():
        return ""
    of_model = of_model.filter(pl.col("ci_method") == of_model["ci_method"][0]).sort("step")
    last = of_model.row(-1, named=True)
    rate, many = _rate(last), counted(last["step"], "looks")
    sentence = f" Without any effect its rule would find one on {called(tables, '')} in {rate} of tests at {many}"
    family = _of_family(tables, last)
    others = rows.filter((pl.col("model") != model) & (pl.col("step") == last["step"])).sort("value", descending=True)
    if others.is_empty():
        return f"{sentence}{family}."
    worst = others.row(0, named=True)
    rule = RULES.get(worst["ci_method"], worst["ci_method"])
    most = "the most with one arm" if family else "the most"
    return f"{sentence}{family}; {most} is {_rate(worst)}, of {worst['model']} ({rule})."


def _rate(row: dict[str, Any]) -> str:
    """Return the share of simulated tests with its interval: `0.5 % (95 %: 0.1 to 1.8)`."""
    low, high = wilson(float(row["value"]), float(row["n"]))
    return "".join(percent_quoted(row["value"], float(low), float(high)))


def _of_family(tables: Tables, one: dict[str, Any]) -> str:
    """Return the rates of all arms at once beside that of one, where there are several."""
    rates = []
    for how, rows in family_rows(tables).items():
        same = rows.filter(*(pl.col(name) == one[name] for name in ("model", "ci_method", "step")))
        rates += [f"{_rate(row)} {CORRECTIONS[how]}" for row in same.to_dicts()]
    return f" with one arm, and in any of all {arms_of(tables)} arms in {', '.join(rates)}" if rates else ""


def _guardrails(tables: Tables, model: str) -> str:
    """Return every guardrail, by the rule that the model decides by."""
    lines = []
    for arm, outcome, slack, most in guardrail_rows(tables, model):
        sure = "holds" if slack > 0 else "is not sure" if most >= 0 else "is broken"
        lines.append(f"{called(tables, outcome)} of {arm} {sure} ({100 * slack:+.2g} %)")
    head = "Guardrails, with the distance of the lift's end on the side of harm from the margin"
    return f"{head}: {'; '.join(lines)}." if lines else ""


def _planning(tables: Tables, model: str) -> Iterator[str]:
    """Yield the units that a planned change of conversion needs, and those that the effects seen need."""
    for metric, introduction in PLANS.items():
        of_model = final_scores(tables).filter((pl.col("model") == model) & pl.col("segment").is_not_null())
        rows = of_model.filter((pl.col("metric").str.split("[").list.first() == metric) & (pl.col("value") < MOST_UNITS))
        units = [
            f"{row['value']:,.0f} for {called(tables, row['metric'].partition('[')[2].rstrip(']'))} of {row['segment']}"
            for row in rows.to_dicts()
        ]
        if units:
            yield f"{introduction}: {'; '.join(units)}."
