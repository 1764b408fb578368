"""Evidence of predicted price moves: errors by held-out period of the moves that all models
answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from polars import DataFrame, col

from hwds.elasticity.metrics import SHARED_SLOPES, TRUTH_MEASURES
from hwds.elasticity.rows import note_meaning, note_title, notes_of
from hwds.frames.roles import SERIES, TIME
from hwds.stats.evidence import (
    Estimates,
    Fact,
    TaskComparison,
    UnitEvidence,
    by_dataset,
    compared_metric,
    headline_evidence,
    long_table,
)
from hwds.stats.sources import ModelRows, shared_rows

CHANGE_ERRORS = {
    "change_rmse": (col("move"), col("predicted") - col("actual")),
    "level_rmse": (pl.lit(True), col("log_predicted") - col("log_units")),
}
"""The metrics by which models are compared: the rows that count, and the error of each."""


def price_change_evidence(
    answers: Sequence[ModelRows], metric: str, resamples: int
) -> tuple[UnitEvidence, int]:
    """Return the errors of held-out periods, and how many rows were left out because some model has
    no prediction.

    A period is the unit: what happens in it, a holiday or a chain's promotion, strikes all of its
    cells alike.

    Args:
        answers: Of every model, dataset and seed.
        metric: `change_rmse` or `level_rmse`.
        resamples: The number of resamples of each bootstrap.

    Raises:
        ConfigError: The metric is another one.
    """
    counts, error = CHANGE_ERRORS[compared_metric(metric, CHANGE_ERRORS, "price moves")]
    known = [_with_error(answer, counts, error) for answer in answers]
    kept, left_out = shared_rows(known, ["cutoff", SERIES, TIME])

    def table(own: list[ModelRows]) -> DataFrame:
        periods = own[0].rows.select("cutoff", TIME).unique().sort("cutoff", TIME)
        names = periods.select(pl.format("{} {}", "cutoff", TIME)).to_series()
        return long_table(own, names, [_by_period(answer.rows, periods) for answer in own])

    return UnitEvidence(by_dataset(kept, table), "held-out periods", resamples), left_out


def _with_error(answer: ModelRows, counts: pl.Expr, error: pl.Expr) -> ModelRows:
    rows = answer.rows.filter(counts).with_columns(error=error).drop_nulls("error")
    return replace(answer, rows=rows)


def _by_period(rows: DataFrame, periods: DataFrame) -> np.ndarray:
    """Return a value for each period whose mean is the root mean squared error of all rows, shape
    (periods,).

    The root is linearised around itself, r + (sum of squares - r^2 rows) / (2 r rows of a period on
    average), so that a mean of differences between models has the error of the difference of their
    roots (delta method).
    """
    sums = rows.group_by("cutoff", TIME).agg(squares=(col("error") ** 2).sum(), rows=pl.len())
    both = periods.join(sums, ["cutoff", TIME], "left", maintain_order="left")
    squares, count = both["squares"].to_numpy(), both["rows"].cast(pl.Float64).to_numpy()
    root = float(np.sqrt(squares.sum() / count.sum()))
    return root + (squares - root**2 * count) / (2 * max(root, 1e-300) * count.mean())


def fit_facts(rows: DataFrame) -> tuple[list[Fact], list[Fact]]:
    """Return the coefficients that a fit has besides its cells, with their errors, and its other
    notes.

    Args:
        rows: The rows of one model.
    """
    notes = notes_of(rows)
    errors = {
        name: notes.get(name.replace("elasticity", "stderr"), notes.get(f"{name}_stderr"))
        for name in notes
        if name.endswith("_elasticity") or f"{name}_stderr" in notes
    }
    told = [name for name in notes if not name.endswith("_stderr") and notes[name] is not None]
    facts = {
        name: (f"{note_title(name)} of the fit", notes[name], errors.get(name), note_meaning(name))
        for name in told
    }
    return (
        [fact for name, fact in facts.items() if name in errors],
        [fact for name, fact in facts.items() if name not in errors],
    )


CELLS = Estimates(
    coefficients=("mean_elasticity", *SHARED_SLOPES, "placebo_effect"),
    fit=(
        "answered",
        "identified",
        "wrong_sign",
        *(name for name, *_ in TRUTH_MEASURES),
        "change_rmse",
        "level_rmse",
        "placebo_z",
    ),
    facts=fit_facts,
)
"""The numbers of specifications of demand."""

COMPARISON = TaskComparison(
    evidence=price_change_evidence,
    estimates=CELLS,
    conditions="of the same cells",
    trained=False,
)

ELASTICITIES = TaskComparison(evidence=headline_evidence, estimates=CELLS, trained=False)

PLACEBOS = TaskComparison(evidence=None, estimates=CELLS, trained=False)
