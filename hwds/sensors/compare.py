"""Evidence of sensor anomalies: scores by run, of the rows that all models scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from hwds.compare.answers import Answer, shared
from hwds.compare.evidence import UnitEvidence, by_dataset, compared_metric, long_table
from hwds.compare.hooks import TaskComparison
from hwds.frames.run_checks import ENTITY
from hwds.sensors.metrics.episodes import RunCounts
from hwds.sensors.metrics.scores import f1_of, run_counts, share

COMPARED: dict[str, Callable[[RunCounts], float]] = {
    "f1": f1_of,
    "far": lambda counts: share(counts.false, counts.false + counts.right),
    "mar": lambda counts: share(counts.missed, counts.hits + counts.missed),
}
"""The metrics by which models are compared, by their short names."""


def evidence(answers: Sequence[Answer], metric: str, resamples: int) -> tuple[UnitEvidence, int]:
    """Return the scores of runs, and how many rows were left out because some model has none.

    Args:
        answers: Of every model, dataset and seed.
        metric: One of `COMPARED`.
        resamples: Of each bootstrap.

    Raises:
        ConfigError: The metric is another one.
    """
    score = COMPARED[compared_metric(metric, COMPARED, "sensor anomalies")]
    kept, left_out = shared(list(answers), [ENTITY, "row"])

    def table(own: list[Answer]) -> pl.DataFrame:
        counts = [_by_run(answer.rows) for answer in own]
        runs = [name for name in counts[0] if not np.isnan(score(counts[0][name]))]
        return long_table(
            own, pl.Series(runs, dtype=pl.String), [np.array([score(each[name]) for name in runs]) for each in counts]
        )

    return UnitEvidence(by_dataset(kept, table), "runs", resamples), left_out


def _by_run(rows: pl.DataFrame) -> dict[str, RunCounts]:
    parts = rows.sort(ENTITY, "row").partition_by(ENTITY, maintain_order=True)
    return {part[ENTITY][0]: run_counts(part, 0) for part in parts}


COMPARISON = TaskComparison(evidence=evidence, conditions="of the same rows of the same runs")
