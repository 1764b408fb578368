"""The scores of scored rows: each metric with its interval, against labels and, where it is known, against the truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from hwds.detection.metrics.measures import detection_measures
from hwds.detection.metrics.weighted import CHANCES, COSTS, RANKS, MetricSettings, ScoredBy, Values
from hwds.detection.metrics.windows import TRUE, Window, resampled, windows_of
from hwds.evaluation.score import Score
from hwds.results.measure import short
from hwds.statistics.bootstrap import Spread, widest

OVERSTATED = ("ece", "card_precision")
"""Metrics that a resample overstates: a distance from what is expected, and a share of a few entities, some drawn twice."""


def scores_of(rows: pl.DataFrame, protocol: ScoredBy) -> list[Score]:
    """Return every metric of the test rows of one model: the mean over its windows, with a bootstrap interval.

    Where labels were looked for with known chances (role `label_propensity`), those rows alone count against labels, each for
    as many as it stands for.

    Entities are resampled over all windows together, and days within each; the wider of the two intervals is quoted.
    Metrics of probabilities are there where there are probabilities, those of money where there are amounts.

    Args:
        rows: With the columns of `prediction_rows`, and `flagged`.
        protocol: A detection protocol, for what it asks of its metrics.
    """
    if rows.is_empty():
        return []
    settings = MetricSettings.by(protocol)
    windows = windows_of(rows, settings)
    metrics = _metric_names(rows, settings)
    families = [family for family, names in settings.families.items() if set(names) & set(metrics)]
    values, samples = resampled(windows, families, protocol.resamples)
    cutoff = rows["cutoff"][0] if len(windows) == 1 else None
    return [_score(name, values, samples, windows, cutoff) for name in metrics if name in values]


def behind(rows: Mapping[str, pl.DataFrame], protocol: ScoredBy) -> Iterator[tuple[str, Score]]:
    """Yield by how much the headline of each model is behind that of the best, on the same rows and under the same draws.

    Args:
        rows: The test rows of each model.
        protocol: A detection protocol.
    """
    settings = MetricSettings.by(protocol)
    windows = {label: windows_of(part, settings) for label, part in _shared(rows).items()}
    metric = full_name(protocol)
    base = metric.removeprefix(TRUE)
    family = {(RANKS if metric == "gap_aucpr" else family) for family, names in settings.families.items() if base in names}
    drawn = {label: resampled(each, family, protocol.resamples) for label, each in windows.items()}
    headlines = {label: values.get(metric, np.nan) for label, (values, _) in drawn.items()}
    scored = [label for label, value in headlines.items() if not np.isnan(value)]
    if len(scored) < 2:
        return
    low = next(measure for measure in detection_measures(protocol, "") if measure.name == metric).better == "low"
    best = (min if low else max)(scored, key=headlines.__getitem__)
    for label in (label for label in scored if label != best):
        apart = {way: _apart(each[metric], drawn[label][1][way][metric], low) for way, each in drawn[best][1].items()}
        spread = widest(apart)
        value = (1 if low else -1) * (headlines[label] - headlines[best])
        n = sum(len(side.places) for side in (window.sides[_side(metric)] for window in windows[label]))
        yield label, replace(Score(f"behind_{metric}", "mean", value, n=n), **_ends(spread))


def full_name(protocol: ScoredBy) -> str:
    """Return the headline's name with its definition."""
    names = [measure.name for measure in detection_measures(protocol, "")]
    return next(name for name in names if short(name) == protocol.headline)


def _metric_names(rows: pl.DataFrame, settings: MetricSettings) -> list[str]:
    """Return the metrics that these rows allow, in the order in which they are reported."""
    money = rows["amount"].null_count() < len(rows)
    likely = rows["probability"].null_count() < len(rows)
    there = {CHANCES: likely, COSTS: likely and money}
    metrics = [name for family, names in settings.families.items() if there.get(family, True) for name in names]
    metrics = [name for name in metrics if money or name != "caught_value"]
    if rows["truth"].null_count() == len(rows):
        return metrics
    return [*metrics, *(f"{TRUE}{name}" for name in metrics), "gap_aucpr"]


def _score(
    name: str, values: Values, samples: Mapping[str, Mapping[str, np.ndarray]], windows: Sequence[Window], cutoff: str | None
) -> Score:
    """Return one score; its rows are those of the windows in which the metric is defined."""
    value = values[name]
    sides = [window.sides[_side(name)] for window in windows if _side(name) in window.sides]
    known, total = sum(len(side.places) for side in sides), sum(len(window.rows.day) for window in windows)
    if np.isnan(value):
        return Score(name, "mean", None, n=0, n_undefined=total, cutoff=cutoff)
    spread = widest(
        {way: each[name] for way, each in samples.items()}, value if short(name.removeprefix(TRUE)) in OVERSTATED else None
    )
    return replace(Score(name, "mean", value, n=known, n_undefined=total - known, cutoff=cutoff), **_ends(spread))


def _ends(spread: Spread | None) -> dict[str, Any]:
    if spread is None:
        return {}
    return {"stderr": spread.stderr, "ci_low": spread.low, "ci_high": spread.high, "ci_method": spread.method}


def _side(metric: str) -> str:
    return TRUE if metric.startswith(TRUE) else ""


def _apart(best: np.ndarray, other: np.ndarray, low: bool) -> np.ndarray:
    return other - best if low else best - other


def _shared(rows: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Return the rows that all models have scored: a fold that failed for one is left out for all."""
    cutoffs = [set(part["cutoff"]) for part in rows.values() if part.width]
    common = set.intersection(*cutoffs) if cutoffs else set()
    return {label: part.filter(pl.col("cutoff").is_in(common)) for label, part in rows.items() if part.width and common}
