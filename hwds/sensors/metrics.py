"""Metrics of sensor anomalies: episodes of alarms, and scores with intervals over runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl

from hwds.core.seeds import stream
from hwds.evaluation.protocol import Score
from hwds.frames.runs import CYCLE, ENTITY
from hwds.results.tables import Measure
from hwds.stats.effects import shared_resamples, unit_effects
from hwds.stats.estimates import Estimate, difference_estimate, effect_estimate, pooled_ratio

# Anomalies and episodes of alarms: stretches of rows of one run.


def flagged_stretches(flags: np.ndarray, merge: int = 0) -> np.ndarray:
    """Return the first row and the row after the last of each stretch of flags, shape (stretches,
    2).

    Args:
        flags: Of the rows of one run, shape (rows,).
        merge: Rows without a flag between two that are still one stretch.
    """
    edges = np.diff(np.concatenate([[0], flags.astype(np.int8), [0]]))
    begins, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    if not len(begins):
        return np.zeros((0, 2), np.int64)
    apart = begins[1:] - ends[:-1] > merge
    return np.column_stack(
        [begins[np.concatenate([[True], apart])], ends[np.concatenate([apart, [True]])]]
    )


@dataclass(frozen=True)
class RunCounts:
    """Counts of the rows and the anomalies of one run.

    Attributes:
        hits: Anomalous rows that were called so.
        missed: Anomalous rows that were not.
        false: Normal rows that were called anomalous.
        right: Normal rows that were not.
        events: Anomalies.
        seen: Those with an alarm in them.
        fresh: Those in which an episode of alarms begins.
        delays: From the beginning of each that was seen to the first alarm in it, in cycles.
        episodes: Of alarms.
        met: Those that meet an anomaly.
    """

    hits: int
    missed: int
    false: int
    right: int
    events: int
    seen: int
    fresh: int
    delays: tuple[float, ...]
    episodes: int
    met: int


def count_rows(label: np.ndarray, alarm: np.ndarray, cycle: np.ndarray, merge: int) -> RunCounts:
    """Return the counts of one run; rows whose label is not known count for nothing.

    Args:
        label: 1, 0 or NaN, shape (rows,).
        alarm: Which rows are called anomalous, shape (rows,).
        cycle: The age at each row, shape (rows,).
        merge: Rows without an alarm between two that still are one episode.
    """
    known = ~np.isnan(label)
    label, alarm, cycle = label[known], alarm[known], cycle[known]
    ill, well = label == 1, label == 0
    events, episodes = flagged_stretches(ill), flagged_stretches(alarm, merge)
    firsts = [np.flatnonzero(alarm[a:b]) for a, b in events.tolist()]
    delays = tuple(
        float(cycle[a + at[0]] - cycle[a])
        for (a, _), at in zip(events.tolist(), firsts, strict=True)
        if len(at)
    )
    fresh = sum(
        bool(((episodes[:, 0] >= a) & (episodes[:, 0] < b)).any()) for a, b in events.tolist()
    )
    met = sum(bool(ill[a:b].any()) for a, b in episodes.tolist())
    return RunCounts(
        int((alarm & ill).sum()),
        int((~alarm & ill).sum()),
        int((alarm & well).sum()),
        int((~alarm & well).sum()),
        len(events),
        len(delays),
        fresh,
        delays,
        len(episodes),
        met,
    )


# The metrics of sensor anomalies, and what each of them means.


def sensor_measures(unit: str = "cycles") -> tuple[Measure, ...]:
    """Return the metrics.

    Args:
        unit: What cycles count.
    """

    def measure(
        name: str,
        meaning: str,
        better: Literal["low", "high", "none"],
        beside: Literal["no", "page", "always"] = "always",
        units: str = "runs",
        measured_in: str = "",
    ) -> Measure:
        return Measure(
            name,
            meaning=meaning,
            better=better,
            units=units,
            beside=beside,
            measured_in=measured_in,
        )

    return (
        measure("f1", "F1 of rows, the mean over runs; flagging no row has 0", "high"),
        measure("f1_everything", "F1 of flagging every row, the mean over runs", "none"),
        measure("f1_gain", "F1 less that of flagging every row, the mean over runs", "high"),
        measure(
            "far",
            "false alarm rate: the share of normal rows that are called anomalous, the mean over "
            "runs",
            "low",
        ),
        measure(
            "mar",
            "missed alarm rate: the share of anomalous rows that are not, the mean over runs",
            "low",
        ),
        measure(
            "f1_pooled",
            "F1 of the rows of all runs together, as the SKAB board has it",
            "high",
            "page",
        ),
        measure("far_pooled", "false alarm rate of the rows of all runs together", "low", "page"),
        measure("mar_pooled", "missed alarm rate of the rows of all runs together", "low", "page"),
        measure(
            "event_recall",
            "share of anomalies in which an alarm is on; flagging every row has 1",
            "high",
            units="anomalies",
        ),
        measure(
            "event_precision",
            "share of episodes of alarms that meet an anomaly",
            "high",
            units="episodes",
        ),
        measure(
            "fresh_recall",
            "share of anomalies in which an episode of alarms begins",
            "high",
            "page",
            "anomalies",
        ),
        measure(
            "delay",
            "from the beginning of an anomaly to the first alarm in it",
            "low",
            "always",
            "anomalies",
            unit,
        ),
        measure(
            "episodes",
            "episodes of alarms that meet no anomaly, in 1,000 normal rows",
            "low",
            "page",
            "rows",
        ),
        measure(
            "average_precision",
            "average precision of scores, whatever the limit, the mean over runs",
            "high",
            "page",
        ),
    )


# Scores of rows that are called anomalous, with intervals over runs.


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
    precision = np.array(
        [run_average_precision(_label_array(run), run["score"].to_numpy()) for run in runs]
    )
    return [
        *_mean_scores(counts),
        *_pooled_scores(counts),
        Score.of("average_precision", "mean", mean_over_runs(precision)),
    ]


def run_counts(run: pl.DataFrame, merge: int) -> RunCounts:
    """Return the counts of the rows of one run."""
    return count_rows(_label_array(run), run["alarm"].to_numpy(), run[CYCLE].to_numpy(), merge)


def f1_of(counts: RunCounts) -> float:
    """Return F1 of the rows of a run, NaN where it has no anomalous row: there is nothing to
    find.
    """
    bottom = 2 * counts.hits + counts.false + counts.missed
    return 2 * counts.hits / bottom if counts.hits + counts.missed else np.nan


def f1_of_everything(counts: RunCounts) -> float:
    """Return F1 of calling every row of a run anomalous, NaN where none is."""
    ill, well = counts.hits + counts.missed, counts.false + counts.right
    return 2 * ill / (2 * ill + well) if ill else np.nan


def ratio_or_nan(top: int, bottom: int) -> float:
    """Return a ratio of counts, NaN where there is nothing."""
    return top / bottom if bottom else np.nan


def _label_array(run: pl.DataFrame) -> np.ndarray:
    return run["label"].cast(pl.Float64).to_numpy()


def _mean_scores(counts: list[RunCounts]) -> Iterator[Score]:
    own = np.array([f1_of(each) for each in counts])
    all_ = np.array([f1_of_everything(each) for each in counts])
    yield Score.of("f1", "mean", mean_over_runs(own))
    yield Score.of("f1_everything", "mean", mean_over_runs(all_))
    yield Score.of("f1_gain", "mean", difference_estimate(mean_over_runs(own - all_)))
    yield Score.of(
        "far",
        "mean",
        mean_over_runs(
            np.array([ratio_or_nan(each.false, each.false + each.right) for each in counts])
        ),
    )
    yield Score.of(
        "mar",
        "mean",
        mean_over_runs(
            np.array([ratio_or_nan(each.missed, each.hits + each.missed) for each in counts])
        ),
    )


def _pooled_scores(counts: list[RunCounts]) -> Iterator[Score]:
    def of(name: str, top: list[float], bottom: list[float]) -> Score:
        estimate = pooled_ratio(np.array(top, float), np.array(bottom, float))
        return Score.of(name, "pooled", _with_count(estimate, int(sum(bottom))))

    yield of(
        "f1_pooled",
        [2.0 * c.hits for c in counts],
        [2.0 * c.hits + c.false + c.missed for c in counts],
    )
    yield of("far_pooled", [c.false for c in counts], [c.false + c.right for c in counts])
    yield of("mar_pooled", [c.missed for c in counts], [c.hits + c.missed for c in counts])
    yield of("event_recall", [c.seen for c in counts], [c.events for c in counts])
    yield of("event_precision", [c.met for c in counts], [c.episodes for c in counts])
    yield of("fresh_recall", [c.fresh for c in counts], [c.events for c in counts])
    yield of("delay", [sum(c.delays) for c in counts], [c.seen for c in counts])
    yield of(
        "episodes",
        [1000.0 * (c.episodes - c.met) for c in counts],
        [c.false + c.right for c in counts],
    )


def _with_count(estimate: Estimate, n: int) -> Estimate:
    """Return an estimate of so many parts, with Student's interval over runs.

    A share without variation has none.
    """
    if not estimate.stderr:
        return replace(
            estimate, stderr=None, low=None, high=None, method="linearised over runs", n=n
        )
    return replace(estimate, method="t of the linearised over runs", n=n)


def mean_over_runs(values: np.ndarray) -> Estimate:
    """Return the mean over runs: Student's t where they are few, a studentised bootstrap over them
    where there are enough.
    """
    known = values[~np.isnan(values)]
    undefined = len(values) - len(known)
    if len(known) < 2:
        return Estimate(
            float(known[0]) if len(known) else None,
            None,
            None,
            None,
            "t over runs",
            len(known),
            undefined,
        )
    strata = [np.arange(len(known))]
    counts = shared_resamples(strata, RESAMPLES, stream(0, "runs", len(known)))
    estimate = effect_estimate(unit_effects(known[:, None], strata, counts)[0], undefined)
    return replace(estimate, method=estimate.method.replace("units", "runs"))


RESAMPLES = 1000
"""The resamples of the bootstrap over runs."""


def run_average_precision(label: np.ndarray, score: np.ndarray) -> float:
    """Return the area under the steps of precision against recall, NaN where a run has no anomalous
    row; ties together.
    """
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
