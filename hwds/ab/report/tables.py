"""The tables of a test: effects by comparison, rule, segment and age; rates of false winners."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from hwds.ab.report.scores import (
    FinalEffect,
    adjusted_p,
    compared_arms,
    control_means,
    decisive_effects,
    family_rows,
    final_effects,
    final_scores,
    interval_level,
    outcome_labels,
    outcome_name,
    probabilities_better,
    rate_rows,
    ratio_row,
    unit_of,
)
from hwds.ab.rows import split_metric
from hwds.report.grid import Grid, grid_of
from hwds.results.formatting import brief, counted, fixed, p_value_text, percent_cell, places_of
from hwds.results.tables import TRUTH, Tables

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

LIFT_TITLE = "lift, %"
"""The title of relative effects."""

MOST_ROWS = 40
"""Rows of a table in the terminal; the page has them all."""


def effects_grid(tables: Tables, model: str) -> Grid:
    """Return all effects of every rule, for the page; empty where there are none.

    Args:
        tables: Of one run.
        model: The label of the experiment's own model.
    """
    shown = [
        effect
        for effect in final_effects(tables)
        if effect.model != TRUTH or effect.value is not None
    ]
    titles = (
        "model",
        "arm",
        "outcome",
        LIFT_TITLE,
        "effect",
        _interval_title(tables),
        _p_title(tables),
        "p, all compared",
        "rule",
        "status",
    )
    rows = [
        [*_effect_names(tables, e), *cells, e.status]
        for e, cells in zip(shown, _effect_numbers(tables, shown, RULE_ROWS), strict=True)
    ]
    return grid_of([(title, title) for title in titles], rows, own=model, names=3)


def decisive_grid(tables: Tables, model: str) -> Grid:
    """Return the effects by the rule that each model decides by, for the terminal, with the
    intervals of the relative ones.

    Marks stand for status. One arm has no column, nor have the intervals of the effects where every
    relative one has bounds.
    """
    shown = decisive_effects(tables)[:MOST_ROWS]
    arms = list(dict.fromkeys(effect.arm for effect in shown))
    level = f"{LIFT_TITLE}\n({interval_level(tables)})"
    titles = [
        (name, "" if name == "arm" and len(arms) == 1 else name)
        for name in ("model", "arm", "outcome")
    ]
    titles += [
        (LIFT_TITLE, level if any(effect.lift for effect in shown) else ""),
        ("effect", "effect"),
    ]
    bounded = all(
        effect.lift is not None and effect.lift[1] is not None
        for effect in shown
        if effect.low is not None
    )
    titles += [
        (_interval_title(tables), "" if bounded else _interval_title(tables)),
        (_p_title(tables), _p_title(tables).replace(", ", ",\n")),
        ("p, all compared", ""),
        ("rule", "rule"),
    ]
    marks = {
        status: mark
        for status, mark in STATUS_MARKS.items()
        if status in {effect.status for effect in shown}
    }
    rows = []
    for effect, cells in zip(shown, _effect_numbers(tables, shown, RULE_NAMES), strict=True):
        mark = (
            ""
            if effect.status == "ok"
            else f" {STATUS_MARKS.get(effect.status, effect.status.replace('_', ' '))}"
        )
        rows.append([*_effect_names(tables, effect), *cells[:-1], f"{cells[-1]}{mark}"])
    remarks = [
        f"Effects of {arms[0]} against the control." if len(arms) == 1 else "",
        ratio_words(tables),
        control_words(tables),
    ]
    remarks += [f"{mark}: {status.replace('_', ' ')}." for status, mark in marks.items()]
    return grid_of(titles, rows, own=model, names=3, caption=" ".join(filter(None, remarks)))


def _interval_title(tables: Tables) -> str:
    return f"{interval_level(tables)} interval"


def _p_title(tables: Tables) -> str:
    return "p, or P(better)" if probabilities_better(tables) else "p"


def _effect_names(tables: Tables, effect: FinalEffect) -> list[str]:
    unit = unit_of(tables, effect.outcome)
    return [
        effect.model,
        effect.arm,
        ", ".join(filter(None, (outcome_name(tables, effect.outcome), unit))),
    ]


def _effect_numbers(
    tables: Tables, shown: list[FinalEffect], rules: Mapping[str, str]
) -> Iterator[list[str]]:
    """Yield the other cells of each effect, rules by these names.

    Those of one outcome have the same decimals.
    """
    corrected, better = adjusted_p(tables), probabilities_better(tables)
    places = {
        label: _decimal_places(shown, label, unit_of(tables, label))
        for label in outcome_labels(shown)
    }
    for effect in shown:
        low, high = (fixed(end, places[effect.outcome]) for end in (effect.low, effect.high))
        whole = corrected.get((effect.model, effect.arm, effect.rule, effect.outcome))
        sure = better.get((effect.model, effect.arm, effect.outcome))
        yield [
            lift_words(effect.lift),
            fixed(effect.value, places[effect.outcome]),
            f"{low} to {high}" if low and high else "",
            evidence_words(effect.p_value, effect.rule)
            or ("" if sure is None else f"P {p_value_text(sure)}"),
            evidence_words(whole, effect.rule),
            rules.get(effect.rule or "", ""),
        ]


def evidence_words(p_value: float | None, rule: str | None, before: str = "") -> str:
    """Return a p-value in words: a sequential one is 1 as long as there is no evidence, and never
    one against a difference.
    """
    if p_value is None:
        return ""
    return (
        "no evidence yet"
        if p_value >= 1 and rule in SEQUENTIAL
        else f"{before}{p_value_text(p_value)}"
    )


def lift_words(lift: tuple[float, float | None, float | None] | None) -> str:
    """Return a relative effect in percent with its interval: `-20.4 (-32.1 to -8.0)`.

    Empty where there is none.
    """
    if lift is None:
        return ""
    size, ends = lift_ends(lift)
    return size.removesuffix(" %") + (f" ({ends.removesuffix(' %')})" if ends else "")


def lift_ends(lift: tuple[float, float | None, float | None] | None) -> tuple[str, str]:
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


def _decimal_places(shown: list[FinalEffect], outcome: str, unit: str) -> int:
    ends = [
        end
        for effect in shown
        if effect.outcome == outcome
        for end in (effect.low, effect.high, effect.value)
    ]
    return places_of(max((abs(end) for end in ends if end is not None), default=0.0), None, unit)


def rates_grid(tables: Tables, model: str) -> Grid:
    """Return the simulated rates of false winners by model, rule and looks, and the power at the
    most looks; empty where none.

    Where there are several arms, the rates of any of them follow that of one.
    """
    rows, power = rate_rows(tables, "false_positive_rate"), rate_rows(tables, "power")
    looks = sorted(rows["step"].unique().to_list())
    titles = [
        *((name, name) for name in ("model", "rule", "arms")),
        *((counted(count, "looks"), f"{count:,}") for count in looks),
    ]
    last_power = power.filter(pl.col("step") == (looks[-1] if looks else 0))
    wins = {(row["model"], row["ci_method"]): row["value"] for row in last_power.to_dicts()}
    titles += [(f"power, {looks[-1]:,} looks", f"power,\n{looks[-1]:,}")] if wins else []
    lines = []
    for label, rule in rows.select("model", "ci_method").unique(maintain_order=True).iter_rows():
        for arms, part_rows in _rates_by_arms(tables, rows):
            part = part_rows.filter((pl.col("model") == label) & (pl.col("ci_method") == rule))
            by_looks = dict(zip(part["step"], part["value"], strict=True))
            cells = [percent_cell(by_looks.get(count)) for count in looks]
            power_of = (
                [percent_cell(wins.get((label, rule)) if part_rows is rows else None)]
                if wins
                else []
            )
            lines += (
                [[label, RULE_NAMES.get(rule, rule), arms, *cells, *power_of]] if by_looks else []
            )
    names = (
        3 if family_rows(tables) else 2
    )  # where no row names its arms, the page has no such column
    return grid_of(
        titles, lines, own=model, names=names, caption=f"{rates_caption(tables)}:" if lines else ""
    )


def _rates_by_arms(tables: Tables, rows: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield the rows of rates by arms: of one arm, then of any arm.

    The name is empty where there is one arm.
    """
    families = family_rows(tables)
    yield "one" if families else "", rows
    yield from (
        (f"any of {compared_arms(tables)}, {CORRECTION_NAMES[how]}", family)
        for how, family in families.items()
    )


def rates_caption(tables: Tables) -> str:
    """Return the caption of `rates_grid`."""
    count = rate_rows(tables, "false_positive_rate")["n"][0]
    title = (
        f"False winners in {outcome_name(tables, '')}, % of {count:,} simulated tests without "
        f"an effect, by the number of looks"
    )
    return f"{title}; power: % with a winner where the minimum effect is true"


def ratio_words(tables: Tables) -> str:
    """Return the sample-ratio check in a sentence, empty where there is none."""
    row = ratio_row(tables)
    if not row:
        return ""
    planned = (
        "as planned"
        if "planned" in row["metric"]
        else "equally, as no protocol.allocation was given"
    )
    if row["p_value"] is None:
        return f"Sample ratio: too few units to say whether they are split {planned}."
    check = f"chi-square {brief(row['value'])}, p {p_value_text(row['p_value'])}"
    alarm = "; THEY ARE NOT" if row["status"] == "sample_ratio_mismatch" else ""
    return f"Sample ratio: {row['n']:,} units were to be split {planned}; {check}{alarm}."


def control_words(tables: Tables) -> str:
    """Return the control's mean of each outcome, empty where nothing is known."""
    means = control_means(tables)
    texts = [
        f"{outcome_name(tables, label)} {brief(mean, None, unit_of(tables, label))}"
        for label, mean in means.items()
    ]
    return f"The control's means per unit: {', '.join(texts)}." if texts else ""


# The tables of a test's parts: effects by segment, on exposed and on all units, and by days
# since first exposure.


def segments_grid(tables: Tables, model: str) -> Grid:
    """Return the effect of each arm in each segment; empty where none are compared."""
    rows = _part_rows(tables, model, "segment_effect")
    titles = (
        "outcome",
        "arm",
        "segment",
        "units",
        "effect",
        f"{interval_level(tables)} interval",
        "p, corrected",
    )
    lines = [
        [*_part_names(tables, row), f"{row['n']:,}", *_part_numbers(tables, row)] for row in rows
    ]
    caption = "Effects by segment; p-values are corrected for all arms and segments of an outcome."
    return grid_of(
        [(title, title) for title in titles], lines, names=3, caption=caption if lines else ""
    )


def ages_grid(tables: Tables, model: str) -> Grid:
    """Return the effect of each arm in each day since a unit's first event.

    Empty where rows are no events.
    """
    rows = [row for row in _part_rows(tables, model, "effect_by_age") if row["ci_low"] is not None]
    titles = ("outcome", "arm", "day", "units", "effect", f"{interval_level(tables)} interval", "p")
    lines = [
        [
            *_part_names(tables, row)[:2],
            str(row["step"]),
            f"{row['n']:,}",
            *_part_numbers(tables, row),
        ]
        for row in rows
    ]
    caption = "Effects by days since a unit's first event; each interval holds for its day alone."
    return grid_of(
        [(title, title) for title in titles], lines, names=3, caption=caption if lines else ""
    )


def parts_words(tables: Tables, model: str) -> list[str]:
    """Return the notes on segments, on exposure and on novelty, a sentence each."""
    spread = [_difference_words(tables, row) for row in _part_rows(tables, model, "segment_spread")]
    diluted = [
        _whole_effect_words(tables, row)
        for row in _part_rows(tables, model, "diluted_effect")
        if row["value"] is not None
    ]
    novelty = [
        _age_change_words(tables, row)
        for row in _part_rows(tables, model, "novelty")
        if row["ci_low"] is not None
    ]
    return [*spread, *diluted, *novelty]


def _difference_words(tables: Tables, row: dict[str, Any]) -> str:
    label, column = _split_part(row["metric"])
    sure = row["p_value"] is not None and row["p_value"] < 1 - tables.measure("effect").confidence
    what = "differ" if sure else "are not shown to differ"
    p_value = f"Cochran's Q {row['value']:.3g}, p {p_value_text(row['p_value'])}, at one look"
    return (
        f"The effects of {row['segment']} on {outcome_name(tables, label)} {what} between "
        f"values of {column} ({p_value})."
    )


def _whole_effect_words(tables: Tables, row: dict[str, Any]) -> str:
    label, _ = _split_part(row["metric"])
    effect, ends, _ = _part_numbers(tables, row)
    inside = f" ({ends})" if ends else ""
    unit = unit_of(tables, label)
    money = f" {unit}" if unit else ""
    return (
        f"Over all units, exposed or not, {row['segment']} changes "
        f"{outcome_name(tables, label)} by {effect}{money}{inside}."
    )


def _age_change_words(tables: Tables, row: dict[str, Any]) -> str:
    label, _ = _split_part(row["metric"])
    sure = row["ci_low"] > 0 or row["ci_high"] < 0
    effect, ends, p_value = _part_numbers(tables, row)
    what = f"changes by {effect}" if sure else f"is not shown to change ({effect})"
    where = "from the first half of the days since first exposure to the later half"
    return (
        f"Novelty: the effect of {row['segment']} on {outcome_name(tables, label)} {what} "
        f"{where} ({ends} a day, p {p_value})."
    )


def _part_rows(tables: Tables, model: str, metric: str) -> list[dict[str, Any]]:
    """Return the scores of a metric by outcome and arm; one row of each, by the first rule."""
    rows = final_scores(tables).filter(
        (pl.col("model") == model) & (pl.col("metric").str.split("[").list.first() == metric)
    )
    return rows.unique(["metric", "segment", "step"], keep="first", maintain_order=True).to_dicts()


def _split_part(metric: str) -> tuple[str, str]:
    """Return the outcome and the part of a metric's name: empty and `country=DE` of
    `segment_effect[|country=DE]`.
    """
    label, _, part = split_metric(metric)[1].partition("|")
    return label, part


def _part_names(tables: Tables, row: dict[str, Any]) -> tuple[str, str, str]:
    label, part = _split_part(row["metric"])
    return (
        ", ".join(filter(None, (outcome_name(tables, label), unit_of(tables, label)))),
        row["segment"],
        part,
    )


def _part_numbers(tables: Tables, row: dict[str, Any]) -> tuple[str, str, str]:
    """Return the effect, its interval and its p-value."""
    label, _ = _split_part(row["metric"])
    ends = [end for end in (row["value"], row["ci_low"], row["ci_high"]) if end is not None]
    places = places_of(max((abs(end) for end in ends), default=0.0), None, unit_of(tables, label))
    value, low, high = (fixed(row[name], places) for name in ("value", "ci_low", "ci_high"))
    return (
        value,
        f"{low} to {high}" if low and high else "",
        evidence_words(row["p_value"], row["ci_method"]),
    )
