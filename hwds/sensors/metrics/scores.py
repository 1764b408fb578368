"""Scores of rows that are called anomalous, with intervals over runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import polars as pl

from hwds.core.seeds import stream
from hwds.evaluation.score import Score
from hwds.frames.run_checks import CYCLE, ENTITY
from hwds.sensors.metrics.episodes import RunCounts, counts_of
from hwds.statistics.aggregate import Estimate, of_difference, of_effect, pooled
from hwds.statistics.standard_errors import drawn, unit_effects


def sensor_scores(rows: pl.DataFrame, merge: int) -> list[Score]:
    """Return the scores of rows.

    Args:
        rows: `entity`, `cycle`, `label`, `score`, `alarm`; those of a run in their order.
        merge: Rows without an alarm between two that still are one episode.
    """
    if rows.is_empty():
        return []
    runs = rows.partition_by(ENTITY, maintain_order=True)
    counts = [run_counts(run, merge) for run in runs]
    precision = np.array([average_precision(_label(run), run["score"].to_numpy()) for run in runs])
    return [*_means(counts), *_ratios(counts), Score.of("average_precision", "mean", mean_over_runs(precision))]


def run_counts(run: pl.DataFrame, merge: int) -> RunCounts:
    """Return the counts of the rows of one run."""
    return counts_of(_label(run), run["alarm"].to_numpy(), run[CYCLE].to_numpy(), merge)


def f1_of(counts: RunCounts) -> float:
    """Return F1 of the rows of a run, NaN where it has no anomalous row: there is nothing to find."""
    bottom = 2 * counts.hits + counts.false + counts.missed
    return 2 * counts.hits / bottom if counts.hits + counts.missed else np.nan


def f1_of_everything(counts: RunCounts) -> float:
    """Return F1 of calling every row of a run anomalous, NaN where none is."""
    ill, well = counts.hits + counts.missed, counts.false + counts.right
    return 2 * ill / (2 * ill + well) if ill else np.nan


def share(top: int, bottom: int) -> float:
    """Return a ratio of counts, NaN where there is nothing."""
    return top / bottom if bottom else np.nan


def _label(run: pl.DataFrame) -> np.ndarray:
    return run["label"].cast(pl.Float64).to_numpy()


def _means(counts: list[RunCounts]) -> Iterator[Score]:
    own, all_ = np.array([f1_of(each) for each in counts]), np.array([f1_of_everything(each) for each in counts])
    yield Score.of("f1", "mean", mean_over_runs(own))
    yield Score.of("f1_everything", "mean", mean_over_runs(all_))
    yield Score.of("f1_gain", "mean", of_difference(mean_over_runs(own - all_)))
    yield Score.of("far", "mean", mean_over_runs(np.array([share(each.false, each.false + each.right) for each in counts])))
    yield Score.of("mar", "mean", mean_over_runs(np.array([share(each.missed, each.hits + each.missed) for each in counts])))


def _ratios(counts: list[RunCounts]) -> Iterator[Score]:
    def of(name: str, top: list[float], bottom: list[float]) -> Score:
        estimate = pooled(np.array(top, float), np.array(bottom, float))
        return Score.of(name, "pooled", _counted(estimate, int(sum(bottom))))

    yield of("f1_pooled", [2.0 * c.hits for c in counts], [2.0 * c.hits + c.false + c.missed for c in counts])
    yield of("far_pooled", [c.false for c in counts], [c.false + c.right for c in counts])
    yield of("mar_pooled", [c.missed for c in counts], [c.hits + c.missed for c in counts])
    yield of("event_recall", [c.seen for c in counts], [c.events for c in counts])
    yield of("event_precision", [c.met for c in counts], [c.episodes for c in counts])
    yield of("fresh_recall", [c.fresh for c in counts], [c.events for c in counts])
    yield of("delay", [sum(c.delays) for c in counts], [c.seen for c in counts])
    yield of("episodes", [1000.0 * (c.episodes - c.met) for c in counts], [c.false + c.right for c in counts])


def _counted(estimate: Estimate, n: int) -> Estimate:
    """Return an estimate of so many parts, with Student's interval over runs; a share without variation has none."""
    if not estimate.stderr:
        return replace(estimate, stderr=None, low=None, high=None, method="linearised over runs", n=n)
    return replace(estimate, method="t of the linearised over runs", n=n)


def mean_over_runs(values: np.ndarray) -> Estimate:
    """Return the mean over runs: Student's t where they are few, a studentised bootstrap over them where there are enough."""
    known = values[~np.isnan(values)]
    undefined = len(values) - len(known)
    if len(known) < 2:
        return Estimate(float(known[0]) if len(known) else None, None, None, None, "t over runs", len(known), undefined)
    strata = [np.arange(len(known))]
    counts = drawn(strata, RESAMPLES, stream(0, "runs", len(known)))
    estimate = of_effect(unit_effects(known[:, None], strata, counts)[0], undefined)
    return replace(estimate, method=estimate.method.replace("units", "runs"))


RESAMPLES = 1000
"""The resamples of the bootstrap over runs."""


def average_precision(label: np.ndarray, score: np.ndarray) -> float:
    """Return the area under the steps of precision against recall, NaN where a run has no anomalous row; ties together."""
    known = ~np.isnan(label)
    label, score = label[known], score[known]
    total = label.sum()
    if not total:
        return float("nan")
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(label[order])
    last = np.concatenate([np.diff(score[order]) != 0, [True]])
    precision, recall = (hits / np.arange(1, len(label) + 1))[last], (hits / total)[last]
    return float((np.diff(recall, prepend=0.0) * precision).sum())
