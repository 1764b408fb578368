"""Which series a picture shows: a typical one, the best and the worst of a model."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from hwds.frames.roles import SERIES


@dataclass(frozen=True, slots=True)
class Chosen:
    """A series to show, why, and its score (None where it has no scale)."""

    series: str
    why: str
    score: float | None


def chosen(own: pl.DataFrame) -> list[Chosen]:
    """The series at the median, the best and the worst by MASE, each once; series without a scale only where no other is."""
    scores = series_scores(own)
    known = scores.drop_nulls()
    if known.is_empty():
        return [Chosen(scores[SERIES][0], "first", None)]
    places = {(len(known) - 1) // 2: "typical", 0: "best", len(known) - 1: "worst"}
    if len(known) < 3:
        places = {0: "best", 1: "worst"} if len(known) == 2 else {0: "only"}
    return [Chosen(known[SERIES][place], why, known["score"][place]) for place, why in places.items()]


def series_scores(own: pl.DataFrame) -> pl.DataFrame:
    """The MASE of each series, the mean over its cutoffs, best first, null where it has none."""
    median = "q_0.5" if "q_0.5" in own.columns else "mean"
    error = ((pl.col("actual") - pl.col(median)).abs() / pl.col("scale_abs")).fill_nan(None).alias("score")
    at_cutoffs = own.group_by(SERIES, "cutoff").agg(error.mean())
    return at_cutoffs.group_by(SERIES).agg(pl.col("score").mean()).sort("score", SERIES, nulls_last=True)
