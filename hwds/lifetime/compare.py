"""Evidence of remaining lives: errors by machine, of the predictions that all models made."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from hwds.frames.runs import ENTITY
from hwds.lifetime.metrics import QUANTILE_COLUMNS, crps_of_lives
from hwds.stats.evidence import (
    Estimates,
    TaskComparison,
    UnitEvidence,
    by_dataset,
    compared_metric,
    long_table,
)
from hwds.stats.sources import ModelRows, shared_rows

COMPARED = ("rmse_capped", "rmse_uncapped", "crps")
"""The metrics by which models are compared, by their short names."""


def life_evidence(
    answers: Sequence[ModelRows], metric: str, resamples: int
) -> tuple[UnitEvidence, int]:
    """Return the errors of machines, and how many predictions were left out because some model has
    none.

    Args:
        answers: Of every model, dataset and seed.
        metric: One of `COMPARED`.
        resamples: The number of resamples of each bootstrap.

    Raises:
        ConfigError: The metric is another one.
    """
    short = compared_metric(metric, COMPARED, "remaining lives")
    known = [
        replace(answer, rows=answer.rows.filter(pl.col("actual").is_not_null()))
        for answer in answers
    ]
    kept, left_out = shared_rows(known, ["part", ENTITY, "cut"])

    def table(own: list[ModelRows]) -> pl.DataFrame:
        machines = own[0].rows[ENTITY].unique().sort()
        return long_table(
            own,
            machines,
            [
                _by_machine(each.rows, machines, short, _cap_of_metric(each.source.metric(short)))
                for each in own
            ],
        )

    return UnitEvidence(by_dataset(kept, table), "machines", resamples), left_out


def _cap_of_metric(name: str) -> float:
    """Return the cap in the name of a metric, infinity where it has none."""
    found = re.search(r"cap=([\d.e+]+)", name)
    return float(found[1]) if found else np.inf


def _by_machine(rows: pl.DataFrame, machines: pl.Series, metric: str, cap: float) -> np.ndarray:
    """Return a value for each machine whose mean is the metric of all rows, a root linearised
    around itself (delta method).
    """
    actual, point = rows["actual"].to_numpy(), rows["predicted"].to_numpy()
    if metric == "crps":
        loss = crps_of_lives(actual, rows.select(QUANTILE_COLUMNS).to_numpy())
    else:
        loss = (np.minimum(point, cap) - np.minimum(actual, cap)) ** 2
    place = (
        rows[ENTITY]
        .replace_strict(machines, pl.int_range(len(machines), eager=True), return_dtype=pl.Int64)
        .to_numpy()
    )
    tops = np.bincount(place, loss, len(machines))
    counts = np.bincount(place, minlength=len(machines)).astype(float)
    value = float(tops.sum() / counts.sum())
    if metric == "crps":
        return value + (tops - value * counts) / counts.mean()
    root = float(np.sqrt(value))
    return root + (tops - value * counts) / (2 * max(root, 1e-300) * counts.mean())


COMPARISON = TaskComparison(
    evidence=life_evidence,
    estimates=Estimates(
        coefficients=COMPARED,
        fit=("nasa_score", "coverage", "width", "alpha_lambda", "concordance"),
    ),
    conditions="of the same machines at the same cuts",
)
