"""The reports of a test and of a plan: pictures, pages, and what stands in the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from polars import DataFrame, col

from hwds.ab.report.scores import (
    Ends,
    FinalEffect,
    control_means,
    ends_of,
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
    RULE_NAMES,
    ages_grid,
    decisive_grid,
    effect_texts,
    grid_of_effects,
    lift_words,
    rates_grid,
    segments_grid,
)
from hwds.ab.rows import arm_counts
from hwds.core.files import write_text
from hwds.frames.table import Table
from hwds.report.grid import Grid, declared_grid
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
from hwds.report.words import say
from hwds.results.files import write_markdown
from hwds.results.tables import TRUTH, Column, Declared, Tables

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
    lift: Ends | None
    effect: Ends


def effects_by_day(tables: Tables, model: str) -> list[DayEffect]:
    """Return the effects by day of a model, by outcome, arm and day.

    None in runs without a time.
    """
    keys = ("outcome", "segment", "step")
    effects, lifts = (
        {
            tuple(row[key] for key in keys): row
            for row in final_scores(tables, f"{name}_by_day").filter(model=model).to_dicts()
        }
        for name in ("effect", "lift")
    )
    return [
        DayEffect(key[0], key[1], row["cutoff"], row["n"], ends_of(lifts.get(key)), ends)
        for key, row in sorted(effects.items(), key=lambda each: each[0])
        if (ends := ends_of(row)) is not None
    ]


def by_day_grid(tables: Tables, model: str) -> Grid:
    """Return the effects by day, for the page; empty where there are none."""
    rows = [
        effect_texts(tables, day.outcome, day.effect)
        | {"arm": day.arm, "day": day.day, "units": day.units, "lift": lift_words(day.lift)}
        for day in effects_by_day(tables, model)
    ]
    return grid_of_effects(tables, rows, "outcome arm day units lift effect interval")


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
        tidy(axes, title=drawable(f"{outcome_name(tables, outcome)}{per}, % of the control's", 90))
    places = np.linspace(0, len(every) - 1, min(MOST_TICKS, len(every)))
    shown = np.unique(places.round().astype(int))
    grid[-1].set_xticks(shown, [drawable(every[place], 12) for place in shown], parse_math=False)
    if len({day.arm for day in days}) > 1:
        _legend(figure, grid[:1], columns=MOST_PANEL_ARMS)
    headline(
        figure,
        f"Lift until each day, by {model}; its {interval_level(tables)} interval holds on "
        f"whichever day one looks",
    )
    return figure


def _legend(figure: Figure, panels: Iterable[Axes], columns: int) -> None:
    """Write the legend of all panels below them, each label once."""
    handles = {
        label: handle
        for axes in panels
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        fontsize=9.5,
    )


def _draw_days(axes: Axes, part: list[DayEffect], every: list[str]) -> None:
    """Draw a line and a band for each arm; the axis leaves out what the first days cannot say."""
    place = {day: number for number, day in enumerate(every)}
    colours = (OWN_COLOUR, *RIVAL_COLOURS)[:MOST_PANEL_ARMS]
    for colour, arm in zip(colours, dict.fromkeys(day.arm for day in part), strict=False):
        own = [(place[day.day], *day.lift) for day in part if day.arm == arm and day.lift]
        where, *lifts = zip(*own, strict=True)
        values, lows, highs = 100 * np.array(lifts, dtype=float)
        axes.fill_between(where, lows, highs, color=colour, alpha=0.18, linewidth=0)
        name = drawable(arm, 30)
        axes.plot(where, values, color=colour, linewidth=2, marker="o", markersize=3, label=name)
    axes.axhline(0, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    late = [day.lift for day in part if day.lift and place[day.day] >= len(every) // 4]
    ends = [100 * end for lift in late for end in lift if end is not None]
    axes.set_ylim(min(0.0, *ends) * 1.15 - 1, max(0.0, *ends) * 1.15 + 1)
    axes.margins(x=0.02)


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
        tidy(axes, "x", title=_panel_title(tables, outcome))
        _write_names(axes, lines, model, len(arms) > 1)
    _legend(figure, grid.ravel(), columns=5)
    who = f"Effect of {arms[0]}" if len(arms) == 1 else "Effects"
    level = interval_level(tables)
    headline(figure, drawable(f"{who} against the control, with {level} intervals", 90))
    return figure


PANEL_TITLE = """
{{- name }}{% if unit %}, {{ unit }}{% endif %}{% if not roles %} per unit{% endif %}
{%- if mean is not none %}; {{ "the control has" if roles else "the control's mean is" }}
{{ mean | money(unit) }}{% endif %}
"""
"""The title of an outcome: `revenue, USD per unit; the control's mean is 6.71 USD`. A metric may be
a ratio or a quantile, which is not one of units.
"""


def _panel_title(tables: Tables, outcome: str) -> str:
    title = say(
        PANEL_TITLE,
        name=outcome_name(tables, outcome),
        unit=unit_of(tables, outcome),
        mean=control_means(tables).get(outcome),
        roles=metric_roles(tables),
    )
    return drawable(title, 90)


def _draw_effects(
    axes: Axes, lines: list[FinalEffect], truth: dict[tuple[str, str], float]
) -> None:
    for place, line in enumerate(lines):
        colour = RULE_COLOURS.get(line.rule or "", GREY)
        pale = 0.45 if line.status != "ok" else 1.0
        label = f"{RULE_NAMES.get(line.rule or '', '')}{STATUS_NOTES.get(line.status, '')}"
        ends = line.low or 0.0, line.high or 0.0
        axes.hlines(place, *ends, color=colour, linewidth=2.4, alpha=pale, label=label)
        axes.plot([line.value or 0.0], [place], "o", color=colour, markersize=5.5, alpha=pale)
        known = truth.get((line.outcome, line.arm))
        if known is not None:
            (mark,) = axes.plot([known], [place], "|", color=FLOOR_COLOUR, label="truth")
            mark.set(markersize=13, markeredgewidth=2)
    axes.axvline(0, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.margins(x=0.06)


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
        metric: rate_rows(tables, metric).filter(col("model") != TRUTH) for metric in RATE_PANELS
    }
    wins = rows["false_positive_rate"]
    if wins.is_empty():
        return None
    figure = new_figure(11, 5.2)
    grid = figure.subplots(1, 2)
    lines = _line_styles(wins, model)
    for axes, (metric, title) in zip(grid, RATE_PANELS.items(), strict=True):
        _draw_rates(axes, rows[metric], lines)
        about_x, about_y = "looks at the test, log scale", "tests with a winner, %"
        tidy(axes, title=title, x=about_x, y=about_y)
    nominal = 100 * (1 - tables.measure("effect").confidence)
    label = f"{nominal:.3g} %, what the level of the intervals promises"
    grid[0].axhline(nominal, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=0, label=label)
    _legend(figure, grid[:1], columns=3)
    headline(
        figure,
        f"How often each rule declares a winner: {wins['n'][0]:,} simulated tests, bars: two "
        f"standard errors",
    )
    return figure


def _line_styles(wins: DataFrame, model: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the style of each model and rule, the most false winners first, as in the picture."""
    last = wins.filter(step=col("step").max()).sort("value", descending=True, maintain_order=True)
    own = next(wins.filter(model=model).select("model", "ci_method").iter_rows(), None)
    return {
        (label, rule): {
            "color": OWN_COLOUR
            if (label, rule) == own
            else RATE_PALETTE[place % len(RATE_PALETTE)],
            "linewidth": 2.4 if label == model else 1.5,
            "linestyle": "-" if place < len(RATE_PALETTE) else "--",
            "label": drawable(f"{label} ({RULE_NAMES.get(rule, rule)})"),
        }
        for place, (label, rule) in enumerate(last.select("model", "ci_method").iter_rows())
    }


def _draw_rates(axes: Axes, rows: DataFrame, lines: dict[tuple[str, str], dict[str, Any]]) -> None:
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
    if len(tables.predictions) and len(counts := arm_counts(tables.predictions, model)):
        write_text(folder / "prior.yaml", prior_yaml(counts))


def ab_grids(tables: Tables, model: str) -> Iterator[Grid]:
    """Yield, for the terminal, the effects by the rule that each comparison decides by, and the
    rates of false winners.
    """
    yield from filter(len, (decisive_grid(tables, model), rates_grid(tables, model)))


def prior_yaml(counts: DataFrame) -> str:
    """Return conversions and refusals by arm as a policy's field `known`."""
    known = {arm: [int(wins), int(losses)] for arm, wins, losses in counts.iter_rows()}
    return yaml.safe_dump(
        {"known": known}, sort_keys=False, allow_unicode=True, default_flow_style=None
    )


REPORT = TaskReport(
    sentence=lambda table, tables, model: ab_conclusion(tables, model),
    grids=ab_grids,
    page_grids=lambda tables, model: [
        grid(tables, model) for grid in (by_day_grid, segments_grid, ages_grid)
    ],
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

CHANGE = """{{ effect | signed(measured_in) }} ({{ (100 * change) | written("+.3g") }} %)"""

PLAN = Declared.of(
    Column("model", "text", title="model", brief="{% if several %}model{% endif %}"),
    Column("arm", "text", title="arm", brief="arm"),
    Column("called", "text", title="outcome", brief="outcome"),
    Column("rule_name", "text", title="rule", brief="rule"),
    Column("change", "made", title="change", brief="change", show=CHANGE),
    Column("units_of_arm", "units", title="units of the arm", brief="units of\nthe arm"),
    Column("units", "units", title="units in all", brief="units\nin all"),
    Column(
        "power",
        "number",
        title="power at the size",
        brief="power",
        show="{% if power is not none %}{{ (100 * power) | written('.1f') }} %{% endif %}",
    ),
    Column(
        "least_effect",
        "number",
        title="least change at the size",
        show="{{ least_effect | money(measured_in) }}",
    ),
    Column(
        "least_change",
        "number",
        title="least change, %",
        brief="least\nchange, %",
        show="""{% if least_change is not none %}{{ (100 * least_change) | written(".3g") }}
{%- endif %}""",
    ),
)
"""The table of a plan: a row for each model, arm, outcome and rule."""

NEEDS = """
PLAN: by the {{ lines[0].rule_name }} rule
{% for line in lines -%}
{% if line.units is none -%}
{{ line.arm }} has no change of {{ line.called }} to find
{%- else -%}
{{ line.arm }} takes {{ line.units_of_arm | units }} units of its own to find
{{ line.effect | signed(line.measured_in) }} ({{ (100 * line.change) | written("+.3g") }} %) in
{{ line.called }}
{%- endif %}{% if not loop.last %}; {% endif %}
{%- endfor %}.
{% if times >= least %}{{ more | capitalize }} needs {{ times | written(".1f") }} times the units of
{{ less }} there.{% endif %}
"""


def draw_plan(table: Table, tables: Tables, model: str, folder: Path) -> None:
    """Write `ab_plan.md`: the plan by arm, outcome and rule."""
    sentence, grid = plan_sentence(table, tables, model), _plan_grid(tables, model)
    text = f"# Plan of an A/B test\n\n{sentence}\n\n{grid.markdown()}\n"
    write_markdown(folder / "ab_plan.md", text)


def plan_grids(tables: Tables, model: str) -> Iterator[Grid]:
    """Yield the table of the plan for the terminal."""
    yield _plan_grid(tables, model, f"{tables.measure('size').meaning.capitalize()}:")


def plan_sentence(table: Table, tables: Tables, model: str) -> str:
    """Return the units by the model's first rule, for conversion and for revenue, and how much more
    the one outcome needs than the other, for the first arm.
    """
    overall = tables.overall("size").filter(model=model)
    if overall.is_empty():
        return "Nothing was planned."
    own = (model, overall["ci_method"][0])
    lines = [line for line in _plan_lines(tables) if (line["model"], line["rule"]) == own]
    units = {
        line["called"]: line["units"]
        for line in lines
        if line["arm"] == lines[0]["arm"] and line["units"]
    }
    less, *_, more = sorted(units, key=units.__getitem__) if len(units) > 1 else ("", "")
    times = units[more] / units[less] if more else 0.0
    return say(NEEDS, lines=lines, times=times, more=more, less=less, least=LEAST_RATIO)


def _plan_grid(tables: Tables, model: str, caption: str = "") -> Grid:
    lines = _plan_lines(tables)
    several = len({line["model"] for line in lines}) > 1
    return declared_grid(
        PLAN,
        DataFrame(lines, infer_schema_length=None),
        own=model if several else "",
        names=4,
        caption=caption,
        several=several,
    )


def _plan_lines(tables: Tables) -> list[dict[str, Any]]:
    """Return a line for each model, arm, outcome and rule, with all of its numbers."""
    rows = tables.scores.filter(col("fold").is_null() & col("segment").is_not_null())
    lines: dict[tuple[str, str, str, str], dict[str, Any]] = {}
    for row in rows.to_dicts():
        name, behind, _ = row["metric"].partition("_revenue")
        key = row["model"], row["segment"], behind, row["ci_method"]
        if key not in lines:
            lines[key] = {
                **dict.fromkeys(("power", "least_effect", "least_change")),
                **dict(zip(("model", "arm", "outcome", "rule"), key, strict=True)),
                "called": OUTCOME_NAMES[behind],
                "rule_name": RULE_NAMES.get(key[3], key[3]),
                "measured_in": tables.measure(f"effect{behind}").measured_in,
            }
        lines[key][name] = row["value"]
    models, order = list(dict.fromkeys(key[0] for key in lines)), list(RULE_NAMES)
    places = {key: (models.index(key[0]), *key[1:3], order.index(key[3])) for key in lines}
    return [lines[key] for key in sorted(lines, key=places.__getitem__)]


PLAN_REPORT = TaskReport(sentence=plan_sentence, grids=plan_grids, draw=draw_plan)
