"""The scores of judged rows: each metric with its interval, against labels and, where it is known, against the truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from hwds.metrics.base import short
from hwds.metrics.resampling import Spread, widest
from hwds.protocols.detection_measures import detection_measures
from hwds.protocols.detection_sides import CHANCES, COSTS, RANKS, Asked, Values
from hwds.protocols.detection_windows import TRUE, Window, resampled, windows_of
from hwds.protocols.score import Score

OVERSTATED = ("ece", "card_precision")
"""Metrics that a resample overstates: a distance from what is expected, and a share of a few entities, some drawn twice."""


def scores_of(rows: pl.DataFrame, protocol: Any) -> list[Score]:
    """Every metric of the test rows of one model: the mean over its windows, with a bootstrap interval.

    Where labels were looked for with known chances (role `label_propensity`), those rows alone count against labels, each for
    as many as it stands for.

    Entities are resampled over all windows together, and days within each; the wider of the two intervals is quoted.
    Metrics of probabilities are there where there are probabilities, those of money where there are amounts.

    Args:
        rows: With the columns that `judging.judged` makes, and `flagged`.
        protocol: A detection protocol, for what it asks of its metrics.
    """
    if rows.is_empty():
        return []
    asked = Asked.by(protocol)
    windows = windows_of(rows, asked)
    told = _told(rows, asked)
    families = [family for family, names in asked.families.items() if set(names) & set(told)]
    found, samples = resampled(windows, families, protocol.resamples)
    cutoff = rows["cutoff"][0] if len(windows) == 1 else None
    return [_score(name, found, samples, windows, cutoff) for name in told if name in found]


def behind(rows: Mapping[str, pl.DataFrame], protocol: Any) -> Iterator[tuple[str, Score]]:
    """By how much the headline of each model is behind that of the best, on the same rows and under the same draws.

    Args:
        rows: The test rows of each model.
        protocol: A detection protocol.
    """
    asked = Asked.by(protocol)
    windows = {label: windows_of(part, asked) for label, part in _shared(rows).items()}
    metric = full_name(protocol)
    own = metric.removeprefix(TRUE)
    family = {(RANKS if metric == "gap_aucpr" else family) for family, names in asked.families.items() if own in names}
    drawn = {label: resampled(each, family, protocol.resamples) for label, each in windows.items()}
    found = {label: values.get(metric, np.nan) for label, (values, _) in drawn.items()}
    scored = [label for label, value in found.items() if not np.isnan(value)]
    if len(scored) < 2:
        return
    low = next(measure for measure in detection_measures(protocol, "") if measure.name == metric).better == "low"
    best = (min if low else max)(scored, key=found.__getitem__)
    for label in (label for label in scored if label != best):
        apart = {way: _apart(each[metric], drawn[label][1][way][metric], low) for way, each in drawn[best][1].items()}
        spread = widest(apart)
        value = (1 if low else -1) * (found[label] - found[best])
        n = sum(len(side.places) for side in (window.sides[_side(metric)] for window in windows[label]))
        yield label, replace(Score(f"behind_{metric}", "mean", value, n=n), **_ends(spread))


def full_name(protocol: Any) -> str:
    """The headline's name with its definition."""
    names = [measure.name for measure in detection_measures(protocol, "")]
    return next(name for name in names if short(name) == protocol.headline)


def _told(rows: pl.DataFrame, asked: Asked) -> list[str]:
    """The metrics that these rows allow, in the order in which they are told."""
    money = rows["amount"].null_count() < len(rows)
    likely = rows["probability"].null_count() < len(rows)
    there = {CHANCES: likely, COSTS: likely and money}
    own = [name for family, names in asked.families.items() if there.get(family, True) for name in names]
    own = [name for name in own if money or name != "caught_value"]
    if rows["truth"].null_count() == len(rows):
        return own
    return [*own, *(f"{TRUE}{name}" for name in own), "gap_aucpr"]


def _score(
    name: str, found: Values, samples: Mapping[str, Mapping[str, np.ndarray]], windows: Sequence[Window], cutoff: str | None
) -> Score:
    """One line; its rows are those of the windows in which the metric is defined."""
    value = found[name]
    sides = [window.sides[_side(name)] for window in windows if _side(name) in window.sides]
    known, asked = sum(len(side.places) for side in sides), sum(len(window.rows.day) for window in windows)
    if np.isnan(value):
        return Score(name, "mean", None, n=0, n_undefined=asked, cutoff=cutoff)
    spread = widest(
        {way: each[name] for way, each in samples.items()}, value if short(name.removeprefix(TRUE)) in OVERSTATED else None
    )
    return replace(Score(name, "mean", value, n=known, n_undefined=asked - known, cutoff=cutoff), **_ends(spread))


def _ends(spread: Spread | None) -> dict[str, Any]:
    if spread is None:
        return {}
    return {"stderr": spread.stderr, "ci_low": spread.low, "ci_high": spread.high, "ci_method": spread.method}


def _side(metric: str) -> str:
    return TRUE if metric.startswith(TRUE) else ""


def _apart(best: np.ndarray, other: np.ndarray, low: bool) -> np.ndarray:
    return other - best if low else best - other


def _shared(rows: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """The rows that all models were asked of: a fold that failed for one is left out for all."""
    cutoffs = [set(part["cutoff"]) for part in rows.values() if part.width]
    common = set.intersection(*cutoffs) if cutoffs else set()
    return {label: part.filter(pl.col("cutoff").is_in(common)) for label, part in rows.items() if part.width and common}
