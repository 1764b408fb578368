"""The conclusions, tables and pictures of detection runs and of review queues."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from polars import col

from hwds.detection.predictions import RULE_HITS, RULE_MONEY, RULE_RATE, scored_rows
from hwds.detection.report.pictures import (
    SIDES,
    by_week_figure,
    cases_figure,
    importances_figure,
    precision_recall_figure,
    reliability_figure,
    row_weights,
    rows_with_outcome,
    subject_grid,
    window_count_words,
    windows_with_positives,
)
from hwds.detection.rows import entities_of_rows
from hwds.detection.scores import TRUE, Positives, few_positives
from hwds.frames.table import Table
from hwds.report.grid import Grid, declared_grid
from hwds.report.hooks import TaskReport
from hwds.report.pictures import save_png
from hwds.report.words import say_lines, scores_of, verdict_word
from hwds.results.formatting import quote_interval
from hwds.results.tables import Column, Declared, Tables, short, with_interval
from hwds.stats.distributions import sigmoid
from hwds.stats.effects import LEAST_SURE, student_critical

# The conclusion of a detection run in words.

RANKINGS = ("aucpr", "auroc", "precision@recall", "recall@precision")
"""Metrics that a window without a positive row does not have."""

CONCLUSION = """
{%- set best = ranked[0] == model %}
{%- macro distance() %}
{%- if behind.value is none -%}.
{%- elif behind.value == 0 %} scores the same.
{%- else %} is behind by {{ told(behind, unit) | join }}.{% endif %}
{%- endmacro -%}
{%- macro scored() %}
{{- metric }} {{ "is" if ranked | length > 1 else "of " ~ model ~ " is" }}
{{ told(own, unit) | join }}{{ windows }}
{%- if chance %}
{%- set times = own.value / chance -%}
: {{ times | written(",.0f" if times >= 10 else ",.1f") }} times what chance gives
({{- (100 * chance) | brief }} % of rows
{%- if positives %}, {{ positives.rows | counted("positive rows") }}{% endif %})
{%- endif %}.
{%- endmacro %}
{%- if ranked | length < 2 -%}
ESTIMATE: the {{ scored() }}
{%- else -%}
{%- set word = verdict_word(behind.ci_low, behind.ci_high) %}
{{- word if best else "WORSE" if word == "BETTER" else "NOT SURE" }}: {{ ranked[0] }} is best of
{{ ranked | length }} models by {{ metric }};
{% if best -%}
{{ ranked[1] }}
{%- else -%}
{{ model }}, number {{ ranked.index(model) + 1 }},
{%- endif %}{{ distance() }}
{%- endif %}

{{ few }}

{% if ranked | length > 1 %}Its {{ scored() }}{% endif %}

{% if overall -%}
Its probabilities promised {{ overall.promised | percent }} positives and
{{ overall.came | percent }} came
{%- if overall.low is not none %} (95 %: {{ overall.low | percent }} to
{{ overall.high | percent }}){% endif %}, over {{ overall.positives | counted("positives") }}
{%- if overall.low is not none and not overall.low <= overall.promised <= overall.high -%}
: too {{ "high" if overall.promised > overall.came else "low" }} overall
{%- endif %}.
{%- endif %}

{% if slope.value is not none %}
{%- set evidence -%}
calibration slope {{ told(slope) | join }}
{%- if level.value is not none %}
{%- set ratio, ends = told(level) -%}
, {{ ratio }} times as many positives as expected where p >= 0.1{{ ends }}
{%- endif %}
{%- endset %}
{%- set known = level.value is not none %}
{%- if slope.ci_low is none or known and level.ci_low is none -%}
Whether its probabilities are calibrated cannot be told ({{ evidence }}).
{%- else %}
{%- set steep = not slope.ci_low <= 1 <= slope.ci_high %}
{%- if not steep and (not known or level.ci_low <= 1 <= level.ci_high) -%}
Its probabilities are calibrated as far as can be seen ({{ evidence }}).
{%- else -%}
Its probabilities are
{% if steep %}too {{ "extreme" if slope.value < 1 else "timid" }}
{%- else %}too {{ "low" if level.value > 1 else "high" }}
{%- endif %} ({{ evidence }}){{ remedy }}.
{%- endif %}
{%- endif %}
{%- endif %}

{% if cleared -%}
Labels miss some: of {{ looked | counted("rows") }} of label 1 in truth that were looked at,
{{ (cleared / looked) | percent }} were cleared, so that probabilities come out low unless
model.sensitivity says so.
{%- endif %}

{% if gap.value is not none %}
{%- set labelled = of("aucpr").value | written(".3f") %}
{%- set truly = of("true_aucpr").value | written(".3f") %}
{%- set size, ends = told(gap) %}
{%- if gap.ci_low is none or gap.ci_low <= 0 <= gap.ci_high -%}
By the labels that had been found aucpr is {{ labelled }}, in truth {{ truly }}; so few labels
cannot tell them apart: the difference is {{ size }}{{ ends }}.
{%- else -%}
The labels that had been found {{ "flatter" if gap.value > 0 else "belittle" }} it: aucpr
{{ labelled }} by them, {{ truly }} in truth, {{ size.removeprefix("-") }}
{{ "more" if gap.value > 0 else "less" }}{{ ends }}.
{%- endif %}
{%- endif %}
"""
"""The headline of the experiment's model against chance and the best rival, how well its
probabilities are calibrated, and the gap between labels and truth where the truth is known.
"""

UNCALIBRATED_REMEDY = """. Use model.calibration=platt, or bayes if labels are few; both learn from
the days of protocol.calibrate_days"""
CALIBRATED_REMEDY = """. The calibration days may differ from the test days: try more
protocol.calibrate_days, or model.calibration=bayes"""


def detection_sentence(table: Table, tables: Tables, model: str) -> str:
    """Return the conclusion of a run in a few sentences; empty where its model has no headline.

    Args:
        table: The data of the run.
        tables: The tables of the run.
        model: The experiment's model.
    """
    named = (name for name in tables.metrics["metric"] if name.startswith("behind_"))
    metric = next(named, "behind_aucpr").removeprefix("behind_")
    name, of = short(metric), scores_of(tables, model)
    own = of(name)
    if own["value"] is None:
        return ""
    side = TRUE if metric.startswith(TRUE) else ""
    rows = scored_rows(tables, part="test")
    mine = rows.filter(model=model)
    positives = Positives.of(rows_with_outcome(mine, side), SIDES[side][0]) if len(rows) else None
    measure = tables.measure(metric)
    ranked = models_by_score(tables, name, least=measure.better == "low")
    second = [*ranked, model][1]
    is_ranking = name.removeprefix(TRUE) in RANKINGS
    looked = mine.filter(col("label").is_not_null(), truth=1)
    is_told = side == TRUE and looked["probability"].count()
    lines = say_lines(
        CONCLUSION,
        verdict_word=verdict_word,
        told=_value_and_interval,
        of=of,
        model=model,
        metric=measure.heading,
        own=own,
        unit=measure.measured_in,
        windows=window_count_words(
            rows, windows_with_positives(rows, side) if is_ranking else rows
        ),
        chance=of(f"{side}prevalence")["value"] if name == f"{side}aucpr" else None,
        positives=positives,
        few=few_positives(positives.clusters) if positives else "",
        ranked=ranked,
        behind=scores_of(tables, second if ranked[0] == model else model)(f"behind_{name}"),
        overall=overall_level(mine.drop_nulls("probability"), side),
        slope=of(f"{side}calibration_slope"),
        level=of(f"{side}observed_to_expected"),
        remedy=_calibration_remedy(mine.drop_nulls("probability")),
        looked=len(looked),
        cleared=(looked["label"] == 0).sum() if is_told else 0,
        gap=of("gap_aucpr"),
    )
    return "\n".join(lines)


def overall_level(rows: pl.DataFrame, side: str) -> dict[str, float | None]:
    """Return the share of positives that probabilities promised, the one that came with its 95 %
    interval, and the number of positives; empty of no rows.

    Positives of one customer, or of one day, come together. With few of either there is no
    interval.

    Args:
        rows: The test rows of one model that have a probability.
        side: `TRUE` for positives in truth, empty for those by labels.
    """
    known = rows_with_outcome(rows, side) if len(rows) else rows
    if known.is_empty():
        return {}
    weight, outcome = row_weights(known, side), known[SIDES[side][0]].to_numpy()
    promised, came = (
        float(np.average(values, weights=weight))
        for values in (known["probability"].to_numpy(), outcome)
    )
    found = known.filter(outcome == 1)
    together = (found.select(pl.struct("cutoff", "day")).to_series(), entities_of_rows(found))
    ends: list[float | None] = [None, None]
    if len(found) and min(names.n_unique() for names in together) >= LEAST_SURE:
        # a count of independent groups, whose variance is the sum of their squares
        reaches = [
            student_critical(len(sizes) - 1, 0.95) * float((sizes**2).sum()) ** 0.5 / len(found)
            for sizes in (names.value_counts()["count"].cast(pl.Float64) for names in together)
        ]
        ends = [came * float(np.exp(sign * max(reaches))) for sign in (-1, 1)]
    shares = {"promised": promised, "came": came, "low": ends[0], "high": ends[1]}
    return shares | {"positives": len(found)}


def models_by_score(tables: Tables, metric: str, *, least: bool) -> list[str]:
    """Return the models that have a metric, by its short name, the best first."""
    rows = tables.overall(metric).drop_nulls("value")
    return rows.sort("value", descending=not least, maintain_order=True)["model"].to_list()


def _calibration_remedy(rows: pl.DataFrame) -> str:
    """Return the setting that mends the probabilities of some rows, by whether they were
    calibrated; empty of no rows.
    """
    if rows.is_empty():
        return ""
    score, chance = rows["score"].to_numpy(), rows["probability"].to_numpy()
    raw = np.allclose(chance, score, atol=1e-9) or np.allclose(chance, sigmoid(score), atol=1e-6)
    return UNCALIBRATED_REMEDY if raw else CALIBRATED_REMEDY


def _value_and_interval(score: Mapping[str, Any], unit: str = "") -> tuple[str, str]:
    """Return a score, and its interval in brackets, or why it has none."""
    low, reason = score["ci_low"], score["ci_method"]
    value, ends = quote_interval(score["value"], low, score["ci_high"], unit)
    return value, f" ({reason})" if low is None and reason else ends


# The back-test of rules as a table.

RULES = Declared.of(
    Column("rule", "text", title="rule", brief="rule"),
    Column("rows", "units", title="rows", brief="rows"),
    Column("looked_at", "count", title="looked at", brief="looked at"),
    with_interval(Column("rate", "share", title="of label 1, %", brief="hits %")),
    Column("money", "number", title="money in them", brief="money", show="{{ money | brief }}"),
)


def rules_grid(tables: Tables, model: str) -> Grid:
    """Return the rules of a model on all test rows, those of the highest share of label 1 first.

    Empty where it has none.
    """
    scores = tables.scores.filter(col("fold").is_null(), segment_by="rule", model=model)
    rate = col("metric") == RULE_RATE
    columns = {
        "rows": ("value", col("metric") == RULE_HITS),
        "looked_at": ("n", rate),
        "rate": ("value", rate),
        "rate_low": ("ci_low", rate),
        "rate_high": ("ci_high", rate),
        "money": ("value", col("metric") == RULE_MONEY),
    }
    rules = scores.group_by(col("segment").alias("rule"), maintain_order=True).agg(
        col(column).filter(which).first().alias(name) for name, (column, which) in columns.items()
    )
    ordered = rules.with_columns(col("looked_at").fill_null(0)).sort(
        col("rate").fill_null(0.0), descending=True, maintain_order=True
    )
    caption = "Rules on the rows to come:" if len(rules) else ""
    return declared_grid(RULES, ordered, caption=caption)


# The conclusion of a review queue in words, and its pictures.

STEADY_SHARE = 0.7
"""The share of the first cases that has to stay under another seed, or on the other half of the
rows.
"""


QUEUE_CONCLUSION = """
{%- macro steady(share, under) -%}
{{ share | percent }} of the first cases of {{ model }} are the same {{ under }}
{%- if share < least %}, which is not steady{% endif %}.
{%- endmacro %}
{%- set shares = [seeds.value, halves.value] | reject("none") | list %}
{%- if seeds.value is not none and budget and seeds.n < budget | int -%}
STEADY: all {{ seeds.n | counted("cases") }} fit into the budget of {{ budget }}, in whatever order.
{%- else %}
{%- if shares %}{{ "STEADY" if shares | min >= least else "NOT SURE" }}: {% endif %}
{%- if seeds.value is not none %}{{ steady(seeds.value, "under other seeds") }}{% endif %}

{% if halves.value is not none -%}
{{ steady(halves.value, "on the two halves of the rows") }}
{%- endif %}

{% if injected.value is not none -%}
Of anomalies that were injected {{ injected.value | percent }} score as high as the last case of the
budget.
{%- endif %}

{% if gray.value is not none -%}
In truth {{ gray.value | percent }} of all gray cases are among the first.
{%- endif %}
{%- endif %}
"""


def queue_run_sentence(table: Table, tables: Tables, model: str) -> str:
    """Return how far the ranking of the experiment's model can be trusted."""
    of, metrics = scores_of(tables, model), tables.metrics["metric"]
    budgets = [name.partition("@")[2] for name in metrics if name.startswith("seed_overlap")]
    lines = say_lines(
        QUEUE_CONCLUSION,
        model=model,
        least=STEADY_SHARE,
        budget=next(iter(budgets), ""),
        seeds=of("seed_overlap"),
        halves=of("half_overlap"),
        injected=of("injected_recall"),
        gray=of("true_recall"),
    )
    return "\n".join(lines)


def draw_queue(table: Table, tables: Tables, model: str, folder: Path) -> None:
    """Draw the pictures: `cases.png`: the highest scores and their reasons."""
    save_png(cases_figure(tables, model, table.unit), folder / "cases.png")


QUEUE_REPORT = TaskReport(
    sentence=queue_run_sentence,
    draw=draw_queue,
    ranks=False,
    captions={"cases.png": "The highest scores and their reasons"},
)


# The pictures and the sentence of a detection run.


def draw_detection(table: Table, tables: Tables, model: str, folder: Path) -> None:
    """Draw the pictures, each where there is something to draw.

    `precision_recall.png`: precision against recall of every model; `reliability.png`: whether the
    probabilities of the experiment's own model come true; `by_week.png`: average precision in each
    test window; `cases.png`: the highest scores and their reasons; `importances.png`: what its
    scores are made of.
    """
    label = f"{table.name('label')} = 1"
    save_png(precision_recall_figure(tables, model, label), folder / "precision_recall.png")
    save_png(reliability_figure(tables, model, label), folder / "reliability.png")
    save_png(by_week_figure(tables, model), folder / "by_week.png")
    save_png(cases_figure(tables, model, table.unit), folder / "cases.png")
    save_png(importances_figure(tables, model), folder / "importances.png")


DETECTION_REPORT = TaskReport(
    sentence=detection_sentence,
    page_grids=lambda tables, model: [subject_grid(tables, model), rules_grid(tables, model)],
    draw=draw_detection,
    captions={
        "precision_recall.png": "Precision against recall of every model",
        "reliability.png": "Whether the probabilities of the experiment's own model come true",
        "by_week.png": "Average precision in each test window",
        "cases.png": "The highest scores and their reasons",
        "importances.png": "What its scores are made of",
    },
)
