"""Evidence of remaining lives: errors by machine, of the predictions that all models made."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import polars as pl

from hwds.compare.answers import Answer, shared
from hwds.compare.evidence import UnitEvidence, by_dataset, compared_metric, long_table
from hwds.compare.hooks import TaskComparison
from hwds.frames.run_checks import ENTITY
from hwds.lifetime.laws.lives import LEVELS
from hwds.lifetime.metrics.scores import QUANTILES

COMPARED = ("rmse_capped", "rmse_uncapped", "crps")
"""The metrics by which models are compared, by their short names."""


def evidence(answers: Sequence[Answer], metric: str, resamples: int) -> tuple[UnitEvidence, int]:
    """Return the errors of machines, and how many predictions were left out because some model has none.

    Args:
        answers: Of every model, dataset and seed.
        metric: One of `COMPARED`.
        resamples: Of each bootstrap.

    Raises:
        ConfigError: The metric is another one.
    """
    short = compared_metric(metric, COMPARED, "remaining lives")
    kept, left_out = shared([_known(answer) for answer in answers], ["part", ENTITY, "cut"])

    def table(own: list[Answer]) -> pl.DataFrame:
        machines = own[0].rows[ENTITY].unique().sort()
        return long_table(
            own, machines, [_by_machine(each.rows, machines, short, _cap(each.source.metric(short))) for each in own]
        )

    return UnitEvidence(by_dataset(kept, table), "machines", resamples), left_out


def _known(answer: Answer) -> Answer:
    rows = answer.rows.filter(pl.col("actual").is_not_null())
    return Answer(answer.model, answer.dataset, answer.seed, answer.source, answer.label, rows)


def _cap(name: str) -> float:
    """Return the cap in the name of a metric, infinity where it has none."""
    found = re.search(r"cap=([\d.e+]+)", name)
    return float(found[1]) if found else np.inf


def _by_machine(rows: pl.DataFrame, machines: pl.Series, metric: str, cap: float) -> np.ndarray:
    """Return a value for each machine whose mean is the metric of all rows, a root linearised around itself (delta method)."""
    actual, point = rows["actual"].to_numpy(), rows["predicted"].to_numpy()
    if metric == "crps":
        gap = actual[:, None] - rows.select(QUANTILES).to_numpy()
        loss = 2 * np.maximum(LEVELS * gap, (LEVELS - 1) * gap).mean(axis=1)
    else:
        loss = (np.minimum(point, cap) - np.minimum(actual, cap)) ** 2
    place = rows[ENTITY].replace_strict(machines, pl.int_range(len(machines), eager=True), return_dtype=pl.Int64).to_numpy()
    tops, counts = np.bincount(place, loss, len(machines)), np.bincount(place, minlength=len(machines)).astype(float)
    value = float(tops.sum() / counts.sum())
    if metric == "crps":
        return np.asarray(value + (tops - value * counts) / counts.mean())
    root = float(np.sqrt(value))
    return np.asarray(root + (tops - value * counts) / (2 * max(root, 1e-300) * counts.mean()))


COMPARISON = TaskComparison(evidence=evidence, conditions="of the same machines at the same cuts")
