"""The first cases of a queue, and how many of them two queues share."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.detection.cases.table import ScoreOf
from hwds.detection.protocols.rows.codes import entities


def ranked(rows: pl.DataFrame, score_of: ScoreOf) -> pl.DataFrame:
    """Return one row an entity, the highest first: `entity`, `score`, `truth` (the largest of its rows).

    Args:
        rows: `row_id, entity, score` and `truth`.
        score_of: The score of an entity: the highest of its rows, or their mean.
    """
    of = pl.col("score").mean() if score_of == "mean" else pl.col("score").max()
    known = rows.with_columns(entities(rows).alias("entity"))
    made = known.group_by("entity").agg(of.alias("score"), pl.col("truth").max())
    return made.sort("score", "entity", descending=[True, False])


def first(rows: pl.DataFrame, budget: int, score_of: ScoreOf) -> frozenset[str]:
    """Return the entities that a budget has room for."""
    return frozenset(ranked(rows, score_of)["entity"].head(budget).to_list())


def overlap(one: frozenset[str], other: frozenset[str]) -> float:
    """Return the share of the larger of two sets that both have."""
    return len(one & other) / max(len(one), len(other), 1)


def least_score(rows: pl.DataFrame, budget: int, score_of: ScoreOf) -> float:
    """Return the score of the last case that a budget has room for."""
    scores = ranked(rows, score_of)["score"].head(budget)
    return float(scores[-1]) if len(scores) else np.inf
