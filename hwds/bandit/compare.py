"""Evidence of bandits: what each policy lost in each replication, under the same customers as its
rivals.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from hwds.core.errors import ConfigError, nearest
from hwds.stats.contrasts import Matrix
from hwds.stats.evidence import TaskComparison, UnitEvidence, long_table
from hwds.stats.sources import ModelRows, shared_rows

REGRET_COLUMNS = {
    "pseudo_regret": "pseudo_regret",
    "pseudo_regret[fixed]": "fixed_regret",
    "realised_regret": "realised_regret",
}
"""The column of each metric that is one of a replication."""


def regret_evidence(
    answers: Sequence[ModelRows], metric: str, resamples: int
) -> tuple[UnitEvidence, int]:
    """Return the evidence of answers, and how many replications were left out because some policy
    lacks them.

    Replications of one number meet the same customers under every policy (common random numbers),
    so that differences are paired; those of another seed are other ones.

    Args:
        answers: The answers of every policy, world and seed.
        metric: The name of the metric.
        resamples: The number of resamples of each bootstrap.

    Raises:
        ConfigError: The metric is not one of a replication.
    """
    if metric not in REGRET_COLUMNS:
        raise ConfigError(
            f"--metric: policies cannot be compared by '{metric}'{nearest(metric, REGRET_COLUMNS)}"
        )
    tables, lost = [], 0
    for seed in dict.fromkeys(answer.seed for answer in answers):
        kept, left_out = shared_rows(
            [answer for answer in answers if answer.seed == seed], ["replication"]
        )
        lost += left_out
        tables += [_values(answer, REGRET_COLUMNS[metric]) for answer in kept]
    return UnitEvidence(Matrix.of(pl.concat(tables), nested=True), "replications", resamples), lost


def _values(answer: ModelRows, column: str) -> pl.DataFrame:
    return long_table([answer], answer.rows["replication"], [answer.rows[column].to_numpy()])


COMPARISON = TaskComparison(evidence=regret_evidence, trained=False)
