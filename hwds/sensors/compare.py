"""Evidence of sensor anomalies: scores by run, of the rows that all models scored."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

import numpy as np
import polars as pl

from hwds.frames.runs import ENTITY
from hwds.sensors.metrics import RunCounts, run_counts
from hwds.stats.evidence import (
    TaskComparison,
    UnitEvidence,
    by_dataset,
    compared_metric,
    long_table,
)
from hwds.stats.sources import ModelRows, shared_rows

COMPARED = ("f1", "far", "mar")
"""The metrics by which models are compared, by their short names."""


def sensor_evidence(
    answers: Sequence[ModelRows], metric: str, resamples: int
) -> tuple[UnitEvidence, int]:
    """Return the scores of runs, and how many rows were left out because some model has none.

    Args:
        answers: The rows of every model, dataset and seed.
        metric: One of `COMPARED`.
        resamples: The number of resamples of each bootstrap.

    Raises:
        ConfigError: The metric is another one.
    """
    score = attrgetter(compared_metric(metric, COMPARED, "sensor anomalies"))
    kept, left_out = shared_rows(list(answers), [ENTITY, "row"])

    def table(own: list[ModelRows]) -> pl.DataFrame:
        counts = [_counts_by_run(answer.rows) for answer in own]
        runs = [name for name in counts[0] if not np.isnan(score(counts[0][name]))]
        return long_table(
            own,
            pl.Series(runs, dtype=pl.String),
            [np.array([score(each[name]) for name in runs]) for each in counts],
        )

    return UnitEvidence(by_dataset(kept, table), "runs", resamples), left_out


def _counts_by_run(rows: pl.DataFrame) -> dict[str, RunCounts]:
    parts = rows.sort(ENTITY, "row").partition_by(ENTITY, maintain_order=True)
    return {part[ENTITY][0]: run_counts(part, 0) for part in parts}


COMPARISON = TaskComparison(
    evidence=sensor_evidence, conditions="of the same rows of the same runs"
)
