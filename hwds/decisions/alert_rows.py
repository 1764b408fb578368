"""The rows that a decision on alerts reads: predictions with the day they arrived, what is at stake, and labels as known."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from hwds.errors import ConfigError
from hwds.frames.table import ROW_ID, Table
from hwds.protocols.prequential import Prequential
from hwds.protocols.row_windows import arrivals, label_arrivals
from hwds.results.tables import Tables

SAID = (
    "fold",
    "cutoff",
    "part",
    ROW_ID,
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
"""The columns of predictions that are kept as they are."""


def rows_of(tables: Tables, frame: Table, model: str, protocol: Prequential, kind: str) -> pl.DataFrame:
    """The rows of a model, by part, fold, day and row: `SAID` with `loss, kind, day_id` and `known_at`, when a label arrived.

    Raises:
        ConfigError: The model has no probabilities.
    """
    own = tables.predictions.filter(pl.col("model") == model) if tables.predictions.width else tables.predictions
    if own.is_empty():
        return own
    if own["probability"].null_count():
        raise ConfigError(
            f"decision: model '{model}' has no probabilities for its scores;"
            " set model.calibration (platt, bayes, beta, isotonic)."
        )
    day = arrivals(frame).dt.date().cast(pl.Int32).cast(pl.Int64)
    facts = frame.data.select(
        ROW_ID,
        day.alias("day_id"),
        label_arrivals(frame, protocol.delay_days).alias("known_at"),
        (pl.col(kind).cast(pl.String) if kind else pl.lit(None, pl.String)).alias("kind"),
    )
    told = own.select(*SAID, pl.col("amount").alias("loss")).join(facts, on=ROW_ID, how="left", maintain_order="left")
    return told.sort("part", "fold", "day_id", ROW_ID)


def tested(rows: pl.DataFrame, protocol: Prequential) -> pl.DataFrame:
    """The test rows, with the labels that they got in the end."""
    return settled(rows.filter(pl.col("part") == "test"), protocol.unlabelled)


def decided_by(rows: pl.DataFrame, cutoff: str, protocol: Prequential) -> pl.DataFrame:
    """The rows of all deciding windows up to that of a cutoff, with the labels that had arrived by it.

    Each day of each window counts apart, for its rows were judged by a model of its own.
    """
    begin = datetime.fromisoformat(cutoff)
    early = rows.filter((pl.col("part") == "decide") & (pl.col("cutoff") <= cutoff))
    known = pl.when(pl.col("known_at") <= begin).then(pl.col("label")).alias("label")
    apart = (pl.col("fold").cast(pl.Int64) * 10_000_000 + pl.col("day_id")).alias("day_id")
    return settled(early.with_columns(known, apart), protocol.unlabelled)


def settled(rows: pl.DataFrame, unlabelled: str) -> pl.DataFrame:
    """What the protocol says of rows without a label: nothing, or that they are honest, so that each stands for itself."""
    if unlabelled == "exclude":
        return rows
    return rows.with_columns(pl.col("label").fill_null(0.0), pl.lit(1.0).alias("weight"))
