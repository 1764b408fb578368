"""The conclusions, tables and pictures of detection runs and of review queues."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from hwds.detection.predictions import RULE_HITS, RULE_MONEY, RULE_RATE
from hwds.detection.report.pictures import (
    SIDES,
    MetricScore,
    by_week_figure,
    cases_figure,
    importances_figure,
    metric_score,
    metric_scores,
    precision_recall_figure,
    reliability_figure,
    rows_with_outcome,
    scored_rows_of_models,
    subject_grid,
    window_count_words,
    windows_with_positives,
)
from hwds.detection.scores import TRUE, Positives, few_positives
from hwds.frames.table import Table
from hwds.report.grid import Grid, grid_of
from hwds.report.hooks import TaskReport
from hwds.report.pictures import save_png
from hwds.results.formatting import brief, counted, fixed, percent, quote_interval
from hwds.results.tables import Tables, short
from hwds.stats.distributions import sigmoid

# The conclusion of a detection run in words.

RANKINGS = ("aucpr", "auroc", "precision@recall", "recall@precision")
"""Metrics that a window without a positive row does not have."""


def detection_conclusion(tables: Tables, model: str) -> str:
    """Return the headline of the experiment's own model against chance and the best rival, its
    calibration, and the truth.

    Args:
        tables: Of one run.
        model: The experiment's own model.

    Returns:
        Nothing where that model has no headline.
    """
    metric = next(
        (name for name in tables.metrics["metric"] if name.startswith("behind_")), "behind_aucpr"
    )
    metric = metric.removeprefix("behind_")
    headline = metric_score(tables, metric, model)
    if headline is None:
        return ""
    side = TRUE if metric.startswith(TRUE) else ""
    positives = _positives_of_model(tables, model, side)
    few = few_positives(positives.clusters) if positives else ""
    text = (
        f"{_headline_clause(tables, headline, metric, side)}"
        f"{_rivals_clause(tables, headline, metric)}."
    )
    text = f"{text} {few}" if few else text
    return (
        f"{text}{_calibration_sentence(tables, model, side)}"
        f"{_cleared_sentence(tables, model, side)}{_truth_gap_sentence(tables, model)}"
    )


def _headline_clause(tables: Tables, headline: MetricScore, metric: str, side: str) -> str:
    """`classify/xgboost has aucpr 0.687 (95 % interval 0.642 to 0.729), 104 times what chance gives
    (0.66 % of rows ...)`.
    """
    value, ends = _value_and_interval(headline, tables.measure(metric).measured_in)
    rows = scored_rows_of_models(tables)
    ranked = short(metric.removeprefix(TRUE)) in RANKINGS
    text = (
        f"{headline.model} has {metric} "
        f"{value}{ends}"
        f"{window_count_words(rows, windows_with_positives(rows, side) if ranked else rows)}"
    )
    prevalence = metric_score(tables, f"{side}prevalence", headline.model)
    if short(metric) not in ("aucpr", "true_aucpr") or prevalence is None or not prevalence.value:
        return text
    times = headline.value / prevalence.value
    chance = f"{times:,.{0 if times >= 10 else 1}f} times what chance gives"
    positives = _positives_of_model(tables, headline.model, side)
    few = f", {counted(positives.rows, 'positive rows')}" if positives else ""
    return f"{text}: {chance} ({brief(100 * prevalence.value)} % of rows{few})"


def _positives_of_model(tables: Tables, model: str, side: str) -> Positives | None:
    """Return the positive rows that a model was scored on.

    None where its predictions are not kept.
    """
    rows = scored_rows_of_models(tables)
    return (
        Positives.of(rows_with_outcome(rows.filter(pl.col("model") == model), side), SIDES[side][0])
        if rows.width
        else None
    )


def _rivals_clause(tables: Tables, headline: MetricScore, metric: str) -> str:
    """Return which model is better, or which is second, and how certain that is."""
    low = tables.measure(metric).better == "low"
    ranked = sorted(
        metric_scores(tables, metric), key=lambda each: each.value if low else -each.value
    )
    if len(ranked) < 2:
        return ""
    best, second = ranked[:2]
    if best.model == headline.model:
        behind = metric_score(tables, f"behind_{metric}", second.model)
        return (
            f"; second of {len(ranked)} models is "
            f"{second.model}{_distance_clause(behind, tables, metric)}"
        )
    behind = metric_score(tables, f"behind_{metric}", headline.model)
    place = [each.model for each in ranked].index(headline.model) + 1
    apart = _distance_clause(behind, tables, metric)
    return (
        f"; best of {len(ranked)} models is {best.model}, number {place} is {headline.model}{apart}"
    )


def _distance_clause(behind: MetricScore | None, tables: Tables, metric: str) -> str:
    """Return how far a model is behind, and whether that may be chance."""
    if behind is None:
        return ""
    if behind.value == 0:
        return ", which scores the same"
    value, ends = _value_and_interval(behind, tables.measure(metric).measured_in)
    sure = "" if behind.low is None or behind.low > 0 else ", which may be chance"
    return f", behind by {value}{ends}{sure}"


def _calibration_sentence(tables: Tables, model: str, side: str) -> str:
    """Return how well calibrated probabilities are: the slope, and positives observed against those
    expected.
    """
    slope = metric_score(tables, f"{side}calibration_slope", model)
    if slope is None:
        return ""
    value, ends = _value_and_interval(slope)
    level = metric_score(tables, f"{side}observed_to_expected", model)
    evidence = f"calibration slope {value}{ends}"
    if level is not None:
        ratio, around = _value_and_interval(level)
        evidence += f", {ratio} times as many positives as expected where p >= 0.1{around}"
    if slope.low is None or (level is not None and level.low is None):
        return f" Whether its probabilities are calibrated cannot be told ({evidence})."
    right = slope.holds(1.0) and (level is None or level.holds(1.0))
    if right:
        return f" Its probabilities are calibrated as far as can be seen ({evidence})."
    return (
        f" Its probabilities are {_miscalibration(slope, level)} "
        f"({evidence}){_calibration_remedy(scored_rows_of_models(tables), model)}."
    )


def _miscalibration(slope: MetricScore, level: MetricScore | None) -> str:
    if not slope.holds(1.0):
        return "too extreme" if slope.value < 1 else "too timid"
    assert level is not None
    return "too low" if level.value > 1 else "too high"


def _calibration_remedy(rows: pl.DataFrame, model: str) -> str:
    """Return the setting that mends probabilities, by whether they were calibrated.

    Empty where no rows are kept.
    """
    own = rows.filter(pl.col("model") == model).drop_nulls("probability") if rows.width else rows
    if own.is_empty():
        return ""
    score, chance = own["score"].to_numpy(), own["probability"].to_numpy()
    if np.allclose(chance, score, atol=1e-9) or np.allclose(chance, sigmoid(score), atol=1e-6):
        return (
            ": model.calibration=platt mends that, or bayes where labels are few, by the days "
            "of protocol.calibrate_days"
        )
    return (
        ": the window that they were calibrated by was another; more protocol.calibrate_days, or "
        "model.calibration=bayes where"
        " its labels are few, makes that rarer"
    )


def _cleared_sentence(tables: Tables, model: str, side: str) -> str:
    """Return the share of positives that were investigated and cleared, which no calibration by
    labels can know.
    """
    rows = scored_rows_of_models(tables)
    looked = rows.filter(
        (pl.col("model") == model) & (pl.col("truth") == 1) & pl.col("label").is_not_null()
    )
    cleared = int((looked["label"] == 0).sum())
    if side != TRUE or not cleared or not looked["probability"].count():
        return ""
    share = (
        f"of {counted(len(looked), 'rows')} of label 1 in truth that were looked at, "
        f"{percent(cleared / len(looked))}"
    )
    return (
        f" Labels miss some: {share} were cleared, so that probabilities come out low unless "
        f"model.sensitivity says so."
    )


def _truth_gap_sentence(tables: Tables, model: str) -> str:
    """Return the gap of average precision between labels and truth, where the truth is known."""
    gap, true, labelled = (
        metric_score(tables, name, model) for name in ("gap_aucpr", "true_aucpr", "aucpr")
    )
    if gap is None or true is None or labelled is None:
        return ""
    value, ends = _value_and_interval(gap)
    if gap.low is None or gap.holds(0.0):
        text = (
            f" By the labels that had been found aucpr is {labelled.value:.3f}, in truth "
            f"{true.value:.3f}"
        )
        return f"{text}; so few labels cannot tell them apart: the difference is {value}{ends}."
    side, more = ("flatter", "more") if gap.value > 0 else ("belittle", "less")
    apart = f"{value.removeprefix('-')} {more}{ends}"
    return (
        f" The labels that had been found {side} it: aucpr {labelled.value:.3f} by them, "
        f"{true.value:.3f} in truth, {apart}."
    )


def _value_and_interval(score: MetricScore, unit: str = "") -> tuple[str, str]:
    """Return a number, and its interval in brackets, or why it has none."""
    value, ends = quote_interval(score.value, score.low, score.high, unit)
    return value, f" ({score.refusal})" if score.refusal else ends


# The back-test of rules as a table.

RULE_TITLES = (
    ("rule", "rule"),
    ("rows", "rows"),
    ("looked at", "looked at"),
    ("of label 1, %", "hits %"),
    ("95 %", ""),
    ("money in them", "money"),
)


def rules_grid(tables: Tables, model: str) -> Grid:
    """Return the rules of a model on all test rows, those of the highest share of label 1 first.

    Empty where it has none.
    """
    scores = tables.scores.filter(
        (pl.col("segment_by") == "rule") & (pl.col("model") == model) & pl.col("fold").is_null()
    )
    by = {(row["segment"], row["metric"]): row for row in scores.iter_rows(named=True)}
    names = scores["segment"].unique(maintain_order=True).to_list()
    rated = sorted(names, key=lambda name: -(by.get((name, RULE_RATE), {}).get("value") or 0.0))
    rows = []
    for name in rated:
        rate, money = by.get((name, RULE_RATE)), by.get((name, RULE_MONEY))
        ends = f"{100 * rate['ci_low']:.1f} to {100 * rate['ci_high']:.1f}" if rate else ""
        share, looked = (fixed(100 * rate["value"], 1), f"{rate['n']:,}") if rate else ("", "0")
        hits = f"{by[name, RULE_HITS]['value']:,.0f}"
        rows.append((str(name), hits, looked, share, ends, brief(money["value"]) if money else ""))
    return grid_of(RULE_TITLES, rows, names=1, caption="Rules on the rows to come:" if rows else "")


# The conclusion of a review queue in words, and its pictures.

STEADY_SHARE = 0.7
"""The share of the first cases that has to stay under another seed, or on the other half of the
rows.
"""


def queue_run_sentence(table: Table, tables: Tables, model: str) -> str:
    """Return how far the ranking of the experiment's own model can be trusted."""
    names = {str(name).partition("@")[0]: str(name) for name in tables.metrics["metric"]}
    seeds, halves = (
        metric_score(tables, names.get(f"{name}_overlap", ""), model) for name in ("seed", "half")
    )
    injected = metric_score(tables, names.get("injected_recall", ""), model)
    budget = names.get("seed_overlap", "").partition("@")[2]
    if seeds is not None and budget and (seeds.n or 0) < int(budget):
        cases = counted(seeds.n or 0, "cases")
        return (
            f"All {cases} fit into the budget of {budget}: no order, steady or not, leaves one "
            f"out of them."
        )
    parts = []
    for each, under in ((seeds, "under other seeds"), (halves, "on the two halves of the rows")):
        if each is not None:
            steady = "" if each.value >= STEADY_SHARE else ", which is not steady"
            parts.append(
                f"{percent(each.value)} of the first cases of {model} are the same {under}{steady}."
            )
    if injected is not None:
        parts.append(
            f"Of anomalies that were injected {percent(injected.value)} score as high as the last "
            f"case of the budget."
        )
    true = metric_score(tables, names.get("true_recall", ""), model)
    if true is not None:
        parts.append(f"In truth {percent(true.value)} of all gray cases are among the first.")
    return " ".join(parts)


def draw_queue(table: Table, tables: Tables, model: str, folder: Path) -> None:
    """Draw the pictures: `cases.png`: the highest scores and their reasons."""
    save_png(cases_figure(tables, model, table.unit), folder / "cases.png")


QUEUE_REPORT = TaskReport(
    sentence=queue_run_sentence,
    draw=draw_queue,
    ranks=False,
    captions={
        "cases.png": "The highest scores and their reasons",
    },
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


def detection_page_grids(tables: Tables, model: str) -> list[Grid]:
    """Return the grid of importances of each model, and that of rules."""
    return [subject_grid(tables, model), rules_grid(tables, model)]


def detection_sentence(table: Table, tables: Tables, model: str) -> str:
    """Return the conclusion of the run in a few sentences."""
    return detection_conclusion(tables, model)


DETECTION_REPORT = TaskReport(
    sentence=detection_sentence,
    page_grids=detection_page_grids,
    draw=draw_detection,
    captions={
        "precision_recall.png": "Precision against recall of every model",
        "reliability.png": "Whether the probabilities of the experiment's own model come true",
        "by_week.png": "Average precision in each test window",
        "cases.png": "The highest scores and their reasons",
        "importances.png": "What its scores are made of",
    },
)
