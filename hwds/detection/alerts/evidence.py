"""The evidence that a decision on alerts reads: scored rows with their day, what is at stake, and
labels as known by then.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime

import polars as pl
from polars import DataFrame, col

from hwds.core.errors import ConfigError
from hwds.detection.predictions import scored_rows
from hwds.evaluation.row_folds import label_arrivals, row_arrivals
from hwds.frames.table import ROW_ID, Table
from hwds.results.tables import Tables

PREDICTED = (
    "fold",
    "cutoff",
    "part",
    ROW_ID,
    "id",
    "time",
    "entity",
    "label",
    "truth",
    "weight",
    "score",
    "probability",
    "probability_low",
    "probability_high",
    "p_value",
    "reasons",
)
"""The columns of predictions that evidence has as they are."""

EVIDENCE = (*PREDICTED, "loss", "day_id", "known_at", "kind", "unlabelled")
"""Columns of the evidence, one row a scored row, in the order of part, fold, day and row.

`part` is `decide` for rows before a cutoff from which a rule is chosen and `test` for those after
it. `loss` is what is at stake, in the frame's unit; `day_id` the day of arrival, counted from 1970;
`known_at` when the label arrives; `kind` the kind of buyer, null where nobody says; `unlabelled`
what a row without a label counts as, null where it is left out.
"""


class AlertEvidence(ABC):
    """A protocol whose results a policy of alerts can be chosen from and tested on
    (`decision=alert_policy`).

    Attributes:
        wrong_block: What it costs to block an honest row; None where the decision has to say so.
    """

    wrong_block: float | None

    def check_alerts(self, decision: str) -> None:
        """Refuse settings under which it has no evidence; called before the data is loaded.

        Args:
            decision: The name of the decision.

        Raises:
            ConfigError: With the field and its value.
        """
        return

    @abstractmethod
    def alert_evidence(self, tables: Tables, frame: Table, model: str, kind: str) -> DataFrame:
        """Return the scored rows of a model; see `EVIDENCE`.

        Args:
            tables: The tables of the run.
            frame: The data of the run.
            model: The model whose scores count.
            kind: The column of kinds of buyers; empty where there is none.

        Raises:
            ConfigError: The model has no probabilities.
        """


def alert_evidence_rows(
    tables: Tables, frame: Table, model: str, kind: str, *, delay_days: int, unlabelled: str
) -> DataFrame:
    """Return the evidence of scored rows; see `AlertEvidence.alert_evidence`.

    Args:
        tables: The tables of the run.
        frame: The data of the run.
        model: The model whose scores count.
        kind: The column of kinds of buyers; empty where there is none.
        delay_days: The days after which a label arrives, where the data does not say.
        unlabelled: `exclude`, or else rows without a label are honest and each stands for itself.

    Raises:
        ConfigError: The model has no probabilities.
    """
    predictions = scored_rows(tables, model=model)
    if predictions.is_empty():
        return predictions
    if predictions["probability"].null_count():
        raise ConfigError(
            f"decision: model '{model}' has no probabilities for its scores;"
            " set model.calibration (platt, bayes, beta, isotonic)."
        )
    day = row_arrivals(frame).dt.date().cast(pl.Int32).cast(pl.Int64)
    facts = frame.data.select(
        ROW_ID,
        day_id=day,
        known_at=label_arrivals(frame, delay_days),
        kind=col(kind).cast(pl.String) if kind else pl.lit(None, pl.String),
    )
    rows = predictions.select(*PREDICTED, loss=col("amount")).join(
        facts, on=ROW_ID, how="left", maintain_order="left"
    )
    honest = unlabelled != "exclude"
    rows = rows.with_columns(
        weight=pl.lit(1.0) if honest else col("weight"),
        unlabelled=pl.lit(0.0 if honest else None, pl.Float64),
    )
    return rows.select(EVIDENCE).sort("part", "fold", "day_id", ROW_ID)


def rows_tested(rows: DataFrame) -> DataFrame:
    """Return the test rows, with the labels that they got in the end."""
    return rows.filter(part="test").with_columns(col("label").fill_null(col("unlabelled")))


def deciding_rows(rows: DataFrame, cutoff: str) -> DataFrame:
    """Return the rows of all deciding windows up to that of a cutoff, with the labels that had
    arrived by it.

    Each day of each window counts apart, for its rows were scored by a model of its own.
    """
    begin = datetime.fromisoformat(cutoff)
    early = rows.filter(col("cutoff") <= cutoff, part="decide")
    known = pl.when(col("known_at") <= begin).then(col("label"))
    apart = (col("fold").cast(pl.Int64) * 10_000_000 + col("day_id")).alias("day_id")
    return early.with_columns(known.fill_null(col("unlabelled")).alias("label"), apart)
