"""Rows whose probability of being gray is known, judged without error, and the tables of a run on
them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from hwds.detection.predictions import REASONS_TYPE
from hwds.detection.protocols.prequential import Prequential
from hwds.evaluation.row_folds import row_arrivals, window_cutoffs
from hwds.frames.table import Table
from hwds.results.tables import SCORES, TIMINGS, Tables

PROTOCOL = Prequential(
    name="prequential",
    windows=2,
    train_days=7,
    stop_days=0,
    calibrate_days=0,
    decide_days=7,
    delay_days=3,
    test_days=7,
)
START = datetime(2026, 1, 5)


def world(days: int = 31, daily: int = 300, seed: int = 0) -> Table:
    """Order lines: `p` is the true probability of being gray, large losses are at stake in few of
    them.
    """
    rng = np.random.default_rng(seed)
    n = days * daily
    p = rng.beta(0.15, 3.0, n)
    gray = (rng.random(n) < p).astype(float)
    times = [START + timedelta(days=i // daily, seconds=60 * (i % daily)) for i in range(n)]
    honest = np.where(rng.random(n) < 0.1, "honest_bulk", "honest")
    data = {
        "time": times,
        "customer": [f"c{i}" for i in rng.integers(0, n // 8, n)],
        "p": p,
        "gray": gray,
        "true_kind": np.where(gray == 1, "ring", honest),
        "confirmed": gray,
        "confirmed_at": [time + timedelta(days=1) for time in times],
        "at_stake": rng.lognormal(5, 1.5, n).round(2),
        "chance": np.ones(n),
    }
    roles = {
        "time": ("time",),
        "entity": ("customer",),
        "label": ("confirmed",),
        "label_time": ("confirmed_at",),
        "label_propensity": ("chance",),
        "amount": ("at_stake",),
        "truth": ("gray", "true_kind"),
    }
    return Table.build(pl.DataFrame(data), roles, "USD")


def run(table: Table, protocol: Prequential = PROTOCOL, seed: int = 3) -> Tables:
    """The tables of a model that says the true probability of each row."""
    parts, times = [], row_arrivals(table)
    for fold, cutoff in enumerate(
        window_cutoffs(
            table, protocol.lengths, protocol.stride_days or protocol.test_days, protocol.windows
        )
    ):
        edges = protocol.lengths.edges(cutoff)
        for part in ("decide", "test"):
            begin, end = edges[part]
            rows = table.filter((times >= begin) & (times < end)).data
            parts.append(_judged(rows, part, fold, cutoff))
    scores = pl.DataFrame([{"seed": seed}], schema=SCORES)
    return Tables(scores, pl.concat(parts), pl.DataFrame(schema=TIMINGS))


def _judged(rows: pl.DataFrame, part: str, fold: int, cutoff: datetime) -> pl.DataFrame:
    p = pl.col("p")
    reason = pl.struct(
        pl.lit("quantity_30d").alias("input"),
        pl.lit("41.0").alias("value"),
        pl.lit(2.0).alias("adds"),
        pl.lit(0.97).alias("below"),
        pl.lit(0.02).alias("above"),
    )
    return rows.select(
        pl.lit("own").alias("model"),
        pl.lit(fold, pl.Int32).alias("fold"),
        "row_id",
        pl.format("line {}", "row_id").alias("id"),
        pl.lit(part).alias("part"),
        "time",
        pl.col("customer").alias("entity"),
        pl.col("confirmed").alias("label"),
        pl.col("gray").alias("truth"),
        (1 / pl.col("chance")).alias("weight"),
        pl.col("at_stake").alias("amount"),
        p.alias("score"),
        p.alias("probability"),
        pl.lit(None, pl.Float64).alias("probability_low"),
        pl.lit(None, pl.Float64).alias("probability_high"),
        pl.lit(None, pl.Float64).alias("p_value"),
        pl.when(p > 0.3).then(pl.concat_list(reason)).cast(REASONS_TYPE).alias("reasons"),
        pl.lit(cutoff.date().isoformat()).alias("cutoff"),
    )


def told(tables: Tables, table: Table, decision, protocol: Prequential = PROTOCOL, **changes):
    """The verdict of a run's own model."""
    return replace(decision, **changes).decide(tables, table, "own", protocol)


def changed(tables: Tables, where: pl.Expr, **columns: pl.Expr) -> Tables:
    """The tables with other values in some rows of the predictions."""
    told = [
        pl.when(where).then(value).otherwise(pl.col(name)).alias(name)
        for name, value in columns.items()
    ]
    return replace(tables, predictions=tables.predictions.with_columns(told))
