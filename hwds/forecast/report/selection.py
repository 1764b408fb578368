"""The series that a picture shows: a typical one, the best and the worst of a model."""

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


def chosen(rows: pl.DataFrame) -> list[Chosen]:
    """Return the series at the median, the best and the worst by MASE, each once; one without a scale only where no other is.

    Where none has a scale, as at a launch, they are chosen by WAPE.
    """
    scores, metric = series_scores(rows), f"mase[m={rows['season'][0]}]"
    if scores["score"].null_count() == len(scores):
        scores, metric = series_wapes(rows), "wape"
    known = scores.drop_nulls()
    if known.is_empty():
        return [Chosen(scores[SERIES][0], "first", None, metric)]
    places = {(len(known) - 1) // 2: "typical", 0: "best", len(known) - 1: "worst"}
    if len(known) < 3:
        places = {0: "best", 1: "worst"} if len(known) == 2 else {0: "only"}
    return [Chosen(known[SERIES][place], why, known["score"][place], metric) for place, why in places.items()]


def series_scores(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the MASE of each series, the mean over its cutoffs, best first, null where it has none."""
    scales = [name for name in ("scale_abs", "short_scale_abs") if name in rows.columns]
    error = (_error(rows) / pl.coalesce(scales)).fill_nan(None).alias("score")
    return _by_series(rows.group_by(SERIES, "cutoff").agg(error.mean()))


def series_wapes(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the WAPE of each series, the mean over its cutoffs, best first, null where it has none."""
    size = pl.col("actual").abs().sum()
    ratio = (_error(rows).sum() / pl.when(size > 0).then(size)).fill_nan(None).alias("score")
    return _by_series(rows.group_by(SERIES, "cutoff").agg(ratio))


def _error(rows: pl.DataFrame) -> pl.Expr:
    return (pl.col("actual") - pl.col("q_0.5" if "q_0.5" in rows.columns else "mean")).abs()


def _by_series(at_cutoffs: pl.DataFrame) -> pl.DataFrame:
    return at_cutoffs.group_by(SERIES).agg(pl.col("score").mean()).sort("score", SERIES, nulls_last=True)
