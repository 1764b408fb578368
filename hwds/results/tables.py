"""The result tables that every protocol writes, and what all below reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import polars as pl

from hwds.metrics.base import DEFINITION, Measure

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
"""The columns of the timings table: what each cell took when it was computed."""

METRICS = {
    **dict.fromkeys(
        ("metric", "meaning", "better", "units", "beside", "reference", "called", "subject", "measured_in"), pl.String
    ),
    "confidence": pl.Float64,
}
"""The columns of the metrics table: what each metric says of itself."""

TRUTH = "truth"
"""The label of the simulator's own true conditional distribution."""


def metrics_table(measures: Iterable[Measure]) -> pl.DataFrame:
    """What metrics say of themselves, one row each."""
    columns = list(METRICS)[1:]
    rows = [(measure.name, *(getattr(measure, column) for column in columns)) for measure in measures]
    return pl.DataFrame(rows, schema=METRICS, orient="row")


@dataclass(frozen=True, eq=False)
class Tables:
    """What a run computes."""

    scores: pl.DataFrame
    predictions: pl.DataFrame
    timings: pl.DataFrame
    metrics: pl.DataFrame = field(default_factory=lambda: metrics_table(()))

    def measure(self, name: str) -> Measure:
        """What a metric says of itself, by its full or its short name; only its name where it says nothing."""
        known = [Measure(row.pop("metric"), **row) for row in self.metrics.to_dicts()]
        found = next((entry for entry in known if entry.name == name), None)
        return found or next((entry for entry in known if entry.short == name), Measure(name))

    def overall(self, metric: str, aggregate: str = "mean") -> pl.DataFrame:
        """The scores of one metric over all folds and steps, by its short name (`mase`), one row a model."""
        name = pl.col("metric").str.replace(DEFINITION, "")
        whole = pl.col("fold").is_null() & pl.col("step").is_null() & pl.col("segment").is_null()
        return self.scores.filter((name == metric) & (pl.col("aggregate") == aggregate) & whole)
