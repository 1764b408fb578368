"""The conclusion of a detection run in words."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.detection.metrics.positives import Positives, few_positives
from hwds.detection.metrics.windows import TRUE
from hwds.detection.report.scored_rows import (
    SIDES,
    Number,
    averaged,
    known_rows,
    number,
    numbers,
    scored_rows,
    with_positives,
)
from hwds.results.formatting import brief, counted, percent, quoted
from hwds.results.measure import short
from hwds.results.tables import Tables
from hwds.statistics.log_odds import sigmoid

RANKINGS = ("aucpr", "auroc", "precision@recall", "recall@precision")
"""Metrics that a window without a positive row does not have."""


def conclusion(tables: Tables, model: str) -> str:
    """Return the headline of the experiment's own model against chance and the best rival, its calibration, and the truth.

    Args:
        tables: Of one run.
        model: The experiment's own model.

    Returns:
        Nothing where that model has no headline.
    """
    metric = next((name for name in tables.metrics["metric"] if name.startswith("behind_")), "behind_aucpr")
    metric = metric.removeprefix("behind_")
    headline = number(tables, metric, model)
    if headline is None:
        return ""
    side = TRUE if metric.startswith(TRUE) else ""
    positives = _positives(tables, model, side)
    few = few_positives(positives.clusters) if positives else ""
    text = f"{_scored(tables, headline, metric, side)}{_beside(tables, headline, metric)}."
    text = f"{text} {few}" if few else text
    return f"{text}{_calibrated(tables, model, side)}{_cleared(tables, model, side)}{_gap(tables, model)}"


def _scored(tables: Tables, headline: Number, metric: str, side: str) -> str:
    """`classify/xgboost has aucpr 0.687 (95 % interval 0.642 to 0.729), 104 times what chance gives (0.66 % of rows ...)`."""
    value, ends = _ends(headline, tables.measure(metric).measured_in)
    rows = scored_rows(tables)
    ranked = short(metric.removeprefix(TRUE)) in RANKINGS
    text = f"{headline.model} has {metric} {value}{ends}{averaged(rows, with_positives(rows, side) if ranked else rows)}"
    prevalence = number(tables, f"{side}prevalence", headline.model)
    if short(metric) not in ("aucpr", "true_aucpr") or prevalence is None or not prevalence.value:
        return text
    times = headline.value / prevalence.value
    chance = f"{times:,.{0 if times >= 10 else 1}f} times what chance gives"
    positives = _positives(tables, headline.model, side)
    few = f", {counted(positives.rows, 'positive rows')}" if positives else ""
    return f"{text}: {chance} ({brief(100 * prevalence.value)} % of rows{few})"


def _positives(tables: Tables, model: str, side: str) -> Positives | None:
    """Return the positive rows that a model was scored on; None where its predictions are not kept."""
    rows = scored_rows(tables)
    return Positives.of(known_rows(rows.filter(pl.col("model") == model), side), SIDES[side][0]) if rows.width else None


def _beside(tables: Tables, headline: Number, metric: str) -> str:
    """Return which model is better, or which is second, and how certain that is."""
    low = tables.measure(metric).better == "low"
    ranked = sorted(numbers(tables, metric), key=lambda each: each.value if low else -each.value)
    if len(ranked) < 2:
        return ""
    best, second = ranked[:2]
    if best.model == headline.model:
        behind = number(tables, f"behind_{metric}", second.model)
        return f"; second of {len(ranked)} models is {second.model}{_apart(behind, tables, metric)}"
    behind = number(tables, f"behind_{metric}", headline.model)
    place = [each.model for each in ranked].index(headline.model) + 1
    apart = _apart(behind, tables, metric)
    return f"; best of {len(ranked)} models is {best.model}, number {place} is {headline.model}{apart}"


def _apart(behind: Number | None, tables: Tables, metric: str) -> str:
    """Return how far a model is behind, and whether that may be chance."""
    if behind is None:
        return ""
    if behind.value == 0:
        return ", which scores the same"
    value, ends = _ends(behind, tables.measure(metric).measured_in)
    sure = "" if behind.low is None or behind.low > 0 else ", which may be chance"
    return f", behind by {value}{ends}{sure}"


def _calibrated(tables: Tables, model: str, side: str) -> str:
    """Return how well calibrated probabilities are: the slope, and positives observed against those expected."""
    slope = number(tables, f"{side}calibration_slope", model)
    if slope is None:
        return ""
    value, ends = _ends(slope)
    level = number(tables, f"{side}observed_to_expected", model)
    evidence = f"calibration slope {value}{ends}"
    if level is not None:
        ratio, around = _ends(level)
        evidence += f", {ratio} times as many positives as expected where p >= 0.1{around}"
    if slope.low is None or (level is not None and level.low is None):
        return f" Whether its probabilities are calibrated cannot be told ({evidence})."
    right = slope.holds(1.0) and (level is None or level.holds(1.0))
    if right:
        return f" Its probabilities are calibrated as far as can be seen ({evidence})."
    return f" Its probabilities are {_wrong(slope, level)} ({evidence}){_remedy(scored_rows(tables), model)}."


def _wrong(slope: Number, level: Number | None) -> str:
    if not slope.holds(1.0):
        return "too extreme" if slope.value < 1 else "too timid"
    assert level is not None
    return "too low" if level.value > 1 else "too high"


def _remedy(rows: pl.DataFrame, model: str) -> str:
    """Return the setting that mends probabilities, by whether they were calibrated; empty where no rows are kept."""
    own = rows.filter(pl.col("model") == model).drop_nulls("probability") if rows.width else rows
    if own.is_empty():
        return ""
    score, chance = own["score"].to_numpy(), own["probability"].to_numpy()
    if np.allclose(chance, score, atol=1e-9) or np.allclose(chance, sigmoid(score), atol=1e-6):
        return ": model.calibration=platt mends that, or bayes where labels are few, by the days of protocol.calibrate_days"
    return (
        ": the window that they were calibrated by was another; more protocol.calibrate_days, or model.calibration=bayes where"
        " its labels are few, makes that rarer"
    )


def _cleared(tables: Tables, model: str, side: str) -> str:
    """Return the share of positives that were investigated and cleared, which no calibration by labels can know."""
    rows = scored_rows(tables)
    looked = rows.filter((pl.col("model") == model) & (pl.col("truth") == 1) & pl.col("label").is_not_null())
    cleared = int((looked["label"] == 0).sum())
    if side != TRUE or not cleared or not looked["probability"].count():
        return ""
    share = f"of {counted(len(looked), 'rows')} of label 1 in truth that were looked at, {percent(cleared / len(looked))}"
    return f" Labels miss some: {share} were cleared, so that probabilities come out low unless model.sensitivity says so."


def _gap(tables: Tables, model: str) -> str:
    """Return the gap of average precision between labels and truth, where the truth is known."""
    gap, true, labelled = (number(tables, name, model) for name in ("gap_aucpr", "true_aucpr", "aucpr"))
    if gap is None or true is None or labelled is None:
        return ""
    value, ends = _ends(gap)
    if gap.low is None or gap.holds(0.0):
        text = f" By the labels that had been found aucpr is {labelled.value:.3f}, in truth {true.value:.3f}"
        return f"{text}; so few labels cannot tell them apart: the difference is {value}{ends}."
    side, more = ("flatter", "more") if gap.value > 0 else ("belittle", "less")
    apart = f"{value.removeprefix('-')} {more}{ends}"
    return f" The labels that had been found {side} it: aucpr {labelled.value:.3f} by them, {true.value:.3f} in truth, {apart}."


def _ends(score: Number, unit: str = "") -> tuple[str, str]:
    """Return a number, and its interval in brackets, or why it has none."""
    value, ends = quoted(score.value, score.low, score.high, unit)
    return value, f" ({score.refusal})" if score.refusal else ends
