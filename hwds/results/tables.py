"""The result tables that every protocol writes, and what all below reads."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

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

TRUTH = "truth"
"""The label of the simulator's own true conditional distribution."""


@dataclass(frozen=True, eq=False)
class Tables:
    """What a run computes."""

    scores: pl.DataFrame
    predictions: pl.DataFrame
    timings: pl.DataFrame

    def overall(self, metric: str, aggregate: str = "mean") -> pl.DataFrame:
        """The scores of one metric over all folds and steps, by its short name (`mase`), one row a model."""
        name = pl.col("metric").str.split("[").list.first()
        whole = pl.col("fold").is_null() & pl.col("step").is_null() & pl.col("segment").is_null()
        return self.scores.filter((name == metric) & (pl.col("aggregate") == aggregate) & whole)
