"""Which series a picture shows: a typical one, the best and the worst of a model."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from hwds.frames.roles import SERIES


@dataclass(frozen=True, slots=True)
class Chosen:
    """A series to show, why, and its score by a metric (None where it has no scale)."""

    series: str
    why: str
    score: float | None
    metric: str


def chosen(own: pl.DataFrame) -> list[Chosen]:
    """The series at the median, the best and the worst by MASE, each once; series without a scale only where no other is.

    Where none has a scale, as at a launch, they are chosen by WAPE.
    """
    scores, metric = series_scores(own), f"mase[m={own['season'][0]}]"
    if scores["score"].null_count() == len(scores):
        scores, metric = series_wapes(own), "wape"
    known = scores.drop_nulls()
    if known.is_empty():
        return [Chosen(scores[SERIES][0], "first", None, metric)]
    places = {(len(known) - 1) // 2: "typical", 0: "best", len(known) - 1: "worst"}
    if len(known) < 3:
        places = {0: "best", 1: "worst"} if len(known) == 2 else {0: "only"}
    return [Chosen(known[SERIES][place], why, known["score"][place], metric) for place, why in places.items()]


def series_scores(own: pl.DataFrame) -> pl.DataFrame:
    """The MASE of each series, the mean over its cutoffs, best first, null where it has none."""
    error = (_error(own) / pl.col("scale_abs")).fill_nan(None).alias("score")
    return _by_series(own.group_by(SERIES, "cutoff").agg(error.mean()))


def series_wapes(own: pl.DataFrame) -> pl.DataFrame:
    """The WAPE of each series, the mean over its cutoffs, best first, null where it has none."""
    size = pl.col("actual").abs().sum()
    ratio = (_error(own).sum() / pl.when(size > 0).then(size)).fill_nan(None).alias("score")
    return _by_series(own.group_by(SERIES, "cutoff").agg(ratio))


def _error(own: pl.DataFrame) -> pl.Expr:
    return (pl.col("actual") - pl.col("q_0.5" if "q_0.5" in own.columns else "mean")).abs()


def _by_series(at_cutoffs: pl.DataFrame) -> pl.DataFrame:
    return at_cutoffs.group_by(SERIES).agg(pl.col("score").mean()).sort("score", SERIES, nulls_last=True)
