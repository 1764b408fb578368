"""The reports of a test and of a plan: pictures, pages, and what stands in the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import yaml

from hwds.ab.report.scores import (
    FinalEffect,
    control_means,
    final_effects,
    final_scores,
    interval_level,
    metric_roles,
    outcome_labels,
    outcome_name,
    rate_rows,
    true_effects,
    unit_of,
)
from hwds.ab.report.sentences import ab_conclusion, ab_page
from hwds.ab.report.tables import (
    LIFT_TITLE,
    RULE_NAMES,
    ages_grid,
    decisive_grid,
    lift_words,
    rates_grid,
    segments_grid,
)
from hwds.ab.rows import arm_counts, split_metric
from hwds.core.files import write_text
from hwds.frames.table import Table
from hwds.report.grid import Grid, grid_of
from hwds.report.hooks import TaskReport
from hwds.report.pictures import (
    FLOOR_COLOUR,
    GREY,
    INK,
    LIGHT,
    NAIVE_COLOUR,
    OWN_COLOUR,
    RIVAL_COLOURS,
    drawable,
    headline,
    new_figure,
    save_png,
    tidy,
)
from hwds.results.files import write_markdown
from hwds.results.formatting import brief, fixed, places_of, signed
from hwds.results.tables import TRUTH, Tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# by_day.png: the effect of all units until the end of each day, with the interval that holds on
# any of them; and its table.

MOST_PANEL_ARMS = 6
"""The arms of a panel; more could not be told apart."""

MOST_TICKS = 9
"""Days that are named below the picture."""


@dataclass(frozen=True, slots=True)
class DayEffect:
    """The effect of an arm on one outcome until the end of a day, as a share of the control's mean
    and in its unit.
    """

    outcome: str
    arm: str
    day: str
    units: int
    lift: tuple[float, float | None, float | None] | None
    effect: tuple[float, float | None, float | None]


def effects_by_day(tables: Tables, model: str) -> list[DayEffect]:
    """Return the effects by day of a model, by outcome, arm and day.

    None in runs without a time.
    """
    by_day = (
        (pl.col("model") == model)
        & pl.col("metric").str.contains("_by_day")
        & pl.col("step").is_not_null()
    )
    numbers: dict[tuple[str, str, int], dict[str, dict[str, Any]]] = {}
    for row in final_scores(tables).filter(by_day).to_dicts():
        metric, outcome = split_metric(row["metric"])
        numbers.setdefault((outcome, row["segment"], row["step"]), {})[metric] = row
    return [
        DayEffect(
            outcome,
            arm,
            each["effect_by_day"]["cutoff"],
            each["effect_by_day"]["n"],
            _effect_ends(each.get("lift_by_day")),
            ends,
        )
        for (outcome, arm, _), each in sorted(numbers.items())
        if (ends := _effect_ends(each.get("effect_by_day"))) is not None
    ]


def _effect_ends(row: dict[str, Any] | None) -> tuple[float, float | None, float | None] | None:
    return (
        None
        if row is None or row["value"] is None
        else (row["value"], row["ci_low"], row["ci_high"])
    )


def by_day_grid(tables: Tables, model: str) -> Grid:
    """Return the effects by day, for the page; empty where there are none."""
    days = effects_by_day(tables, model)
    titles = (
        "outcome",
        "arm",
        "day",
        "units",
        LIFT_TITLE,
        "effect",
        f"{interval_level(tables)} interval",
    )
    rows = [
        [*_day_names(tables, day), lift_words(day.lift), *_bounds_words(tables, day)]
        for day in days
    ]
    return grid_of([(title, title) for title in titles], rows, names=3)


def _day_names(tables: Tables, day: DayEffect) -> tuple[str, str, str, str]:
    named = ", ".join(
        filter(None, (outcome_name(tables, day.outcome), unit_of(tables, day.outcome)))
    )
    return named, day.arm, day.day, f"{day.units:,}"


def _bounds_words(tables: Tables, day: DayEffect) -> tuple[str, str]:
    """Return the effect and its interval."""
    places = places_of(
        max(abs(each) for each in day.effect if each is not None),
        None,
        unit_of(tables, day.outcome),
    )
    value, low, high = (fixed(each, places) for each in day.effect)
    return value, f"{low} to {high}" if low and high else ""


def by_day_figure(tables: Tables, model: str) -> Figure | None:
    """Draw the lifts by day, a panel for each outcome and a line for each arm.

    None where there are fewer than two days.
    """
    days = [
        day
        for day in effects_by_day(tables, model)
        if day.lift is not None and day.lift[1] is not None
    ]
    by_outcome = {
        outcome: [day for day in days if day.outcome == outcome]
        for outcome in dict.fromkeys(d.outcome for d in days)
    }
    panels = {
        outcome: part for outcome, part in by_outcome.items() if len({day.day for day in part}) > 1
    }
    if not panels:
        return None
    figure = new_figure(10, 0.9 + 2.9 * len(panels))
    grid = figure.subplots(len(panels), squeeze=False, sharex=True).ravel()
    per = "" if metric_roles(tables) else " per unit"
    every = sorted({day.day for part in panels.values() for day in part})
    for axes, (outcome, part) in zip(grid, panels.items(), strict=True):
        _draw_days(axes, part, every)
        axes.set_title(
            drawable(f"{outcome_name(tables, outcome)}{per}, % of the control's", 90),
            loc="left",
            fontsize=11,
            color=INK,
        )
    shown = np.unique(
        np.linspace(0, len(every) - 1, min(MOST_TICKS, len(every))).round().astype(int)
    )
    grid[-1].set_xticks(shown, [drawable(every[place], 12) for place in shown], parse_math=False)
    if len({day.arm for day in days}) > 1:
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(
            handles,
            labels,
            loc="outside lower center",
            ncols=MOST_PANEL_ARMS,
            frameon=False,
            fontsize=9.5,
        )
    title = (
        f"Lift until each day, by {model}; its {interval_level(tables)} interval holds on "
        f"whichever day one looks"
    )
    headline(figure, title)
    return figure


def _draw_days(axes: Axes, part: list[DayEffect], every: list[str]) -> None:
    """Draw a line and a band for each arm; the axis leaves out what the first days cannot say."""
    place = {day: number for number, day in enumerate(every)}
    for colour, arm in zip(
        (OWN_COLOUR, *RIVAL_COLOURS),
        list(dict.fromkeys(day.arm for day in part))[:MOST_PANEL_ARMS],
        strict=False,
    ):
        own = [day for day in part if day.arm == arm and day.lift is not None]
        values, lows, highs = (
            100 * np.array(each, dtype=float)
            for each in zip(*(day.lift for day in own if day.lift), strict=True)
        )
        where = [place[day.day] for day in own]
        axes.fill_between(where, lows, highs, color=colour, alpha=0.18, linewidth=0)
        axes.plot(
            where,
            values,
            color=colour,
            linewidth=2,
            marker="o",
            markersize=3,
            label=drawable(arm, 30),
        )
    axes.axhline(0, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    late = [day.lift for day in part if day.lift is not None and place[day.day] >= len(every) // 4]
    ends = [100 * end for lift in late for end in lift if end is not None]
    axes.set_ylim(min(0.0, *ends) * 1.15 - 1, max(0.0, *ends) * 1.15 + 1)
    axes.margins(x=0.02)
    tidy(axes)


# effects.png: the effect of each arm by each comparison and rule, with its interval.

RULE_COLOURS = {
    "always_valid": OWN_COLOUR,
    "group_sequential": "#7b5ea7",
    "bayes": INK,
    "fixed": NAIVE_COLOUR,
}
"""The colour of each rule: intervals of different rules are read differently."""

STATUS_NOTES = {"unregistered": " (unregistered)", "beyond_size": " (beyond size)"}
"""The note beside the rule of a line, by status."""

MOST_LINES = 40
"""Lines of a panel; more could not be read."""


def effects_figure(tables: Tables, model: str) -> Figure | None:
    """Draw the effects of all outcomes for a model's comparison; None where no effect is shown."""
    every = final_effects(tables)
    effects_shown = [effect for effect in every if effect.low is not None and effect.model != TRUTH]
    if not effects_shown:
        return None
    panels = {
        outcome: [e for e in effects_shown if e.outcome == outcome][:MOST_LINES]
        for outcome in outcome_labels(effects_shown)
    }
    heights = [0.9 + 0.33 * len(lines) for lines in panels.values()]
    figure = new_figure(10, 1.2 + sum(heights))
    grid = figure.subplots(len(panels), squeeze=False, gridspec_kw={"height_ratios": heights})
    arms = list(dict.fromkeys(effect.arm for effect in effects_shown))
    for axes, (outcome, lines) in zip(grid.ravel(), panels.items(), strict=True):
        _draw_effects(axes, lines, true_effects(every))
        _write_names(axes, lines, model, len(arms) > 1)
        axes.set_title(
            _outcome_title(tables, outcome), loc="left", fontsize=11, color=INK, parse_math=False
        )
    handles = {
        label: handle
        for axes in grid.ravel()
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside lower center",
        ncols=5,
        frameon=False,
        fontsize=9.5,
    )
    who = f"Effect of {arms[0]}" if len(arms) == 1 else "Effects"
    level = interval_level(tables)
    title = drawable(f"{who} against the control, with {level} intervals", 90)
    headline(figure, title)
    return figure


def _outcome_title(tables: Tables, outcome: str) -> str:
    """Return the title of an outcome: `revenue, USD per unit; control 6.71 USD`."""
    unit, mean = unit_of(tables, outcome), control_means(tables).get(outcome)
    plain = not metric_roles(tables)  # a metric may be a ratio or a quantile
    has = "the control's mean is" if plain else "the control has"
    beside = "" if mean is None else f"; {has} {brief(mean, None, unit)}"
    return drawable(
        f"{outcome_name(tables, outcome)}{f', {unit}' if unit else ''}"
        f"{' per unit' if plain else ''}{beside}",
        90,
    )


def _draw_effects(
    axes: Axes, lines: list[FinalEffect], truth: dict[tuple[str, str], float]
) -> None:
    for place, line in enumerate(lines):
        colour = RULE_COLOURS.get(line.rule or "", GREY)
        pale = 0.45 if line.status != "ok" else 1.0
        label = f"{RULE_NAMES.get(line.rule or '', '')}{STATUS_NOTES.get(line.status, '')}"
        axes.hlines(
            place,
            line.low or 0.0,
            line.high or 0.0,
            color=colour,
            linewidth=2.4,
            alpha=pale,
            label=label,
        )
        axes.plot([line.value or 0.0], [place], "o", color=colour, markersize=5.5, alpha=pale)
        known = truth.get((line.outcome, line.arm))
        if known is not None:
            axes.plot(
                [known],
                [place],
                "|",
                color=FLOOR_COLOUR,
                markersize=13,
                markeredgewidth=2,
                label="truth",
            )
    axes.axvline(0, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.margins(x=0.06)
    tidy(axes, grid="x")


def _write_names(axes: Axes, lines: list[FinalEffect], model: str, with_arm: bool) -> None:
    """Write a name where model or arm change, and draw a hairline between models."""
    who = [(line.model, line.arm if with_arm else "") for line in lines]
    names = [
        "" if place and pair == who[place - 1] else drawable(": ".join(filter(None, pair)), 40)
        for place, pair in enumerate(who)
    ]
    axes.set_yticks(range(len(lines)), names, parse_math=False)
    axes.tick_params(axis="y", length=0)
    for place, tick in enumerate(axes.get_yticklabels()):
        tick.set_fontweight("bold" if lines[place].model == model else "normal")
        if place and who[place] != who[place - 1]:
            axes.axhline(place - 0.5, color=LIGHT, linewidth=0.8, zorder=0)


# ab_peeking.png: how often each rule declares a winner where there is none, against the number
# of looks; and what it finds.

RATE_PALETTE = (NAIVE_COLOUR, "#7b5ea7", INK, "#2e8b57", "#c0504d", "#8c8c3c", "#4bacc6")

RATE_PANELS = {
    "false_positive_rate": "False winners: no effect is true",
    "power": "Power: the minimum effect of a fixed test is true",
}


LINE_OFFSET = 0.025
"""The offset between lines, as a share of the way from 1 to 10 looks, so that equal ones do not
hide each other.
"""


def peeking_figure(tables: Tables, model: str) -> Figure | None:
    """Draw the simulated rates; None where nothing was simulated."""
    rows = {
        metric: rate_rows(tables, metric).filter(pl.col("model") != TRUTH) for metric in RATE_PANELS
    }
    wins = rows["false_positive_rate"]
    if wins.is_empty():
        return None
    figure = new_figure(11, 5.2)
    grid = figure.subplots(1, 2)
    lines = _line_styles(wins, model)
    for axes, (metric, title) in zip(grid, RATE_PANELS.items(), strict=True):
        _draw_rates(axes, rows[metric], lines)
        axes.set_title(title, loc="left", fontsize=11, color=INK)
    nominal = 100 * (1 - tables.measure("effect").confidence)
    label = f"{nominal:.3g} %, what the level of the intervals promises"
    grid[0].axhline(nominal, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=0, label=label)
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    title = (
        f"How often each rule declares a winner: {wins['n'][0]:,} simulated tests, bars: two "
        f"standard errors"
    )
    headline(figure, title)
    return figure


def _line_styles(wins: pl.DataFrame, model: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the style of each model and rule, the most false winners first, as in the picture."""
    last = wins.filter(pl.col("step") == pl.col("step").max()).sort(
        "value", descending=True, maintain_order=True
    )
    of_model = next(
        (pair for pair in wins.select("model", "ci_method").iter_rows() if pair[0] == model), None
    )
    styles = {}
    for place, (label, rule) in enumerate(last.select("model", "ci_method").iter_rows()):
        styles[label, rule] = {
            "color": OWN_COLOUR
            if (label, rule) == of_model
            else RATE_PALETTE[place % len(RATE_PALETTE)],
            "linewidth": 2.4 if label == model else 1.5,
            "linestyle": "-" if place < len(RATE_PALETTE) else "--",
            "label": drawable(f"{label} ({RULE_NAMES.get(rule, rule)})"),
        }
    return styles


def _draw_rates(
    axes: Axes, rows: pl.DataFrame, lines: dict[tuple[str, str], dict[str, Any]]
) -> None:
    """Draw a line for each model and rule, with two standard errors."""
    from matplotlib.ticker import ScalarFormatter

    parts = rows.sort("step").partition_by("model", "ci_method", as_dict=True)
    for place, ((label, rule), style) in enumerate(lines.items()):
        part = parts.get((label, rule))
        if part is not None:
            looks = part["step"] * 10 ** (LINE_OFFSET * (place - (len(lines) - 1) / 2))
            more: dict[str, Any] = {"marker": "o", "markersize": 4, "capsize": 2, **style}
            axes.errorbar(looks, 100 * part["value"], yerr=200 * part["stderr"], **more)
    axes.set_xscale("log")
    axes.set_xticks(sorted(rows["step"].unique().to_list()))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    tidy(axes)
    axes.set_xlabel("looks at the test, log scale", fontsize=9.5, color=INK)
    axes.set_ylabel("tests with a winner, %", fontsize=9.5, color=INK)


# The pictures and the page of an A/B test.


def draw(table: Table, tables: Tables, model: str, folder: Path) -> None:
    """Draw the pictures that have something to show, and write the page.

    `effects.png`: the effect of each arm by each rule, with its interval; `by_day.png`: the lift of
    all units until each day, with the interval that holds on any of them; `ab_peeking.png`: false
    winners against looks; `ab_test.md`: what they say; `prior.yaml` hands the counts of the first
    outcome to a bandit.
    """
    save_png(effects_figure(tables, model), folder / "effects.png")
    save_png(by_day_figure(tables, model), folder / "by_day.png")
    save_png(peeking_figure(tables, model), folder / "ab_peeking.png")
    write_markdown(folder / "ab_test.md", ab_page(tables, model))
    counts = (
        arm_counts(tables.predictions, model) if len(tables.predictions) else tables.predictions
    )
    if len(counts):
        write_text(folder / "prior.yaml", prior_yaml(counts))


def ab_sentence(table: Table, tables: Tables, model: str) -> str:
    """Return what the test shows, in a sentence or two."""
    return ab_conclusion(tables, model)


def ab_grids(tables: Tables, model: str) -> Iterator[Grid]:
    """Yield, for the terminal, the effects by the rule that each comparison decides by, and the
    rates of false winners.
    """
    yield from (
        grid for grid in (decisive_grid(tables, model), rates_grid(tables, model)) if len(grid)
    )


def prior_yaml(counts: pl.DataFrame) -> str:
    """Return conversions and refusals by arm as a policy's field `known`."""
    known = {arm: [int(wins), int(losses)] for arm, wins, losses in counts.iter_rows()}
    return yaml.safe_dump(
        {"known": known}, sort_keys=False, allow_unicode=True, default_flow_style=None
    )


def ab_page_grids(tables: Tables, model: str) -> Iterator[Grid]:
    """Yield, for pages, the effects by day, by segment, and by days since first exposure."""
    yield from (grid(tables, model) for grid in (by_day_grid, segments_grid, ages_grid))


REPORT = TaskReport(
    sentence=ab_sentence,
    grids=ab_grids,
    page_grids=ab_page_grids,
    draw=draw,
    ranks=False,
    captions={
        "effects.png": "The effect of each arm by each rule, with its interval",
        "by_day.png": "The lift of all units until each day, with the interval that holds on any "
        "of them",
        "ab_peeking.png": "False winners against looks",
    },
)


# The report of a plan of a test: a table in the terminal and on a page, and the sentence.

OUTCOME_NAMES = {"": "conversion", "_revenue": "revenue"}
"""The name of an outcome, by the suffix of its metrics."""

LEAST_RATIO = 1.1
"""Times that one outcome needs the units of the other, below which this is not reported."""


def draw_plan(table: Table, tables: Tables, model: str, folder: Path) -> None:
    """Write `ab_plan.md`: the plan by arm, outcome and rule."""
    write_markdown(
        folder / "ab_plan.md",
        f"# Plan of an A/B "
        f"test\n\n{plan_sentence(table, tables, model)}\n\n"
        f"{_plan_grid(tables, model).markdown()}\n",
    )


def plan_grids(tables: Tables, model: str) -> Iterator[Grid]:
    """Yield the table of the plan for the terminal."""
    yield replace(
        _plan_grid(tables, model), caption=f"{tables.measure('size').meaning.capitalize()}:"
    )


def plan_sentence(table: Table, tables: Tables, model: str) -> str:
    """Return the units by the model's first rule, for conversion and for revenue."""
    overall = tables.overall("size").filter(pl.col("model") == model)
    if overall.is_empty():
        return "Nothing was planned."
    rule = overall["ci_method"][0]
    of_rule = [
        line for line in _plan_lines(tables) if (line["model"], line["rule"]) == (model, rule)
    ]
    needs = "; ".join(_need_sentence(line, tables) for line in of_rule)
    return f"By the {RULE_NAMES.get(rule, rule)} rule {needs}.{_times_words(of_rule)}"


def _need_sentence(line: dict[str, Any], tables: Tables) -> str:
    what = OUTCOME_NAMES[line["outcome"]]
    if line["units"] is None:
        return f"{line['arm']} has no change of {what} to find"
    return (
        f"{line['arm']} takes {line['units_of_arm']:,.0f} units of its own to find "
        f"{_change_words(line, tables)} in {what}"
    )


def _times_words(of_rule: list[dict[str, Any]]) -> str:
    """Return how much more the one outcome needs than the other, for the first arm."""
    units = {
        line["outcome"]: line["units"]
        for line in of_rule
        if line["arm"] == of_rule[0]["arm"] and line["units"]
    }
    if len(units) < len(OUTCOME_NAMES):
        return ""
    ratio = units["_revenue"] / units[""]
    if max(ratio, 1 / ratio) < LEAST_RATIO:
        return ""
    more, less = ("Revenue", "conversion") if ratio > 1 else ("Conversion", "revenue")
    return f" {more} needs {max(ratio, 1 / ratio):.1f} times the units of {less} there."


def _change_words(line: dict[str, Any], tables: Tables) -> str:
    unit = tables.measure(f"effect{line['outcome']}").measured_in
    return f"{signed(line['effect'], unit)} ({100 * line['change']:+.3g} %)"


def _plan_grid(tables: Tables, model: str) -> Grid:
    lines = _plan_lines(tables)
    several = len({line["model"] for line in lines}) > 1
    titles = [
        ("model", "model" if several else ""),
        *((name, name) for name in ("arm", "outcome", "rule", "change")),
    ]
    titles += [
        ("units of the arm", "units of\nthe arm"),
        ("units in all", "units\nin all"),
        ("power at the size", "power"),
    ]
    titles += [("least change at the size", ""), ("least change, %", "least\nchange, %")]
    return grid_of(
        titles, [_plan_cells(line, tables) for line in lines], own=model if several else "", names=4
    )


def _plan_cells(line: dict[str, Any], tables: Tables) -> list[str]:
    least, unit = line.get("least_effect"), tables.measure(f"effect{line['outcome']}").measured_in
    return [
        *(
            line["model"],
            line["arm"],
            OUTCOME_NAMES[line["outcome"]],
            RULE_NAMES.get(line["rule"], line["rule"]),
            _change_words(line, tables),
        ),
        fixed(line["units_of_arm"], 0),
        fixed(line["units"], 0),
        "" if least is None else f"{100 * line['power']:.1f} %",
        "" if least is None else brief(least, None, unit),
        "" if least is None else f"{100 * line['least_change']:.3g}",
    ]


def _plan_lines(tables: Tables) -> list[dict[str, Any]]:
    """Return a line for each model, arm, outcome and rule, with all of its numbers."""
    rows = tables.scores.filter(pl.col("fold").is_null() & pl.col("segment").is_not_null())
    lines: dict[tuple[str, str, str, str], dict[str, Any]] = {}
    for row in rows.to_dicts():
        name, outcome = (
            row["metric"].removesuffix("_revenue"),
            "_revenue" if row["metric"].endswith("_revenue") else "",
        )
        key = row["model"], row["segment"], outcome, row["ci_method"]
        line = lines.setdefault(
            key, dict(zip(("model", "arm", "outcome", "rule"), key, strict=True))
        )
        line[name] = row["value"]
    models = list(dict.fromkeys(line["model"] for line in lines.values()))
    order = list(RULE_NAMES)
    return sorted(
        lines.values(),
        key=lambda line: (
            models.index(line["model"]),
            line["arm"],
            line["outcome"],
            order.index(line["rule"]),
        ),
    )


PLAN_REPORT = TaskReport(sentence=plan_sentence, grids=plan_grids, draw=draw_plan)
