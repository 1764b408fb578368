"""The tables of a test: effects by comparison, rule, segment and age; rates of false winners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from hwds.ab.report.scores import (
    Ends,
    FinalEffect,
    adjusted_p,
    compared_arms,
    control_means,
    decisive_effects,
    ends_of,
    family_rows,
    final_scores,
    interval_level,
    known_effects,
    outcome_name,
    outcome_title,
    probabilities_better,
    rate_rows,
    ratio_row,
    unit_of,
)
from hwds.report.grid import Grid, declared_grid, grid_of
from hwds.report.words import say
from hwds.results.formatting import brief, counted, fixed, p_value_text, percent_cell, places_of
from hwds.results.tables import Column, Declared, Tables

# The tables of a test: each arm's effects by each comparison, and how often each rule declares
# a false winner.

RULE_NAMES = {
    "always_valid": "always-valid",
    "fixed": "fixed",
    "group_sequential": "group-sequential",
    "bayes": "posterior",
}
"""The names of the rules in reports."""

RULE_ROWS = {
    "always_valid": "always-valid (any look)",
    "fixed": "fixed (one look)",
    "group_sequential": "group-sequential (planned looks)",
    "bayes": "posterior (Bayesian)",
}
"""The names of the rules in tables, with the looks at which each holds."""

SEQUENTIAL = ("always_valid", "group_sequential")
"""The rules whose p-values stay 1 until there is evidence."""

CORRECTION_NAMES = {
    "holm": "corrected by Holm",
    "bh": "corrected by Benjamini and Hochberg",
    "none": "uncorrected",
}
"""The names of the corrections of p-values in reports."""

STATUS_MARKS = {"unregistered": "†", "beyond_size": "‡"}
"""The mark of a rule in the terminal whose effect has a status."""

MOST_ROWS = 40
"""Rows of a table in the terminal; the page has them all."""

EFFECTS = Declared.of(
    Column("model", "text", title="model", brief="model"),
    Column("arm", "text", title="arm", brief="{% if several %}arm{% endif %}"),
    Column("outcome", "text", title="outcome", brief="outcome"),
    Column("part", "text", title="segment"),
    Column("day", "text", title="day"),
    Column("units", "count", title="units"),
    Column("lift", "text", title="lift, %", brief="lift, %\n({{ level }})"),
    Column("effect", "text", title="effect", brief="effect"),
    Column(
        "interval",
        "text",
        title="{{ level }} interval",
        brief="{% if not bounded %}{{ level }} interval{% endif %}",
    ),
    Column("p", "text", title="p", brief="p"),
    Column("better", "text", title="p, or P(better)", brief="p,\nor P(better)", show="{{ p }}"),
    Column("corrected", "text", title="p, corrected", show="{{ p }}"),
    Column("adjusted", "text", title="p, all compared"),
    Column("rule", "text", title="rule", brief="rule"),
    Column("status", "text", title="status"),
)
"""The columns of the tables of effects, in the terminal and on pages."""


def effects_grid(tables: Tables, model: str) -> Grid:
    """Return all effects of every rule, for the page; empty where there are none.

    Args:
        tables: Of one run.
        model: The label of the experiment's own model.
    """
    shown = known_effects(tables)
    columns = f"{_whole_columns(tables)} status"
    return grid_of_effects(tables, _effect_rows(tables, shown, RULE_ROWS), columns, own=model)


def decisive_grid(tables: Tables, model: str) -> Grid:
    """Return the effects by the rule that each model decides by, for the terminal, with the
    intervals of the relative ones.

    Marks stand for status. One arm has no column, nor have the intervals of the effects where every
    relative one has bounds.
    """
    shown = decisive_effects(tables)[:MOST_ROWS]
    arms = list(dict.fromkeys(effect.arm for effect in shown))
    rows = _effect_rows(tables, shown, RULE_NAMES)
    for row in rows:
        status = row["status"]
        mark = STATUS_MARKS.get(status, status.replace("_", " "))
        row["rule"] += "" if status == "ok" else f" {mark}"
    statuses = {effect.status for effect in shown}
    remarks = [
        f"Effects of {arms[0]} against the control." if len(arms) == 1 else "",
        ratio_words(tables),
        control_words(tables),
        *(
            f"{mark}: {status.replace('_', ' ')}."
            for status, mark in STATUS_MARKS.items()
            if status in statuses
        ),
    ]
    bounded = all(each.lift and each.lift[1] is not None for each in shown if each.low is not None)
    return grid_of_effects(
        tables,
        rows,
        _whole_columns(tables),
        " ".join(filter(None, remarks)),
        own=model,
        several=len(arms) != 1,
        bounded=bounded,
    )


def grid_of_effects(
    tables: Tables,
    rows: Sequence[Mapping[str, Any]],
    columns: str,
    caption: str = "",
    *,
    own: str = "",
    several: bool = True,
    bounded: bool = False,
) -> Grid:
    """Return a table of effects.

    Args:
        tables: Of one run.
        rows: The cells by the names of `EFFECTS`.
        columns: The names of the columns that are shown.
        caption: The line above it; none where there are no rows.
        own: The experiment's own model.
        several: Whether the terminal names the arms.
        bounded: Whether it leaves out the intervals, for the relative ones say enough.
    """
    return declared_grid(
        EFFECTS,
        pl.DataFrame(rows, infer_schema_length=None),
        columns=columns,
        own=own,
        names=3,
        caption="{{ remarks }}",
        level=interval_level(tables),
        several=several,
        bounded=bounded,
        remarks=caption if rows else "",
    )


def _whole_columns(tables: Tables) -> str:
    p = "better" if probabilities_better(tables) else "p"
    return f"model arm outcome lift effect interval {p} adjusted rule"


def _effect_rows(
    tables: Tables, shown: Sequence[FinalEffect], rules: Mapping[str, str]
) -> list[dict[str, str]]:
    """Return the cells of each effect, rules by these names.

    Those of one outcome have the same decimals.
    """
    corrected, better = adjusted_p(tables), probabilities_better(tables)
    rows = []
    for effect in shown:
        alike = [each for each in shown if each.outcome == effect.outcome]
        ends = [end for each in alike for end in (each.low, each.high, each.value)]
        places = _places(ends, unit_of(tables, effect.outcome))
        sure = better.get((effect.model, effect.arm, effect.outcome))
        whole = corrected.get((effect.model, effect.arm, effect.rule, effect.outcome))
        rows.append(
            {
                "model": effect.model,
                "arm": effect.arm,
                "outcome": outcome_title(tables, effect.outcome),
                "lift": lift_words(effect.lift),
                "effect": fixed(effect.value, places),
                "interval": _ends_words(effect.low, effect.high, places),
                "p": evidence_words(effect.p_value, effect.rule)
                or ("" if sure is None else f"P {p_value_text(sure)}"),
                "adjusted": evidence_words(whole, effect.rule),
                "rule": rules.get(effect.rule or "", ""),
                "status": effect.status,
            }
        )
    return rows


def _places(ends: Sequence[float | None], unit: str) -> int:
    """Return the decimals of numbers that are written alike."""
    return places_of(max((abs(end) for end in ends if end is not None), default=0.0), None, unit)


def _ends_words(low: float | None, high: float | None, places: int) -> str:
    if low is None or high is None:
        return ""
    return f"{fixed(low, places)} to {fixed(high, places)}"


def evidence_words(p_value: float | None, rule: str | None, before: str = "") -> str:
    """Return a p-value in words: a sequential one is 1 as long as there is no evidence, and never
    one against a difference.
    """
    if p_value is None:
        return ""
    if p_value >= 1 and rule in SEQUENTIAL:
        return "no evidence yet"
    return f"{before}{p_value_text(p_value)}"


def lift_words(lift: Ends | None) -> str:
    """Return a relative effect in percent with its interval: `-20.4 (-32.1 to -8.0)`.

    Empty where there is none.
    """
    size, ends = (text.removesuffix(" %") for text in lift_ends(lift))
    return f"{size} ({ends})" if ends else size


def lift_ends(lift: Ends | None) -> tuple[str, str]:
    """Return a relative effect and its interval: `-20.4 %` and `-32.1 to -8.0 %`.

    What is not known is empty.
    """
    if lift is None:
        return "", ""
    value, low, high = lift
    if low is None or high is None:
        return f"{100 * value:+.3g} %", ""
    places = next(
        places
        for places, width in enumerate((1.0, 0.02, 0.002, 0.0002, 0.0))
        if high - low >= width
    )
    size, least, most = (f"{100 * end:+z.{places}f}" for end in (value, low, high))
    return f"{size} %", f"{least} to {most} %"


def rates_grid(tables: Tables, model: str) -> Grid:
    """Return the simulated rates of false winners by model, rule and looks, and the power at the
    most looks; empty where none.

    Where there are several arms, the rates of any of them follow that of one.
    """
    rows, families = rate_rows(tables, "false_positive_rate"), family_rows(tables)
    if rows.is_empty():
        return Grid(())
    looks = sorted(rows["step"].unique().to_list())
    power = rate_rows(tables, "power").filter(step=looks[-1])
    titles = [
        *((name, name) for name in ("model", "rule", "arms")),
        *((counted(count, "looks"), f"{count:,}") for count in looks),
    ]
    if len(power):
        titles.append((f"power, {looks[-1]:,} looks", f"power,\n{looks[-1]:,}"))
    by_arms = {"one" if families else "": rows}
    by_arms |= {
        f"any of {compared_arms(tables)}, {CORRECTION_NAMES[how]}": family
        for how, family in families.items()
    }
    lines = []
    for label, rule in rows.select("model", "ci_method").unique(maintain_order=True).iter_rows():
        own = {"model": label, "ci_method": rule}
        wins = power.filter(**own)["value"].to_list() or [None]
        for arms, part in by_arms.items():
            rates = dict(part.filter(**own).select("step", "value").iter_rows())
            if rates:
                values = [rates.get(count) for count in looks]
                if len(power):
                    values.append(wins[0] if part is rows else None)
                name = RULE_NAMES.get(rule, rule)
                lines.append([label, name, arms, *map(percent_cell, values)])
    # where no row names its arms, the page has no such column
    names, caption = 3 if families else 2, f"{rates_caption(tables)}:"
    return grid_of(titles, lines, own=model, names=names, caption=caption)


def rates_caption(tables: Tables) -> str:
    """Return the caption of `rates_grid`."""
    count = rate_rows(tables, "false_positive_rate")["n"][0]
    return (
        f"False winners in {outcome_name(tables, '')}, % of {count:,} simulated tests without "
        f"an effect, by the number of looks; power: % with a winner where the minimum effect is "
        f"true"
    )


RATIO = """
{%- set planned -%}
{{ "as planned" if "planned" in metric else "equally, as no protocol.allocation was given" }}
{%- endset -%}
Sample ratio:
{% if p_value is none -%}
too few units to say whether they are split {{ planned }}.
{%- else -%}
{{ n | count }} units were to be split {{ planned }}; chi-square {{ value | brief }}, p
{{ p_value | p_value }}{% if status == "sample_ratio_mismatch" %}; THEY ARE NOT{% endif %}.
{%- endif %}
"""


def ratio_words(tables: Tables) -> str:
    """Return the sample-ratio check in a sentence, empty where there is none."""
    row = ratio_row(tables)
    return say(RATIO, row) if row else ""


def control_words(tables: Tables) -> str:
    """Return the control's mean of each outcome, empty where nothing is known."""
    texts = [
        f"{outcome_name(tables, label)} {brief(mean, None, unit_of(tables, label))}"
        for label, mean in control_means(tables).items()
    ]
    return f"The control's means per unit: {', '.join(texts)}." if texts else ""


# The tables of a test's parts: effects by segment, on exposed and on all units, and by days
# since first exposure.

PART = """
{%- if name == "segment_spread" -%}
The effects of {{ arm }} on {{ called }}
{{ "differ" if p_value is not none and p_value < alpha else "are not shown to differ" }} between
values of {{ part }} (Cochran's Q {{ value | written(".3g") }}, p {{ p_value | p_value }}, at one
look).
{%- elif name == "diluted_effect" and value is not none -%}
Over all units, exposed or not, {{ arm }} changes {{ called }} by {{ effect }}
{%- if unit %} {{ unit }}{% endif %}{% if interval %} ({{ interval }}){% endif %}.
{%- elif name == "novelty" and ci_low is not none -%}
Novelty: the effect of {{ arm }} on {{ called }}
{% if ci_low > 0 or ci_high < 0 %}changes by {{ effect }}
{%- else %}is not shown to change ({{ effect }}){% endif %}
from the first half of the days since first exposure to the later half ({{ interval }} a day, p
{{ p }}).
{%- endif -%}
"""


def segments_grid(tables: Tables, model: str) -> Grid:
    """Return the effect of each arm in each segment; empty where none are compared."""
    keys = ("outcome", "arm", "part")
    lifts = {
        tuple(row[key] for key in keys): lift_words(ends_of(row))
        for row in _part_rows(tables, model, "segment_lift")
    }
    effects = _part_rows(tables, model, "segment_effect")
    return grid_of_effects(
        tables,
        [row | {"lift": lifts.get(tuple(row[key] for key in keys), "")} for row in effects],
        "outcome arm part units lift effect interval corrected",
        "Effects by segment; p-values are corrected for all arms and segments of an outcome.",
    )


def ages_grid(tables: Tables, model: str) -> Grid:
    """Return the effect of each arm in each day since a unit's first event.

    Empty where rows are no events.
    """
    rows = _part_rows(tables, model, "effect_by_age")
    return grid_of_effects(
        tables,
        [row | {"day": str(row["step"])} for row in rows if row["ci_low"] is not None],
        "outcome arm day units effect interval p",
        "Effects by days since a unit's first event; each interval holds for its day alone.",
    )


def parts_words(tables: Tables, model: str) -> list[str]:
    """Return the notes on segments, on exposure and on novelty, a sentence each."""
    alpha = 1 - tables.measure("effect").confidence
    metrics = ("segment_spread", "diluted_effect", "novelty")
    rows = [row for metric in metrics for row in _part_rows(tables, model, metric)]
    return list(filter(None, (say(PART, row, alpha=alpha) for row in rows)))


def _part_rows(tables: Tables, model: str, metric: str) -> list[dict[str, Any]]:
    """Return the scores of a metric by outcome and arm, one row of each, by the first rule."""
    rows = final_scores(tables, metric).filter(model=model)
    first = rows.unique(["metric", "segment", "step"], keep="first", maintain_order=True)
    return [_part_texts(tables, row) for row in first.to_dicts()]


def _part_texts(tables: Tables, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the score of a part with its texts: the outcome and the part that the metric's name
    has (empty and `country=DE` of `segment_effect[|country=DE]`), the effect, its interval and its
    p-value.
    """
    label, _, part = row["outcome"].partition("|")
    return {
        **row,
        **effect_texts(tables, label, (row["value"], row["ci_low"], row["ci_high"])),
        "called": outcome_name(tables, label),
        "unit": unit_of(tables, label),
        "arm": row["segment"],
        "part": part,
        "units": row["n"],
        "p": evidence_words(row["p_value"], row["ci_method"]),
    }


def effect_texts(
    tables: Tables, outcome: str, effect: tuple[float | None, float | None, float | None]
) -> dict[str, Any]:
    """Return the texts of an outcome, of an effect on it, and of its interval."""
    value, low, high = effect
    places = _places(effect, unit_of(tables, outcome))
    return {
        "outcome": outcome_title(tables, outcome),
        "effect": fixed(value, places),
        "interval": _ends_words(low, high, places),
    }
