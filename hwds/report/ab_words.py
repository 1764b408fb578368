"""What a test shows, in words: whether the units are split as planned, what each arm does, what looking often would do."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from hwds.report.ab_results import Effect, adjusted_p, effects, final_scores, guardrail_rows, rate_rows, ratio_row
from hwds.report.wording import brief, column
from hwds.results.tables import TRUTH, Tables

MOST_UNITS = 1e7
"""An effect that would need more units per arm is as good as none."""

PLANS = {
    "units_for_minimum_detectable_effect": (
        "Units per arm at which a fixed test finds the planned change of conversion (`protocol.minimum_detectable_effect`)"
    ),
    "units_for_effect_seen": "Units per arm at which a fixed test finds an effect as large as the one seen",
}
"""What the page says before the units of each plan."""

RULES = {
    "always_valid": "always-valid",
    "fixed": "fixed",
    "group_sequential": "group-sequential",
    "bayes": "posterior",
}


def conclusion(tables: Tables, model: str, first: str = "the outcome") -> str:
    """The model's own effects by the rule that it decides by, after the sample ratio.

    Args:
        tables: Of one run.
        model: The label of the experiment's own model.
        first: What the first outcome is called.
    """
    ratio = ratio_row(tables)
    if ratio.get("status") == "sample_ratio_mismatch":
        hidden = not any(effect.value is not None for effect in effects(tables) if effect.model == model)
        why = f"The units are not split as planned (chi-square {brief(ratio['value'])}, p {_p(ratio['p_value'])})"
        return f"{why}: {'no effect is shown' if hidden else 'no effect can be trusted'}; find out why units are missing."
    own = _decisive(tables, model)
    said = [_told(effect, first) for effect in own] + _broken(tables, model, first)
    return "; ".join(said) + "." if said else f"{model} shows no effect."


def page(tables: Tables, model: str, first: str = "the outcome") -> str:
    """The test as a Markdown page; the arguments are those of `conclusion`."""
    head = f"# A/B test\n\n{conclusion(tables, model, first)}"
    parts = [
        head,
        _ratio(tables),
        _table(tables, first),
        _guardrails(tables, model, first),
        *_planning(tables, model, first),
        _rates(tables),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _decisive(tables: Tables, model: str) -> list[Effect]:
    """Each arm's and outcome's effect by the first rule of the model."""
    own = [effect for effect in effects(tables) if effect.model == model]
    return [effect for effect in own if effect.rule == own[0].rule]


def _told(effect: Effect, first: str) -> str:
    what = effect.outcome or first
    if effect.value is None or effect.low is None or effect.high is None:
        return f"{effect.arm}: nothing is known of {what} yet"
    interval = f"{RULES.get(effect.rule or '', '')} interval {_signed(effect.low)} to {_signed(effect.high)}"
    verb = "raises" if effect.value > 0 else "lowers"
    size = brief(abs(effect.value))
    if effect.sure:
        return f"{effect.arm} {verb} {what} by {size} ({interval})"
    return f"{effect.arm}: no difference in {what} is shown ({_signed(effect.value)}, {interval})"


def _broken(tables: Tables, model: str, first: str) -> list[str]:
    """The guardrails that are not sure to hold."""
    rows = [(arm, outcome or first) for arm, outcome, slack in guardrail_rows(tables, model) if slack <= 0]
    return [f"GUARDRAIL: {arm} may do more harm to {outcome} than the margin allows" for arm, outcome in rows]


def _guardrails(tables: Tables, model: str, first: str) -> str:
    """Every guardrail, by the rule that the model decides by."""
    rows = guardrail_rows(tables, model)
    kept = [f"{outcome or first} of {arm} {_held(slack)}" for arm, outcome, slack in rows]
    head = "Guardrails, with the distance of the interval's end on the side of harm from the margin"
    return f"{head}: {'; '.join(kept)}." if kept else ""


def _ratio(tables: Tables) -> str:
    row = ratio_row(tables)
    if not row:
        return ""
    planned = "as planned" if "planned" in row["metric"] else "equally, as no protocol.allocation was given"
    if row["p_value"] is None:
        return f"Sample ratio: too few units to say whether they are split {planned}."
    check = f"chi-square {brief(row['value'])}, p {_p(row['p_value'])}"
    return f"Sample ratio: {row['n']:,} units were to be split {planned}; {check}."


def _table(tables: Tables, first: str) -> str:
    """All effects."""
    found = [effect for effect in effects(tables) if effect.model != TRUTH or effect.value is not None]
    if not found:
        return ""
    corrected = adjusted_p(tables)
    titles = "| model | arm | outcome | effect | low | high | p | p, all compared | rule | status |"
    lines = [titles, "|:--|:--|:--|--:|--:|--:|--:|--:|:--|:--|"]
    for effect in found:
        value, low, high = column([effect.value, effect.low, effect.high])
        p = "" if effect.p_value is None else _p(effect.p_value)
        rule = RULES.get(effect.rule or "", "")
        whole = corrected.get((effect.model, effect.arm, effect.rule, effect.outcome))
        names = (effect.model, effect.arm, effect.outcome or first)
        told = (*names, value, low, high, p, "" if whole is None else _p(whole), rule, effect.status)
        lines.append(f"| {' | '.join(told)} |")
    return "\n".join(lines)


def _planning(tables: Tables, model: str, first: str) -> Iterator[str]:
    """The units that a planned change of conversion and the effects seen need: conversion and revenue may differ elevenfold."""
    for metric, said in PLANS.items():
        own = final_scores(tables).filter((pl.col("model") == model) & pl.col("segment").is_not_null())
        rows = own.filter((pl.col("metric").str.split("[").list.first() == metric) & (pl.col("value") < MOST_UNITS))
        told = [
            f"{row['value']:,.0f} for {row['metric'].partition('[')[2].rstrip(']') or first} of {row['segment']}"
            for row in rows.to_dicts()
        ]
        if told:
            yield f"{said}: {'; '.join(told)}."


def _rates(tables: Tables) -> str:
    """The simulated rates of false winners by rule and looks."""
    rows = rate_rows(tables, "false_positive_rate")
    if rows.is_empty():
        return ""
    looks = sorted(rows["step"].unique().to_list())
    lines = [f"| model | rule | {' | '.join(str(count) for count in looks)} |", f"|:--|:--|{'--:|' * len(looks)}"]
    for part in rows.partition_by("model", "ci_method", maintain_order=True):
        by_looks = dict(zip(part["step"], part["value"], strict=True))
        cells = [f"{100 * by_looks[count]:.1f}" for count in looks]
        rule = RULES.get(part["ci_method"][0], part["ci_method"][0])
        lines.append(f"| {part['model'][0]} | {rule} | {' | '.join(cells)} |")
    said = f"False winners, % of {rows['n'][0]:,} simulated tests without an effect, by the number of looks:"
    return f"{said}\n\n" + "\n".join(lines)


def _signed(value: float) -> str:
    return f"{'-' if value < 0 else '+'}{brief(abs(value))}"


def _p(value: float) -> str:
    return "< .0001" if value < 0.0001 else brief(value)


def _held(slack: float) -> str:
    return f"{'holds' if slack > 0 else 'is not sure'} ({_signed(slack)})"
