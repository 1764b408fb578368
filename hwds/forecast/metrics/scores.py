"""The scores of forecasts: every metric over series, over steps and pooled, each with its uncertainty."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import exp, inf

import numpy as np
import polars as pl

from hwds.evaluation.base import Score
from hwds.forecast.metrics.quantiles import group_quantiles, pooled_quantile
from hwds.forecast.metrics.ratios import ForecastArrays, Metric, forecast_arrays, forecast_metrics
from hwds.frames.roles import SERIES, TIME
from hwds.results.measure import Measure
from hwds.statistics.aggregate import Estimate, mean
from hwds.statistics.reference_distribution import reaching_zero
from hwds.statistics.shared_periods import Cells, mean_estimate, median_estimate, ratio_estimate

CHOOSING = Measure(
    "choosing_cost",
    meaning="how much worse a choice of members is on windows left out than on those it was made by, in mase",
    units="series",
)
"""Scored where a model tells it."""

FROM_LAST = "from_last"
"""The column with the rows from a series' last cutoff back to a row's own, 0 or below, where no clock tells which cutoffs
of two series fall together."""


@dataclass(frozen=True, eq=False)
class CodedRows:
    """Answers with the series and the (series, cutoff) that each row belongs to, as codes from 0.

    Attributes:
        forecasts: The rows.
        series, group, step: The series, the group of one series and cutoff, and the step of each row.
        cells: The series and the cutoff of each group.
        n_fallback: Series that a fallback answered for.
    """

    forecasts: ForecastArrays
    series: np.ndarray
    group: np.ndarray
    cells: Cells
    step: np.ndarray
    n_fallback: int

    @property
    def n_series(self) -> int:
        """The number of series."""
        return int(self.series.max()) + 1 if len(self.series) else 0


def score_forecasts(table: pl.DataFrame, levels: tuple[float, ...], extra: tuple[Metric, ...] = ()) -> list[Score]:
    """Return all scores of one model's predictions.

    A series counts once: its value is the mean over its cutoffs of the ratio of sums at each. `mean` and `median` run over
    series, `pooled` over all rows. The error of each is of other series and of other cutoffs, whose shocks series share.
    No interval of an error reaches below 0.
    """
    season = int(table["season"][0])
    rows = coded(table, levels, season)
    metrics = (*forecast_metrics(season, levels).values(), *extra)
    scores = [score for metric in metrics for score in _errors_from_zero(metric, rows, _aggregates(metric, rows))]
    stepped = [metric for metric in metrics if metric.by_step]
    scores += [score for metric in stepped for score in _errors_from_zero(metric, rows, _by_step(metric, rows))]
    scores += [_skill(metric, rows) for metric in metrics if metric.skill]
    scores += [_choosing(table)] if CHOOSING.name in table.columns else []
    return [replace(score, n_fallback=rows.n_fallback) for score in scores]


def _choosing(table: pl.DataFrame) -> Score:
    """Return the cost of choosing members, as the model reports it."""
    values = table.group_by(SERIES).agg(pl.col(CHOOSING.name).mean())[CHOOSING.name]
    return Score.of(CHOOSING.name, "mean", mean(values.to_numpy()))


def forecast_measures(season: int, levels: tuple[float, ...], extra: tuple[Metric, ...] = ()) -> tuple[Measure, ...]:
    """Return the description of each metric of `score_forecasts`."""
    metrics = (*forecast_metrics(season, levels).values(), *extra)
    return (*metrics, *(metric.as_skill() for metric in metrics if metric.skill), CHOOSING)


def coded(table: pl.DataFrame, levels: tuple[float, ...], season: int, like: CodedRows | None = None) -> CodedRows:
    """Return predictions as arrays.

    Args:
        table: Of one model.
        levels: Of its quantiles.
        season: Of the seasonal naive.
        like: Those of another model with the same series, cutoff and step in each row, whose codes are taken.
    """
    columns = {name: table[name].to_numpy() for name in table.columns if table[name].dtype == pl.Float64 or name == "step"}
    fallback = table[SERIES].filter(table["fallback"]).n_unique()
    if like is not None:
        return replace(like, forecasts=forecast_arrays(columns, levels, season), n_fallback=fallback)
    series, cutoffs = (each.rank("dense").to_numpy().astype(np.int64) - 1 for each in (table[SERIES], origins(table)["cutoff"]))
    many = int(cutoffs.max()) + 1
    keys, group = np.unique(series * many + cutoffs, return_inverse=True)
    span, season_seen = reach(table, season)
    cells = Cells(keys // many, keys % many, span, season_seen)
    return CodedRows(forecast_arrays(columns, levels, season), series, group, cells, table["step"].to_numpy(), fallback)


def origins(table: pl.DataFrame) -> pl.DataFrame:
    """Return the cutoff and the time of each row on one clock of all series: the data's own, or that of `FROM_LAST`."""
    if FROM_LAST not in table.columns:
        return table.select("cutoff", TIME)
    return table.select(pl.col(FROM_LAST).alias("cutoff"), pl.col(TIME) - pl.col("cutoff") + pl.col(FROM_LAST))


def reach(table: pl.DataFrame, season: int) -> tuple[int, float]:
    """Return the number of cutoffs that one window spans, 1 where none overlap, and the share of a season in all of them.

    The share is infinite where there is no season.
    """
    table = origins(table)
    seen = table[TIME].n_unique() / season if season > 1 else inf
    cutoffs = table["cutoff"].unique().sort()
    if len(cutoffs) < 2:
        return 1, seen
    ends = table.group_by("cutoff").agg(pl.col(TIME).max()).sort("cutoff")[TIME]
    later = np.searchsorted(cutoffs.cast(pl.Int64).to_numpy(), ends.cast(cutoffs.dtype).cast(pl.Int64).to_numpy(), side="left")
    return int(max(later - np.arange(len(cutoffs)), default=1)), seen


def per_series(metric: Metric, rows: CodedRows) -> np.ndarray:
    """Return the metric of each series, shape (n_series,), NaN where it has none."""
    value = per_origin(metric, rows)
    defined = ~np.isnan(value)
    total = np.bincount(rows.cells.unit[defined], value[defined], rows.n_series)
    count = np.bincount(rows.cells.unit[defined], minlength=rows.n_series)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def per_origin(metric: Metric, rows: CodedRows, forecasts: ForecastArrays | None = None) -> np.ndarray:
    """Return the metric of each series at each of its cutoffs, in the order of both, shape (groups,), NaN where it has none."""
    top, bottom, undefined = _parts(metric, forecasts or rows.forecasts)
    n = len(rows.cells.unit)
    if metric.quantile is not None:
        value = group_quantiles(_ratios(top, bottom, undefined), rows.group, n, metric.quantile)
    else:
        above, below = np.bincount(rows.group, top, n), np.bincount(rows.group, bottom, n)
        value = np.where(below != 0, above / np.where(below == 0, 1, below), np.nan)
    return np.sqrt(value) if metric.root else value


def _ratios(top: np.ndarray, bottom: np.ndarray, undefined: np.ndarray) -> np.ndarray:
    """Return the ratio of each row, NaN where it has none."""
    return np.where(undefined | (bottom == 0), np.nan, top / np.where(bottom == 0, 1, bottom))


def _parts(metric: Metric, forecasts: ForecastArrays) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return numerator and denominator of each row, both 0 where either is undefined, and which rows are undefined."""
    top, bottom = metric.numerator(forecasts), metric.denominator(forecasts)
    undefined = np.isnan(top) | np.isnan(bottom)
    return np.where(undefined, 0, top), np.where(undefined, 0, bottom), undefined


def _aggregates(metric: Metric, rows: CodedRows) -> Iterator[Score]:
    values = per_origin(metric, rows)
    known = ~np.isnan(values)
    cells = rows.cells.where(known)
    yield Score.of(metric.name, "mean", mean_estimate(values[known], cells, rows.n_series - cells.units))
    yield Score.of(metric.name, "median", median_estimate(values[known], cells, rows.n_series - cells.units))
    yield Score.of(metric.name, "pooled", _pooled(metric, rows))


def _errors_from_zero(metric: Metric, rows: CodedRows, scores: Iterable[Score]) -> list[Score]:
    """Return scores, the intervals of an error from 0 on: a metric that is good where low, of which no row is below 0."""
    scores = list(scores)
    below = metric.better == "low" and any((score.ci_low or 0) < 0 for score in scores)
    if not below or (_ratios(*_parts(metric, rows.forecasts)) < 0).any():
        return scores
    return [replace(score, ci_low=0.0) if (score.ci_low or 0) < 0 else score for score in scores]


def _pooled(metric: Metric, rows: CodedRows) -> Estimate:
    top, bottom, undefined = _parts(metric, rows.forecasts)
    n = len(rows.cells.unit)
    if metric.quantile is not None:
        return pooled_quantile(_ratios(top, bottom, undefined), rows.group, rows.cells, metric.quantile, root=metric.root)
    above, below = np.bincount(rows.group, top, n), np.bincount(rows.group, bottom, n)
    known = np.bincount(rows.group, ~undefined, n) > 0
    estimate = ratio_estimate(above[known], below[known], rows.cells.where(known), metric.root)
    return replace(estimate, n=int(np.sum(~undefined)), n_undefined=int(np.sum(undefined)))


def _by_step(metric: Metric, rows: CodedRows) -> Iterator[Score]:
    """Yield the mean over series at each step: of the row's own ratio, averaged over cutoffs."""
    top, bottom, undefined = _parts(metric, rows.forecasts)
    ratio = _ratios(top, bottom, undefined)
    for step in np.unique(rows.step):
        here = rows.step == step
        series = len(np.unique(rows.series[here]))
        known = np.flatnonzero(here & ~np.isnan(ratio))
        if metric.quantile is not None:
            estimate = pooled_quantile(ratio[known], rows.group[known], rows.cells, metric.quantile, root=metric.root)
            yield replace(Score.of(metric.name, "pooled", estimate), step=int(step))
            continue
        cells = rows.cells.at(rows.group[known])
        yield replace(Score.of(metric.name, "mean", mean_estimate(ratio[known], cells, series - cells.units)), step=int(step))


def _skill(metric: Metric, rows: CodedRows) -> Score:
    """Return 1 - the metric over that of the seasonal naive on the same rows."""
    naive = replace(rows.forecasts, mean=rows.forecasts.naive, median=rows.forecasts.naive)
    ours, theirs = per_origin(metric, rows), per_origin(metric, rows, naive)
    known = ~(np.isnan(ours) | np.isnan(theirs))
    cells = rows.cells.where(known)
    ours, theirs, weights = ours[known], theirs[known], cells.weights
    whole = float(weights @ theirs)
    if not whole:
        return Score.of(metric.as_skill().name, "mean", mean_estimate(np.zeros(0), cells, rows.n_series))
    ratio = float(weights @ ours) / whole
    added = (ours - ratio * theirs) / whole  # Cochran, Sampling Techniques, 6.4
    estimate = mean_estimate(1 - ratio - added, cells, rows.n_series - cells.units)
    return Score.of(metric.as_skill().name, "mean", _on_logarithms(estimate, ratio, cells.fewest))


def _on_logarithms(estimate: Estimate, ratio: float, fewest: int) -> Estimate:
    """Return the skill with its interval made of the ratio's logarithm, as a comparison makes it, so that both say the same."""
    if estimate.low is None or estimate.high is None or ratio <= 0:
        return estimate
    ends = [1 - ratio * exp((1 - ratio - end) / ratio) for end in (estimate.low, estimate.high)]
    low, high = reaching_zero(ends[0], ends[1], fewest)
    return replace(estimate, low=low, high=high)
