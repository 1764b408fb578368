"""The result tables that every protocol writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from hwds.results.measure import DEFINITION, Measure

SCORES = {
    "experiment": pl.String,
    "dataset": pl.String,
    "task": pl.String,
    "model": pl.String,
    "fold": pl.Int32,
    "cutoff": pl.String,
    "segment_by": pl.String,
    "segment": pl.String,
    "step": pl.Int32,
    "seed": pl.Int64,
    "metric": pl.String,
    "aggregate": pl.String,
    "value": pl.Float64,
    "stderr": pl.Float64,
    "ci_low": pl.Float64,
    "ci_high": pl.Float64,
    "ci_method": pl.String,
    "p_value": pl.Float64,
    "n": pl.Int64,
    "n_undefined": pl.Int64,
    "n_failed": pl.Int64,
    "n_fallback": pl.Int64,
    "status": pl.String,
}
"""The columns of the scores table; a null fold means all folds together, any other null that it does not apply."""

TIMINGS = {
    "model": pl.String,
    "fold": pl.Int32,
    "start": pl.Int64,
    "stop": pl.Int64,
    "seconds": pl.Float64,
    "cached": pl.Boolean,
    "status": pl.String,
}
"""The columns of the timings table: the seconds of each cell when it was computed."""

METRICS = {
    **dict.fromkeys(
        ("metric", "meaning", "better", "units", "beside", "reference", "called", "subject", "measured_in"), pl.String
    ),
    "confidence": pl.Float64,
}
"""The columns of the metrics table: the fields of each metric's `Measure`."""


def place_of_total(aggregates: Sequence[str | None]) -> int | None:
    """Return the index of the total to show: the mean, else the pooled one, else the first; None where there is none."""
    wanted = [name for name in ("mean", "pooled") if name in aggregates]
    return aggregates.index(wanted[0]) if wanted else (0 if aggregates else None)


TRUTH = "truth"
"""The label of the simulator's own true conditional distribution."""


def metrics_table(measures: Iterable[Measure]) -> pl.DataFrame:
    """Return the metrics table of some measures, one row each."""
    columns = list(METRICS)[1:]
    rows = [(measure.name, *(getattr(measure, column) for column in columns)) for measure in measures]
    return pl.DataFrame(rows, schema=METRICS, orient="row")


@dataclass(frozen=True, eq=False)
class Tables:
    """The result tables of a run."""

    scores: pl.DataFrame
    predictions: pl.DataFrame
    timings: pl.DataFrame
    metrics: pl.DataFrame = field(default_factory=lambda: metrics_table(()))

    def measure(self, name: str) -> Measure:
        """Return the measure of a metric by its full or its short name; one with nothing but the name where there is none."""
        known = [Measure(row.pop("metric"), **row) for row in self.metrics.to_dicts()]
        rows = next((entry for entry in known if entry.name == name), None)
        return rows or next((entry for entry in known if entry.short == name), Measure(name))

    def headline(self, metric: str, model: str) -> dict[str, Any]:
        """Return the row of a model's total of a metric, by its short or full name; empty where there is none."""
        name = pl.col("metric") if "[" in metric else pl.col("metric").str.replace(DEFINITION, "")
        whole = pl.all_horizontal(pl.col("fold", "step", "segment").is_null())
        rows = self.scores.filter((name == metric) & (pl.col("model") == model) & whole)
        place = place_of_total(rows["aggregate"].to_list())
        return {} if place is None else rows.row(place, named=True)

    def overall(self, metric: str, aggregate: str = "mean") -> pl.DataFrame:
        """Return the scores of one metric over all folds and steps, by its short name (`mase`), one row a model."""
        name = pl.col("metric").str.replace(DEFINITION, "")
        whole = pl.col("fold").is_null() & pl.col("step").is_null() & pl.col("segment").is_null()
        return self.scores.filter((name == metric) & (pl.col("aggregate") == aggregate) & whole)
