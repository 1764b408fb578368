"""Test windows of scored rows: their metrics, and those of bootstrap resamples."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from hwds.core.seeds import stream
from hwds.detection.metrics.clusters import BY_DAY, Clusters, clusters_of
from hwds.detection.metrics.weighted import MetricSettings, Side, TestRows, Values
from hwds.detection.protocols.rows.codes import entities, numbered
from hwds.statistics.two_way import ClusterCounts

TRUE = "true_"
"""Before the name of a metric: against the truth, which only a simulator knows."""

OF_NEGATIVES = ("false_positive_rate",)
"""Metrics of rows of label 0, of which none are few."""

AT_ONCE = 2_000_000
"""Weights of rows that are held at once; more resamples than that allows come one part after the other."""


@dataclass(frozen=True, eq=False)
class Window:
    """A test window against its labels, and against the truth where that is known."""

    rows: TestRows
    sides: dict[str, Side]

    def values(self, weighting: WindowWeighting, wanted: Collection[str]) -> Values:
        """Return metrics of both sides by full name, shape (weightings,) each; see `Side.values`."""
        metrics: Values = {}
        for before, side in self.sides.items():
            values = side.values(weighting.times, weighting.days, weighting.sums[before], wanted)
            metrics |= {f"{before}{name}": value for name, value in values.items()}
        return metrics


@dataclass(frozen=True, eq=False)
class WindowWeighting:
    """The weights of each row and each day of a window, in several weightings.

    Attributes:
        times: Shape (weightings, rows).
        days: Shape (weightings, days).
        sums: Of each side the parts so weighted, shape (weightings, columns).
        share: The weight of the window in the mean over windows, shape (weightings,).
    """

    times: np.ndarray
    days: np.ndarray
    sums: dict[str, np.ndarray]
    share: np.ndarray


@dataclass(frozen=True, eq=False)
class WindowClusters:
    """The clusters of one way to resample in one window.

    Attributes:
        of_row: The number of each row's, over all windows.
        of_day: That of each day where days are drawn; None elsewhere.
        present: The numbers of those that are here.
        sums: The parts of their rows, by side, shape (clusters that are here, columns).
    """

    of_row: np.ndarray
    of_day: np.ndarray | None
    present: np.ndarray
    sums: dict[str, np.ndarray]

    @classmethod
    def of(cls, window: Window, clusters: Clusters, place: int) -> WindowClusters:
        """Return the clusters of a window, by its place."""
        of_row = clusters.of_rows[place]
        present, local = np.unique(of_row, return_inverse=True)
        sums = {before: side.sums(local, len(present)) for before, side in window.sides.items()}
        of_day = None
        if clusters.way == BY_DAY:
            of_day = np.zeros(window.rows.days, np.int64)
            of_day[window.rows.day] = of_row
        return cls(of_row, of_day, present, sums)

    def weighted(self, window: Window, counts: np.ndarray) -> WindowWeighting:
        """Return the weightings in which each cluster counts so many times, shape (weightings, clusters of all windows)."""
        here = counts[:, self.present]
        sums = {before: here @ each for before, each in self.sums.items()}
        even = np.ones((len(counts), window.rows.days))
        days = even if self.of_day is None else counts[:, self.of_day]
        share = even[:, 0] if self.of_day is None else here.mean(axis=1)
        return WindowWeighting(counts[:, self.of_row], days, sums, share)


@dataclass(frozen=True, eq=False)
class Resampled:
    """Metrics of one model, and of resamples of its rows.

    Attributes:
        values: Of all rows as they are.
        samples: By way of resampling and metric, shape (resamples,).
        counts: By side and way, the clusters with a row of label 1, or with any where there is none.
        any_counts: The same of the clusters with any row.
    """

    values: dict[str, float]
    samples: dict[str, Values]
    counts: dict[str, dict[str, ClusterCounts]]
    any_counts: dict[str, dict[str, ClusterCounts]]

    def drawn(self, metric: str) -> dict[str, np.ndarray]:
        """Return the resamples of one metric by way."""
        return {way: each[metric] for way, each in self.samples.items()}

    def clusters(self, metric: str) -> Mapping[str, ClusterCounts]:
        """Return the clusters that a metric is drawn by: all of them, where it is one of rows of label 0."""
        counts = self.any_counts if metric.removeprefix(TRUE) in OF_NEGATIVES else self.counts
        return counts[TRUE if metric.startswith(TRUE) and TRUE in counts else ""]


def windows_of(rows: pl.DataFrame, settings: MetricSettings) -> list[Window]:
    """Return the windows of test rows, in the order of their cutoffs.

    A row without an entity is one of its own. Against labels a row weighs as many as it stands for (`weight`), against the
    truth all rows weigh the same.
    """
    coded = rows.with_columns(pl.Series("__entity", numbered(entities(rows))))
    windows = []
    for part in coded.partition_by("cutoff", maintain_order=True):
        window = TestRows(part, part["__entity"].to_numpy(), numbered(part["day"].fill_null(0)))
        sides = {"": Side.of(window, "label", True, settings)}
        if part["truth"].null_count() < len(part):
            sides[TRUE] = Side.of(window, "truth", False, settings)
        windows.append(Window(window, sides))
    return windows


def resampled(windows: Sequence[Window], wanted: Collection[str], resamples: int) -> Resampled:
    """Return metrics of several windows, and of each resample by the way it was drawn.

    A metric is the mean over the windows in which it is defined. Entities, days, and entities of a day are resampled; the
    draws depend on the rows alone, so that rivals meet the same.

    Args:
        windows: Of one model.
        wanted: Families of metrics.
        resamples: Of each way.
    """
    ways = clusters_of([window.rows for window in windows])
    counts: dict[str, dict[str, ClusterCounts]] = {}
    any_counts: dict[str, dict[str, ClusterCounts]] = {}
    samples: dict[str, Values] = {}
    values: Values = {}
    for clusters in ways:
        each = [WindowClusters.of(window, clusters, place) for place, window in enumerate(windows)]
        if not values:
            values = _together(windows, each, np.ones((1, clusters.number)), wanted)
        for side, weights in _weights(windows, each, clusters.number).items():
            positive = weights[:, 1] if weights[:, 1].any() else weights[:, 0]
            counts.setdefault(side, {})[clusters.way] = clusters.counts(positive)
            any_counts.setdefault(side, {})[clusters.way] = clusters.counts(weights[:, 0])
        same = next((way for way in samples if clusters.same_as(way, ways)), None)
        parts = [] if same else [_together(windows, each, drawn, wanted) for drawn in _draws(clusters, windows, resamples)]
        samples[clusters.way] = (
            samples[same] if same else {name: np.concatenate([part[name] for part in parts]) for name in values}
        )
    return Resampled({name: float(value[0]) for name, value in values.items()}, samples, counts, any_counts)


def _draws(clusters: Clusters, windows: Sequence[Window], resamples: int) -> Iterator[np.ndarray]:
    """Yield how often each cluster is drawn, shape (some resamples, clusters)."""
    rng, rows = stream(0, f"bootstrap by {clusters.way}"), sum(len(window.rows.day) for window in windows)
    at_once = max(AT_ONCE // max(clusters.number, rows, 1), 1)
    for begin in range(0, resamples, at_once):
        yield np.stack([clusters.draw(rng) for _ in range(min(at_once, resamples - begin))])


def _weights(windows: Sequence[Window], each: Sequence[WindowClusters], number: int) -> dict[str, np.ndarray]:
    """Return by side the weight of the rows of each cluster, and of those of label 1, shape (clusters, 2)."""
    weights: dict[str, np.ndarray] = {}
    for window, clusters in zip(windows, each, strict=True):
        for side in window.sides:
            weights.setdefault(side, np.zeros((number, 2)))[clusters.present] += clusters.sums[side][:, :2]
    return weights


def _together(
    windows: Sequence[Window], clusters: Sequence[WindowClusters], counts: np.ndarray, wanted: Collection[str]
) -> Values:
    """Return each metric's mean over windows in each weighting, shape (weightings,)."""
    weightings = [each.weighted(window, counts) for window, each in zip(windows, clusters, strict=True)]
    by_window = [window.values(each, wanted) for window, each in zip(windows, weightings, strict=True)]
    shares = np.stack([each.share for each in weightings]) if weightings else np.zeros((0, len(counts)))
    names = dict.fromkeys(name for values in by_window for name in values)
    unknown = np.full(len(counts), np.nan)
    metrics = {name: _mean(np.stack([values.get(name, unknown) for values in by_window]), shares) for name in names}
    if f"{TRUE}aucpr" in metrics:
        metrics["gap_aucpr"] = metrics["aucpr"] - metrics[f"{TRUE}aucpr"]
    return metrics


def _mean(values: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return the mean over windows in which a metric is defined; NaN where it is in none."""
    known = np.where(np.isnan(values), 0.0, shares)
    total = known.sum(axis=0)
    return np.divide((known * np.nan_to_num(values)).sum(axis=0), total, out=np.full(len(total), np.nan), where=total > 0)
