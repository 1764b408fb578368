"""The scores of forecasts: every metric over series, over steps and pooled, each with its uncertainty."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from hwds.frames.roles import SERIES
from hwds.metrics.aggregate import Estimate, mean, median, one_minus_ratio, pooled
from hwds.metrics.base import Measure
from hwds.metrics.forecast import Answers, Metric, answers_of, forecast_metrics
from hwds.protocols.base import Score

CHOOSING = Measure(
    "choosing_cost",
    meaning="how much worse a choice of members is on windows left out than on those it was made by, in mase",
    units="series",
)
"""Scored where a model tells it."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Answers with the series and the (series, cutoff) that each row belongs to, as codes from 0."""

    answers: Answers
    series: np.ndarray
    group: np.ndarray
    group_series: np.ndarray
    step: np.ndarray
    n_fallback: int

    @property
    def n_series(self) -> int:
        """How many series there are."""
        return int(self.series.max()) + 1 if len(self.series) else 0


def score_forecasts(table: pl.DataFrame, levels: tuple[float, ...], extra: tuple[Metric, ...] = ()) -> list[Score]:
    """All scores of one model's predictions.

    A series counts once: its value is the mean over its cutoffs of the ratio of sums at each. `mean` and `median` run over
    series, `pooled` over all rows; the standard errors are clustered by series.
    """
    season = int(table["season"][0])
    rows = coded(table, levels, season)
    metrics = (*forecast_metrics(season, levels).values(), *extra)
    scores = [score for metric in metrics for score in _aggregates(metric, rows)]
    scores += [score for metric in metrics if metric.by_step for score in _by_step(metric, rows)]
    scores += [_skill(metric, rows) for metric in metrics if metric.skill]
    scores += [_choosing(table)] if CHOOSING.name in table.columns else []
    return [replace(score, n_fallback=rows.n_fallback) for score in scores]


def _choosing(table: pl.DataFrame) -> Score:
    """What choosing members cost, as the model tells it."""
    values = table.group_by(SERIES).agg(pl.col(CHOOSING.name).mean())[CHOOSING.name]
    return Score.of(CHOOSING.name, "mean", mean(values.to_numpy()))


def forecast_measures(season: int, levels: tuple[float, ...], extra: tuple[Metric, ...] = ()) -> tuple[Measure, ...]:
    """What each metric of `score_forecasts` says of itself."""
    metrics = (*forecast_metrics(season, levels).values(), *extra)
    return (*metrics, *(metric.as_skill() for metric in metrics if metric.skill), CHOOSING)


def coded(table: pl.DataFrame, levels: tuple[float, ...], season: int, like: Rows | None = None) -> Rows:
    """Predictions as arrays.

    Args:
        table: Of one model.
        levels: Of its quantiles.
        season: Of the seasonal naive.
        like: Those of another model with the same series, cutoff and step in each row, whose codes are taken.
    """
    columns = {name: table[name].to_numpy() for name in table.columns if table[name].dtype == pl.Float64}
    fallback = table[SERIES].filter(table["fallback"]).n_unique()
    if like is not None:
        return replace(like, answers=answers_of(columns, levels, season), n_fallback=fallback)
    series, cutoffs = (table[name].rank("dense").to_numpy().astype(np.int64) - 1 for name in (SERIES, "cutoff"))
    many = int(cutoffs.max()) + 1
    keys, group = np.unique(series * many + cutoffs, return_inverse=True)
    return Rows(answers_of(columns, levels, season), series, group, keys // many, table["step"].to_numpy(), fallback)


def per_series(metric: Metric, rows: Rows, answers: Answers | None = None) -> np.ndarray:
    """The metric of each series, shape (n_series,), NaN where it has none."""
    value = per_origin(metric, rows, answers)
    defined = ~np.isnan(value)
    total = np.bincount(rows.group_series[defined], value[defined], rows.n_series)
    count = np.bincount(rows.group_series[defined], minlength=rows.n_series)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def per_origin(metric: Metric, rows: Rows, answers: Answers | None = None) -> np.ndarray:
    """The metric of each series at each of its cutoffs, in the order of both, shape (groups,), NaN where it has none."""
    top, bottom, _ = _parts(metric, answers or rows.answers)
    n = len(rows.group_series)
    above, below = np.bincount(rows.group, top, n), np.bincount(rows.group, bottom, n)
    value = np.where(below != 0, above / np.where(below == 0, 1, below), np.nan)
    return np.sqrt(value) if metric.root else value


def _parts(metric: Metric, answers: Answers) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numerator and denominator of each row, both 0 where either is undefined, and which rows are."""
    top, bottom = metric.numerator(answers), metric.denominator(answers)
    undefined = np.isnan(top) | np.isnan(bottom)
    return np.where(undefined, 0, top), np.where(undefined, 0, bottom), undefined


def _aggregates(metric: Metric, rows: Rows) -> Iterator[Score]:
    values = per_series(metric, rows)
    yield Score.of(metric.name, "mean", mean(values))
    yield Score.of(metric.name, "median", median(values))
    yield Score.of(metric.name, "pooled", _pooled(metric, rows))


def _pooled(metric: Metric, rows: Rows) -> Estimate:
    top, bottom, undefined = _parts(metric, rows.answers)
    above, below = np.bincount(rows.series, top, rows.n_series), np.bincount(rows.series, bottom, rows.n_series)
    known = np.bincount(rows.series, ~undefined, rows.n_series) > 0
    estimate = pooled(np.where(known, above, np.nan), np.where(known, below, np.nan), metric.root)
    return replace(estimate, n=int(np.sum(~undefined)), n_undefined=int(np.sum(undefined)))


def _by_step(metric: Metric, rows: Rows) -> Iterator[Score]:
    """The mean over series at each step: of the row's own ratio, averaged over cutoffs."""
    top, bottom, undefined = _parts(metric, rows.answers)
    ratio = np.where(undefined | (bottom == 0), np.nan, top / np.where(bottom == 0, 1, bottom))
    for step in np.unique(rows.step):
        here = (rows.step == step) & ~np.isnan(ratio)
        total = np.bincount(rows.series[here], ratio[here], rows.n_series)
        count = np.bincount(rows.series[here], minlength=rows.n_series)
        values = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        present = np.bincount(rows.series[rows.step == step], minlength=rows.n_series) > 0
        yield replace(Score.of(metric.name, "mean", mean(values[present])), step=int(step))


def _skill(metric: Metric, rows: Rows) -> Score:
    """1 - the metric over that of the seasonal naive on the same rows."""
    naive = replace(rows.answers, mean=rows.answers.naive, median=rows.answers.naive)
    estimate = one_minus_ratio(per_series(metric, rows), per_series(metric, rows, naive))
    return Score.of(metric.as_skill().name, "mean", estimate)
