"""The scores of scored rows: each metric with its interval, against labels and, where it is known, against the truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import exp, log
from typing import Any

import numpy as np
import polars as pl

from hwds.compare.contrasts import Scale
from hwds.detection.metrics.clusters import effect_of
from hwds.detection.metrics.measures import detection_measures
from hwds.detection.metrics.weighted import CHANCES, COSTS, RANKS, MetricSettings, ScoredBy
from hwds.detection.metrics.windows import TRUE, Resampled, Window, resampled, windows_of
from hwds.evaluation.score import Score
from hwds.results.measure import short
from hwds.statistics.log_odds import sigmoid
from hwds.statistics.reference_distribution import Effect
from hwds.statistics.standard_errors import LEVEL

AMOUNTS = ("brier", "log_loss", "ece", "observed_to_expected", "expected_cost")
"""Metrics from 0 on."""

SIGNED = ("calibration_slope", "calibration_intercept", "gap_aucpr")
"""Metrics that may be of either sign; all others are shares, from 0 to 1."""


def scores_of(rows: pl.DataFrame, protocol: ScoredBy) -> list[Score]:
    """Return every metric of the test rows of one model: the mean over its windows, with an interval.

    Where labels were looked for with known chances (role `label_propensity`), those rows alone count against labels, each for
    as many as it stands for.

    The interval counts what rows of an entity share and what those of a day do, see `hwds.statistics.two_way`; where either
    are too few there is none, and its method says so. Metrics of probabilities are there where there are probabilities,
    those of money where there are amounts.

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
    drawn = resampled(windows, families, protocol.resamples)
    cutoff = rows["cutoff"][0] if len(windows) == 1 else None
    return [_score(name, drawn, windows, cutoff) for name in metrics if name in drawn.values]


def behind(rows: Mapping[str, pl.DataFrame], protocol: ScoredBy) -> Iterator[tuple[str, Score]]:
    """Yield by how much the headline of each model is behind that of the best, on the same rows and under the same draws.

    The interval is that of a comparison: of the logarithm of a ratio, where all are above 0.

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
    headlines = {label: each.values.get(metric, np.nan) for label, each in drawn.items()}
    scored = [label for label, value in headlines.items() if not np.isnan(value)]
    if len(scored) < 2:
        return
    better = next(measure for measure in detection_measures(protocol, "") if measure.name == metric).better
    best = (min if better == "low" else max)(scored, key=headlines.__getitem__)
    scale = Scale.of(np.array([headlines[label] for label in scored]), better)
    for label in (label for label in scored if label != best):
        effect = apart(metric, drawn[best], drawn[label], scale)
        least = min(headlines[label], headlines[best]) if scale.relative else None
        most = np.inf if short(base) in (*AMOUNTS, *SIGNED) else 1.0 - (least or 0.0)
        n = sum(len(side.places) for side in (window.sides[_side(metric)] for window in windows[label]))
        yield (
            label,
            replace(
                Score(f"behind_{metric}", "mean", abs(headlines[label] - headlines[best]), n=n),
                **_as_amount(effect, least, most),
            ),
        )


def apart(metric: str, first: Resampled, second: Resampled, scale: Scale) -> Effect:
    """Return how much better the first of two models is, under the same draws."""
    value = float(scale.between(np.array(first.values[metric]), np.array(second.values[metric])))
    ways = first.drawn(metric), second.drawn(metric)
    with np.errstate(divide="ignore", invalid="ignore"):
        samples = {way: scale.between(ways[0][way], ways[1][way]) for way in ways[0]}
    return effect_of(value, samples, first.clusters(metric))


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


def _score(name: str, drawn: Resampled, windows: Sequence[Window], cutoff: str | None) -> Score:
    """Return one score; its rows are those of the windows in which the metric is defined."""
    value = drawn.values[name]
    sides = [window.sides[_side(name)] for window in windows if _side(name) in window.sides]
    known, total = sum(len(side.places) for side in sides), sum(len(window.rows.day) for window in windows)
    if np.isnan(value):
        return Score(name, "mean", None, n=0, n_undefined=total, cutoff=cutoff)
    effect = effect_of(value, drawn.drawn(name), drawn.clusters(name))
    score = Score(name, "mean", value, n=known, n_undefined=total - known, cutoff=cutoff)
    return replace(score, **_ends(effect, short(name.removeprefix(TRUE))))


def _ends(effect: Effect, metric: str) -> dict[str, Any]:
    """Return the interval of a metric: of a share by its log odds, so that it stays between 0 and 1."""
    value, signed = effect.value, metric in SIGNED
    share = not signed and metric not in AMOUNTS
    if effect.stderr == 0 and share and value in {0.0, 1.0}:
        return {"stderr": None, "ci_method": "resamples that are all alike cannot tell"}
    ends: tuple[float | None, float | None] = effect.interval(LEVEL) or (None, None)
    if effect.stderr is not None and share and 0 < value < 1:
        odds, half = log(value / (1 - value)), effect.distribution.critical(LEVEL) * effect.stderr / (value * (1 - value))
        low, high = sigmoid(np.array([odds - half, odds + half])).tolist()
        ends = low, high
    elif ends[0] is not None and ends[1] is not None and not signed:
        ends = max(ends[0], 0.0), min(ends[1], 1.0 if share else np.inf)
    return {"stderr": effect.stderr, "ci_low": ends[0], "ci_high": ends[1], "ci_method": effect.method}


def _as_amount(effect: Effect, least: float | None, most: float) -> dict[str, Any]:
    """Return an effect as an amount: of a logarithm, where the smaller of two values is given, what it makes of that.

    Args:
        effect: A difference, or the logarithm of a ratio.
        least: The smaller value, where it is a ratio.
        most: How far apart two values can be: shares are no more than 1.
    """
    ends = effect.difference(LEVEL)
    turned = [None, None] if ends is None else [min(end if least is None else least * (exp(end) - 1), most) for end in ends]
    slope = 1.0 if least is None else least * exp(effect.value)
    stderr = None if effect.stderr is None else slope * effect.stderr
    return {"stderr": stderr, "ci_low": turned[0], "ci_high": turned[1], "ci_method": effect.method}


def _side(metric: str) -> str:
    return TRUE if metric.startswith(TRUE) else ""


def _shared(rows: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Return the rows that all models have scored: a fold that failed for one is left out for all."""
    cutoffs = [set(part["cutoff"]) for part in rows.values() if part.width]
    common = set.intersection(*cutoffs) if cutoffs else set()
    return {label: part.filter(pl.col("cutoff").is_in(common)) for label, part in rows.items() if part.width and common}
