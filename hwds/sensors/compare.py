"""Evidence of sensor anomalies: scores by run, of the rows that all models scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from hwds.compare.answers import Answer, shared
from hwds.compare.evidence import UnitEvidence, long_table
from hwds.compare.hooks import TaskComparison
from hwds.compare.matrix import Matrix
from hwds.core.errors import ConfigError, nearest
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
        ConfigError: Another metric is asked for.
    """
    short = metric.partition("[")[0]
    if short not in COMPARED:
        raise ConfigError(f"--metric: sensor anomalies cannot be compared by '{metric}'{nearest(short, COMPARED)}")
    kept, left_out = shared(list(answers), [ENTITY, "row"])
    tables = []
    for dataset in dict.fromkeys(answer.dataset for answer in kept):
        own = [answer for answer in kept if answer.dataset == dataset]
        counts = [_by_run(answer.rows) for answer in own]
        runs = [name for name in counts[0] if not np.isnan(COMPARED[short](counts[0][name]))]
        values = [np.array([COMPARED[short](each[name]) for name in runs]) for each in counts]
        tables.append(long_table(own, pl.Series(runs, dtype=pl.String), values))
    return UnitEvidence(Matrix.of(pl.concat(tables)), "runs", resamples), left_out


def _by_run(rows: pl.DataFrame) -> dict[str, RunCounts]:
    parts = rows.sort(ENTITY, "row").partition_by(ENTITY, maintain_order=True)
    return {part[ENTITY][0]: run_counts(part, 0) for part in parts}


COMPARISON = TaskComparison(evidence=evidence, conditions="of the same rows of the same runs")
