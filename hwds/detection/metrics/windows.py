"""Test windows of scored rows: their metrics, and those of bootstrap resamples."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from hwds.core.seeds import stream
from hwds.detection.metrics.weighted import MetricSettings, Side, TestRows, Values
from hwds.detection.protocols.rows.codes import entities, numbered
from hwds.statistics.bootstrap import drawn

TRUE = "true_"
"""Before the name of a metric: against the truth, which only a simulator knows."""

BY_ENTITY, BY_DAY = "bootstrap by entity", "bootstrap by day"

Samples = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Window:
    """A test window against its labels, and against the truth where that is known."""

    rows: TestRows
    sides: dict[str, Side]

    def values(self, clusters: Clusters, counts: np.ndarray, wanted: Collection[str]) -> Values:
        """Return metrics of both sides by full name, with each cluster counted so many times; see `Side.values`."""
        times = counts[clusters.of_row]
        days = counts if clusters.are_days else np.ones(self.rows.days)
        metrics: Values = {}
        for before, side in self.sides.items():
            values = side.values(times, days, counts @ clusters.sums[before], wanted)
            metrics |= {f"{before}{name}": value for name, value in values.items()}
        return metrics

    def clusters(self, way: str, entities: int) -> Clusters:
        """Return its rows by the cluster (day or entity) that is resampled."""
        of_row, count = (self.rows.day, self.rows.days) if way == BY_DAY else (self.rows.entity, entities)
        return Clusters(of_row, way == BY_DAY, {before: side.sums(of_row, count) for before, side in self.sides.items()})


@dataclass(frozen=True, eq=False)
class Clusters:
    """The clusters (days or entities) of a window's rows: the one of each row, and each one's sums of the parts, by side."""

    of_row: np.ndarray
    are_days: bool
    sums: dict[str, np.ndarray]


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


def resampled(windows: Sequence[Window], wanted: Collection[str], resamples: int) -> tuple[Values, dict[str, Samples]]:
    """Return metrics of several windows, and of each resample by the way it was drawn.

    A metric is the mean over the windows in which it is defined. Entities are resampled over all windows together, days
    within each; the draws depend on the rows alone, so that rivals meet the same.

    Args:
        windows: Of one model.
        wanted: Families of metrics.
        resamples: Of each way.
    """
    entities = max((int(window.rows.entity.max(initial=-1)) + 1 for window in windows), default=0)
    metrics, samples = {}, {}
    for way in (BY_ENTITY, BY_DAY):
        clusters = [window.clusters(way, entities) for window in windows]
        if way == BY_ENTITY:
            metrics = _together(windows, clusters, [np.ones(entities)] * len(windows), wanted)
        elif not any(window.rows.days > 1 for window in windows):
            continue
        rng, each = stream(0, way), []
        for _ in range(resamples):
            counts = [drawn(window.rows.days, rng) for window in windows] if way == BY_DAY else [drawn(entities, rng)]
            each.append(_together(windows, clusters, counts * (len(windows) // len(counts)), wanted))
        samples[way] = {name: np.array([values[name] for values in each]) for name in metrics}
    return metrics, samples


def _together(
    windows: Sequence[Window], clusters: Sequence[Clusters], counts: Sequence[np.ndarray], wanted: Collection[str]
) -> Values:
    parts = zip(windows, clusters, counts, strict=True)
    each = [window.values(grouped, times, wanted) for window, grouped, times in parts]
    names = dict.fromkeys(name for values in each for name in values)
    metrics = {name: _mean([values.get(name, np.nan) for values in each]) for name in names}
    if f"{TRUE}aucpr" in metrics:
        metrics["gap_aucpr"] = metrics["aucpr"] - metrics[f"{TRUE}aucpr"]
    return metrics


def _mean(values: list[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else np.nan
