"""The back-test of rules: how many rows to come each named, how many of those were of label 1, and their money."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from hwds.detection.protocols.rows.codes import entities
from hwds.evaluation.score import Score
from hwds.results.measure import Measure
from hwds.statistics.wilson import clustered_wilson

COLUMN = "rules"
"""A column of scored rows: the names of the rules that a row meets; null for models without any."""

RATE, HITS, MONEY = "rule_hit_rate", "rule_rows", "rule_money"


def rule_scores(rows: pl.DataFrame) -> Iterator[Score]:
    """Yield for each rule of one model its rows, the share of label 1 among those looked at, and the money in that."""
    if COLUMN not in rows.columns or not rows[COLUMN].count():
        return
    each = rows.drop_nulls(COLUMN).explode(COLUMN).drop_nulls(COLUMN)
    for (name,), part in each.group_by(COLUMN, maintain_order=True):
        fields = {"segment_by": "rule", "segment": str(name)}
        known = part.filter(pl.col("label").is_not_null() & (pl.col("weight") > 0))
        yield Score(HITS, "pooled", float(len(part)), n=len(part), **fields)  # type: ignore[arg-type]
        if len(known):
            found = int((known["label"] == 1).sum())
            low, high = clustered_wilson(found / len(known), len(known), entities(known).n_unique(), None)
            ends = {"ci_low": low, "ci_high": high, "ci_method": "Wilson"}
            yield Score(RATE, "pooled", found / len(known), n=len(known), **ends, **fields)  # type: ignore[arg-type]
        if part["amount"].count():
            gray = float(part.filter(pl.col("label") == 1)["amount"].sum())
            yield Score(MONEY, "pooled", gray, n=len(part), **fields)  # type: ignore[arg-type]


def rule_measures(unit: str) -> list[Measure]:
    """Return the meanings of these metrics."""
    return [
        Measure(HITS, meaning="rows to come that a rule named", better="none", units="rows"),
        Measure(RATE, meaning="share of label 1 among those of them that were looked at", better="none", units="rows"),
        Measure(MONEY, meaning="the amount of those of label 1", better="none", units="rows", measured_in=unit),
    ]
