"""Test windows of judged rows: their metrics, and those of bootstrap resamples."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from hwds.metrics.resampling import drawn
from hwds.protocols.detection_sides import Asked, Rows, Side, Values
from hwds.protocols.row_codes import entities, numbered
from hwds.seeds import stream

TRUE = "true_"
"""Before the name of a metric: against the truth, which only a simulator knows."""

BY_ENTITY, BY_DAY = "bootstrap by entity", "bootstrap by day"

Samples = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Window:
    """A test window against its labels, and against the truth where that is known."""

    rows: Rows
    sides: dict[str, Side]

    def values(self, clusters: Clusters, counts: np.ndarray, wanted: Collection[str]) -> Values:
        """Metrics of both sides by full name, with each cluster counted so many times; see `Side.values`."""
        times = counts[clusters.of_row]
        days = counts if clusters.are_days else np.ones(self.rows.days)
        found: Values = {}
        for before, side in self.sides.items():
            values = side.values(times, days, counts @ clusters.sums[before], wanted)
            found |= {f"{before}{name}": value for name, value in values.items()}
        return found

    def clusters(self, way: str, entities: int) -> Clusters:
        """Its rows by what is resampled."""
        of_row, count = (self.rows.day, self.rows.days) if way == BY_DAY else (self.rows.entity, entities)
        return Clusters(of_row, way == BY_DAY, {before: side.sums(of_row, count) for before, side in self.sides.items()})


@dataclass(frozen=True, eq=False)
class Clusters:
    """The rows of a window by what is resampled: the cluster of each, and the sums of the parts over each, side by side."""

    of_row: np.ndarray
    are_days: bool
    sums: dict[str, np.ndarray]


def windows_of(rows: pl.DataFrame, asked: Asked) -> list[Window]:
    """The windows of test rows, in the order of their cutoffs.

    A row without an entity is one of its own. Against labels a row weighs as many as it stands for (`weight`), against the
    truth all rows weigh the same.
    """
    coded = rows.with_columns(pl.Series("__entity", numbered(entities(rows))))
    found = []
    for part in coded.partition_by("cutoff", maintain_order=True):
        window = Rows(part, part["__entity"].to_numpy(), numbered(part["day"].fill_null(0)))
        sides = {"": Side.of(window, "label", True, asked)}
        if part["truth"].null_count() < len(part):
            sides[TRUE] = Side.of(window, "truth", False, asked)
        found.append(Window(window, sides))
    return found


def resampled(windows: Sequence[Window], wanted: Collection[str], resamples: int) -> tuple[Values, dict[str, Samples]]:
    """Metrics of several windows, and of each resample by the way it was drawn.

    A metric is the mean over the windows in which it is defined. Entities are resampled over all windows together, days
    within each; the draws depend on the rows alone, so that rivals meet the same.

    Args:
        windows: Of one model.
        wanted: Families of metrics.
        resamples: Of each way.
    """
    entities = max((int(window.rows.entity.max(initial=-1)) + 1 for window in windows), default=0)
    found, samples = {}, {}
    for way in (BY_ENTITY, BY_DAY):
        clusters = [window.clusters(way, entities) for window in windows]
        if way == BY_ENTITY:
            found = _together(windows, clusters, [np.ones(entities)] * len(windows), wanted)
        elif not any(window.rows.days > 1 for window in windows):
            continue
        luck, each = stream(0, way), []
        for _ in range(resamples):
            counts = [drawn(window.rows.days, luck) for window in windows] if way == BY_DAY else [drawn(entities, luck)]
            each.append(_together(windows, clusters, counts * (len(windows) // len(counts)), wanted))
        samples[way] = {name: np.array([values[name] for values in each]) for name in found}
    return found, samples


def _together(
    windows: Sequence[Window], clusters: Sequence[Clusters], counts: Sequence[np.ndarray], wanted: Collection[str]
) -> Values:
    parts = zip(windows, clusters, counts, strict=True)
    each = [window.values(own, times, wanted) for window, own, times in parts]
    names = dict.fromkeys(name for values in each for name in values)
    found = {name: _mean([values.get(name, np.nan) for values in each]) for name in names}
    if f"{TRUE}aucpr" in found:
        found["gap_aucpr"] = found["aucpr"] - found[f"{TRUE}aucpr"]
    return found


def _mean(values: list[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else np.nan
