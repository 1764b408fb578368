"""Evidence of regressions: the squared errors of the rows that all models answered."""

from __future__ import annotations

from collections.abc import Sequence

from hwds.compare.answers import Answer, shared
from hwds.compare.evidence import UnitEvidence, long_table
from hwds.compare.hooks import TaskComparison
from hwds.compare.matrix import Matrix
from regression.metrics.error import squared_errors


def evidence(answers: Sequence[Answer], metric: str, resamples: int) -> tuple[UnitEvidence, int]:
    """Return the errors of shared rows, and how many rows were left out."""
    kept, left_out = shared(answers, ["row_id"])
    table = long_table(kept, kept[0].rows["row_id"], [squared_errors(answer.rows) for answer in kept])
    return UnitEvidence(Matrix.of(table), "predicted rows", resamples), left_out


COMPARISON = TaskComparison(evidence=evidence, conditions="at the same first rows")
