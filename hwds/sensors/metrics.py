"""Metrics of sensor anomalies: episodes of alarms, and scores with intervals over runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame

from hwds.core.seeds import stream
from hwds.core.settings import read_beside
from hwds.evaluation.protocol import Score
from hwds.frames.runs import CYCLE, ENTITY
from hwds.results.tables import Measure
from hwds.stats.effects import shared_resamples, unit_effects
from hwds.stats.estimates import Estimate, difference_estimate, effect_estimate, pooled_ratio

# Anomalies and episodes of alarms: stretches of rows of one run.


def flagged_stretches(flags: ndarray, merge: int = 0) -> ndarray:
    """Return the first row and the row after the last of each stretch of flags, shape (stretches,
    2).

    Args:
        flags: The flags of the rows of one run, shape (rows,).
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
        events: The number of anomalies.
        seen: The number of anomalies with an alarm in them.
        fresh: The number of anomalies in which an episode of alarms begins.
        delays: The cycles from the beginning of each anomaly that was seen to the first alarm in
            it.
        episodes: The number of episodes of alarms.
        met: The number of episodes that meet an anomaly.
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

    @property
    def ill(self) -> int:
        """The number of anomalous rows."""
        return self.hits + self.missed

    @property
    def well(self) -> int:
        """The number of normal rows."""
        return self.false + self.right

    @property
    def f1(self) -> float:
        """F1 of the rows; if none is anomalous, the share of rows that are not called so."""
        if not self.ill:
            return self.right / self.well if self.well else np.nan
        return 2 * self.hits / (self.ill + self.hits + self.false)

    @property
    def f1_everything(self) -> float:
        """The same of calling every row anomalous: 0 if none is."""
        rows = self.ill + self.well
        return 2 * self.ill / (self.ill + rows) if rows else np.nan

    @property
    def f1_nothing(self) -> float:
        """The same of calling no row anomalous: 1 if none is."""
        return float(not self.ill) if self.ill + self.well else np.nan

    @property
    def far(self) -> float:
        """The share of normal rows that are called anomalous, NaN where there are none."""
        return self.false / self.well if self.well else np.nan

    @property
    def mar(self) -> float:
        """The share of anomalous rows that are not called so, NaN where there are none."""
        return self.missed / self.ill if self.ill else np.nan


def count_rows(label: ndarray, alarm: ndarray, cycle: ndarray, merge: int) -> RunCounts:
    """Return the counts of one run; rows whose label is not known count for nothing.

    Args:
        label: 1, 0 or NaN, shape (rows,).
        alarm: A flag for each row that is called anomalous, shape (rows,).
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
        unit: The unit of cycles.
    """
    return Measure.filled(read_beside(__file__, "metrics.yaml"), unit=unit)


# Scores of rows that are called anomalous, with intervals over runs.


def sensor_scores(rows: DataFrame, merge: int) -> list[Score]:
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


def run_counts(run: DataFrame, merge: int) -> RunCounts:
    """Return the counts of the rows of one run."""
    return count_rows(_label_array(run), run["alarm"].to_numpy(), run[CYCLE].to_numpy(), merge)


def _label_array(run: DataFrame) -> ndarray:
    return run["label"].cast(pl.Float64).to_numpy()


def _mean_scores(counts: list[RunCounts]) -> Iterator[Score]:
    f1, everything, nothing, far, mar = (
        np.array([getattr(each, name) for each in counts])
        for name in ("f1", "f1_everything", "f1_nothing", "far", "mar")
    )
    yield Score.of("f1", "mean", mean_over_runs(f1))
    yield Score.of("f1_everything", "mean", mean_over_runs(everything))
    yield Score.of("f1_nothing", "mean", mean_over_runs(nothing))
    yield Score.of("f1_gain", "mean", difference_estimate(mean_over_runs(f1 - everything)))
    yield Score.of("far", "mean", mean_over_runs(far))
    yield Score.of("mar", "mean", mean_over_runs(mar))


POOLED: dict[str, Callable[[RunCounts], tuple[float, float]]] = {
    "f1_pooled": lambda run: (2.0 * run.hits, run.ill + run.hits + run.false),
    "far_pooled": lambda run: (run.false, run.well),
    "mar_pooled": lambda run: (run.missed, run.ill),
    "event_recall": lambda run: (run.seen, run.events),
    "event_precision": lambda run: (run.met, run.episodes),
    "fresh_recall": lambda run: (run.fresh, run.events),
    "delay": lambda run: (sum(run.delays), run.seen),
    "episodes": lambda run: (1000.0 * (run.episodes - run.met), run.well),
}
"""The parts of each run, whose ratio over all runs is the metric."""


def _pooled_scores(counts: list[RunCounts]) -> Iterator[Score]:
    for name, parts in POOLED.items():
        top, bottom = np.array([parts(run) for run in counts], float).T
        estimate = _with_count(pooled_ratio(top, bottom), int(bottom.sum()))
        yield Score.of(name, "pooled", estimate)


def _with_count(estimate: Estimate, n: int) -> Estimate:
    """Return an estimate of so many parts, with Student's interval over runs.

    A share without variation has none.
    """
    if not estimate.stderr:
        estimate = replace(estimate, stderr=None, low=None, high=None)
    method = f"{'t of the ' if estimate.stderr else ''}linearised over runs"
    return replace(estimate, method=method, n=n)


def mean_over_runs(values: ndarray) -> Estimate:
    """Return the mean over runs: Student's t where they are few, a studentised bootstrap over them
    where there are enough.
    """
    known = values[~np.isnan(values)]
    undefined = len(values) - len(known)
    if len(known) < 2:
        value = float(known[0]) if len(known) else None
        return Estimate(value, None, None, None, "t over runs", len(known), undefined)
    strata = [np.arange(len(known))]
    counts = shared_resamples(strata, RESAMPLES, stream(0, "runs", len(known)))
    estimate = effect_estimate(unit_effects(known[:, None], strata, counts)[0], undefined)
    return replace(estimate, method=estimate.method.replace("units", "runs"))


RESAMPLES = 1000
"""The resamples of the bootstrap over runs."""


def run_average_precision(label: ndarray, score: ndarray) -> float:
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
