"""Evidence of regressions: the squared errors of the rows that all models answered."""

from __future__ import annotations

from collections.abc import Sequence

from hwds.stats.contrasts import Matrix
from hwds.stats.evidence import TaskComparison, UnitEvidence, long_table
from hwds.stats.sources import ModelRows, shared_rows
from regression.metrics.error import squared_errors


def evidence(answers: Sequence[ModelRows], metric: str, resamples: int) -> tuple[UnitEvidence, int]:
    """Return the errors of shared rows, and how many rows were left out."""
    kept, left_out = shared_rows(answers, ["row_id"])
    table = long_table(
        kept, kept[0].rows["row_id"], [squared_errors(answer.rows) for answer in kept]
    )
    return UnitEvidence(Matrix.of(table), "predicted rows", resamples), left_out


COMPARISON = TaskComparison(evidence=evidence, conditions="at the same first rows")
