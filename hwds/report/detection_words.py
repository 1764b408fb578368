"""What a detection run shows, in words."""

from __future__ import annotations

import polars as pl

from hwds.metrics.base import short
from hwds.protocols.detection_windows import TRUE
from hwds.report.detection_rows import Number, averaged, number, numbers, scored_rows
from hwds.results.tables import Tables
from hwds.results.wording import brief, counted, percent, quoted


def conclusion(tables: Tables, model: str) -> str:
    """The own model's headline with its interval against chance, the best or the second best, calibration, and the truth's say.

    Args:
        tables: Of one run.
        model: The experiment's own model.

    Returns:
        Nothing where the own model has no headline.
    """
    metric = next((name for name in tables.metrics["metric"] if name.startswith("behind_")), "behind_aucpr")
    metric = metric.removeprefix("behind_")
    own = number(tables, metric, model)
    if own is None:
        return ""
    side = TRUE if metric.startswith(TRUE) else ""
    said = f"{_scored(tables, own, metric, side)}{_beside(tables, own, metric)}."
    return f"{said}{_calibrated(tables, model, side)}{_cleared(tables, model, side)}{_gap(tables, model)}"


def _scored(tables: Tables, own: Number, metric: str, side: str) -> str:
    """`classify/xgboost has aucpr 0.687 (95 % interval 0.642 to 0.729), 104 times what chance gives (0.66 % of rows ...)`."""
    value, ends = _ends(own, tables.measure(metric).measured_in)
    said = f"{own.model} has {metric} {value}{ends}{averaged(scored_rows(tables))}"
    prevalence = number(tables, f"{side}prevalence", own.model)
    if short(metric) not in ("aucpr", "true_aucpr") or prevalence is None or not prevalence.value:
        return said
    times = own.value / prevalence.value
    return f"{said}: {times:,.{0 if times >= 10 else 1}f} times what chance gives ({brief(100 * prevalence.value)} % of rows)"


def _beside(tables: Tables, own: Number, metric: str) -> str:
    """Who is better, or who is second; and whether that is certain."""
    low = tables.measure(metric).better == "low"
    ranked = sorted(numbers(tables, metric), key=lambda each: each.value if low else -each.value)
    if len(ranked) < 2:
        return ""
    best, second = ranked[:2]
    if best.model == own.model:
        behind = number(tables, f"behind_{metric}", second.model)
        return f"; second of {len(ranked)} models is {second.model}{_apart(behind, tables, metric)}"
    behind = number(tables, f"behind_{metric}", own.model)
    place = [each.model for each in ranked].index(own.model) + 1
    return f"; best of {len(ranked)} models is {best.model}, number {place} is {own.model}{_apart(behind, tables, metric)}"


def _apart(behind: Number | None, tables: Tables, metric: str) -> str:
    if behind is None:
        return ""
    if behind.value == 0:
        return ", which scores the same"
    value, ends = _ends(behind, tables.measure(metric).measured_in)
    sure = "" if behind.low is not None and behind.low > 0 else ", which may be chance"
    return f", behind by {value}{ends}{sure}"


def _calibrated(tables: Tables, model: str, side: str) -> str:
    """Whether probabilities mean what they say: the slope, and positives realised against those expected."""
    slope = number(tables, f"{side}calibration_slope", model)
    if slope is None:
        return ""
    value, ends = _ends(slope)
    level = number(tables, f"{side}observed_to_expected", model)
    told = f"calibration slope {value}{ends}"
    if level is not None:
        found, around = _ends(level)
        told += f", {found} times as many positives as expected where p >= 0.1{around}"
    right = slope.holds(1.0) and (level is None or level.holds(1.0))
    if right:
        return f" Its probabilities are calibrated as far as can be seen ({told})."
    return f" Its probabilities are {_wrong(slope, level)} ({told})."


def _wrong(slope: Number, level: Number | None) -> str:
    if not slope.holds(1.0):
        return "too extreme" if slope.value < 1 else "too timid"
    assert level is not None
    return "too low" if level.value > 1 else "too high"


def _cleared(tables: Tables, model: str, side: str) -> str:
    """What labels miss of the rows that were looked at, which no calibration by labels can know."""
    rows = scored_rows(tables)
    looked = rows.filter((pl.col("model") == model) & (pl.col("truth") == 1) & pl.col("label").is_not_null())
    cleared = int((looked["label"] == 0).sum())
    if side != TRUE or not cleared or not looked["probability"].count():
        return ""
    told = f"of {counted(len(looked), 'rows')} of label 1 in truth that were looked at, {percent(cleared / len(looked))}"
    return f" Labels miss some: {told} were cleared, so that probabilities come out low unless model.sensitivity says so."


def _gap(tables: Tables, model: str) -> str:
    """How far found labels mislead, where the truth is known."""
    gap, true, own = (number(tables, name, model) for name in ("gap_aucpr", "true_aucpr", "aucpr"))
    if gap is None or true is None or own is None:
        return ""
    value, ends = _ends(gap)
    if gap.holds(0.0):
        told = f" By the labels that had been found aucpr is {own.value:.3f}, in truth {true.value:.3f}"
        return f"{told}; so few labels cannot tell them apart: the difference is {value}{ends}."
    side, more = ("flatter", "more") if gap.value > 0 else ("belittle", "less")
    apart = f"{value.removeprefix('-')} {more}{ends}"
    return f" The labels that had been found {side} it: aucpr {own.value:.3f} by them, {true.value:.3f} in truth, {apart}."


def _ends(found: Number, unit: str = "") -> tuple[str, str]:
    """A number, and its interval in brackets."""
    return quoted(found.value, found.low, found.high, unit)
