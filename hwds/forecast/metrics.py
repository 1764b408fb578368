"""Metrics of forecasts: seasonal scales, ratios of sums, quantiles, scores, names in a config."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from math import exp, inf, sqrt
from typing import Annotated, Any

import numpy as np
import polars as pl
from annotated_types import MinLen
from numpy import ndarray
from polars import DataFrame, col
from pydantic import AfterValidator, PlainValidator

from hwds.core.errors import ConfigError, nearest, with_article
from hwds.core.moved import current_path
from hwds.core.recipe import Level
from hwds.evaluation.protocol import CLUSTER_COLUMN, Score
from hwds.frames.roles import SERIES, TIME
from hwds.results.tables import Beside, Measure
from hwds.stats.effects import reaching_zero
from hwds.stats.estimates import Estimate, codes_of, group_quantiles, unit_mean
from hwds.stats.periods import (
    Cells,
    block_of_step,
    blocks_of,
    mean_estimate,
    median_estimate,
    ratio_estimate,
)

# The scales of errors: the in-sample error of the seasonal naive of each series, known at the
# cutoff.

LEAST_CHANGE = 0.1
"""The least scale of a young series, as a share of its mean value: two rows that happen to be alike
measure no error.
"""


def seasonal_scales(values: ndarray, offsets: ndarray, season: int) -> tuple[ndarray, ndarray]:
    """Return the mean absolute and the mean squared seasonal difference of each series.

    Hyndman and Koehler (2006), "Another look at measures of forecast accuracy"; the squared form is
    that of the RMSSE in Makridakis, Spiliotis and Assimakopoulos (2022), "M5 accuracy competition".

    Args:
        values: The series end to end, NaN where unknown.
        offsets: The first row of each series, and the end; shape (n + 1,).
        season: Rows in a season.

    Returns:
        Two arrays of shape (n,); NaN where a series has no such difference or all of them are zero.
    """
    n = len(offsets) - 1
    series, difference = _differences(values, offsets, season)
    count = np.bincount(series, minlength=n)
    scales = []
    for amount in (np.abs(difference), difference**2):
        total = np.bincount(series, amount, minlength=n)
        scales.append(np.where((count > 0) & (total > 0), total / np.maximum(count, 1), np.nan))
    return scales[0], scales[1]


def has_differences(values: ndarray, offsets: ndarray, season: int) -> ndarray:
    """Return which series have two known values a season apart, shape (n,).

    See `seasonal_scales`.
    """
    series, _ = _differences(values, offsets, season)
    return np.bincount(series, minlength=len(offsets) - 1) > 0


def _differences(values: ndarray, offsets: ndarray, season: int) -> tuple[ndarray, ndarray]:
    """Return the series of each seasonal difference that is known, and the difference."""
    lengths = np.diff(offsets)
    position = np.arange(len(values)) - np.repeat(offsets[:-1], lengths)
    difference = np.full(len(values), np.nan)
    if season < len(values):
        difference[season:] = values[season:] - values[:-season]
    usable = (position >= season) & ~np.isnan(difference)
    return np.repeat(np.arange(len(lengths)), lengths)[usable], difference[usable]


def short_scales(values: ndarray, offsets: ndarray, season: int) -> tuple[ndarray, ndarray]:
    """Return what errors of series without a seasonal scale are divided by, so that no young series
    vanishes from a score.

    It is the mean absolute and the mean squared change from one known row to the next, and at least
    a tenth of the mean absolute value (a hundredth of the mean squared one); of a series without
    such a change the mean value itself.

    Args:
        values: The series end to end, NaN where unknown.
        offsets: The first row of each series, and the end; shape (n + 1,).
        season: Rows in a season.

    Returns:
        Two arrays of shape (n,); NaN where a series has a seasonal scale, or is zero as far as it
        is known.
    """
    absolute, squared = seasonal_scales(values, offsets, season)
    changes = seasonal_scales(values, offsets, 1)
    series = np.repeat(np.arange(len(absolute)), np.diff(offsets))
    known = ~np.isnan(values)
    count = np.bincount(series[known], minlength=len(absolute))
    scales = []
    for power, own, change in zip((1, 2), (absolute, squared), changes, strict=True):
        size = np.bincount(series[known], np.abs(values[known]) ** power, len(own)) / np.maximum(
            count, 1
        )
        least = LEAST_CHANGE**power * size
        other = np.where(np.isnan(change), np.where(size > 0, size, np.nan), np.fmax(change, least))
        scales.append(np.where(np.isnan(own), other, np.nan))
    return scales[0], scales[1]


def last_season(values: ndarray, offsets: ndarray, season: int, horizon: int) -> ndarray:
    """Return the seasonal naive forecast of each series, shape (n, horizon).

    A hole in the last season, or a series shorter than one, takes the last known value of the
    series; NaN where there is none.
    """
    lengths = np.diff(offsets)
    back = offsets[1:, None] - season + np.arange(season)
    inside = back >= offsets[:-1, None]
    tail = np.where(inside, values[np.maximum(back, 0)], np.nan)
    last = last_known(values, offsets)
    tail = np.where((lengths < season)[:, None] | np.isnan(tail), last[:, None], tail)
    return tail[:, np.arange(horizon) % season]


def last_known(values: ndarray, offsets: ndarray) -> ndarray:
    """Return the last value of each series that is not NaN, shape (n,); NaN where there is none."""
    known = np.where(np.isnan(values), -1, np.arange(len(values)))
    latest = np.maximum.reduceat(known, offsets[:-1]) if len(offsets) > 1 else np.zeros(0, int)
    return np.where(latest >= 0, values[np.maximum(latest, 0)], np.nan)


# The metrics of point and quantile forecasts, each a ratio of two sums over rows whose
# definition is in its name.
# Every metric reads the functional that it is made for: absolute errors the median, squared
# errors and the bias the mean (Gneiting 2011, "Making and evaluating point forecasts").

SEASONAL_NAIVE = "forecast/seasonal_naive"
"""The label of the model that forecasts are held against."""


@dataclass(frozen=True, eq=False)
class ForecastArrays:
    """Forecasts and what happened: what a function of a metric receives.

    A row is one step of one forecast of one series. There is one entry for each row, and a function
    returns as many numbers. The metric is the sum of its numerator over that of its denominator, so
    a row counts by its amount, and one with 0 in both is left out. NaN in either leaves a row out
    too, and it is counted as undefined.

    Attributes:
        step: The step of the horizon, from 1, shape (rows,): `step == step.max()` is the last one.
        actual, mean, median: Shape (rows,), in the target's unit.
        quantiles: Shape (rows, levels).
        levels: The quantile levels, shape (levels,).
        scale_abs, scale_sq: The series' in-sample mean absolute and squared seasonal difference; of
            a series without one, the mean of the others (`rows.young_scales`) or else of its own
            (`scale.short_scales`); NaN where it has none.
        naive: The seasonal naive forecast.
        season: Rows in a season.
    """

    step: ndarray
    actual: ndarray
    mean: ndarray
    median: ndarray
    quantiles: ndarray
    levels: ndarray
    scale_abs: ndarray
    scale_sq: ndarray
    naive: ndarray
    season: int

    @property
    def ones(self) -> ndarray:
        """A denominator that counts rows."""
        return np.ones_like(self.actual)

    def pinball(self) -> ndarray:
        """Return the quantile loss of each row and level, shape (rows, levels) (Koenker and Bassett
        1978).
        """
        error = self.actual[:, None] - self.quantiles
        return np.maximum(self.levels * error, (self.levels - 1) * error)


MetricPart = Callable[[ForecastArrays], ndarray]


@dataclass(frozen=True, slots=True)
class Metric(Measure):
    """sum(numerator) / sum(denominator) over the rows of a series at one cutoff, or over all; a row
    with NaN is undefined.

    With `quantile` it is that quantile of the rows' own numerator / denominator instead: 0.5 for
    their median.

    `meaning`, `better` and `beside` are those of `Measure`; a metric of yours needs no other entry
    anywhere. `beside` is `no` where it is not given: the metric is in `scores.parquet`, and not on
    the leaderboard unless it is the headline.

    Attributes:
        numerator: From `ForecastArrays` to the amount of each row, shape (rows,).
        denominator: From `ForecastArrays` to what each amount is divided by, shape (rows,); 1 a row
            where it is not given.
        root: The square root of the ratio.
        quantile: The level of the quantile of rows, above 0 and below 1; None for the ratio of
            sums.
        by_step: Is also shown for each step of the horizon.
        skill: Is also shown as a skill, 1 - the metric over that of the seasonal naive.
    """

    numerator: MetricPart
    denominator: MetricPart = lambda forecasts: forecasts.ones
    root: bool = False
    quantile: float | None = field(default=None, kw_only=True)
    by_step: bool = field(default=False, kw_only=True)
    skill: bool = field(default=False, kw_only=True)
    units: str = field(default="series", kw_only=True)
    reference: str = field(default=SEASONAL_NAIVE, kw_only=True)


def absolute_error(forecasts: ForecastArrays) -> ndarray:
    """Return |actual - median|."""
    return np.abs(forecasts.actual - forecasts.median)


def squared_error(forecasts: ForecastArrays) -> ndarray:
    """Return (actual - mean)^2."""
    return (forecasts.actual - forecasts.mean) ** 2


def point_metrics(season: int) -> tuple[Metric, ...]:
    """Return the metrics of point forecasts.

    `smape_m4` runs from 0 to 200 (Makridakis, Spiliotis and Assimakopoulos 2020, "The M4
    competition"); where actual and forecast are both zero it is 0. `mape` is undefined where the
    actual is zero; such rows are counted, not replaced.
    """
    wape = "sum of absolute errors of the median forecast over the sum of absolute actuals"
    return (
        Metric(
            "mae",
            absolute_error,
            meaning="mean absolute error of the median forecast, in the target's unit",
        ),
        Metric(
            "rmse",
            squared_error,
            root=True,
            meaning="root mean squared error of the mean forecast, in the target's unit",
        ),
        Metric(
            "bias",
            lambda forecasts: forecasts.mean - forecasts.actual,
            meaning="mean of the mean forecast minus the actual, in the target's unit",
            better="none",
        ),
        *_scaled(season),
        Metric("wape", absolute_error, _absolute_actual, meaning=wape, skill=True),
        Metric(
            "smape_m4",
            _smape_m4,
            meaning="200 |actual - median| / (|actual| + |median|), as in the M4 competition",
        ),
        Metric(
            "mape",
            lambda forecasts: 100 * absolute_error(forecasts) / _nan_for_zero(forecasts.actual),
            meaning="100 |actual - median| / |actual|, undefined where the actual is 0",
        ),
    )


def _scaled(season: int) -> tuple[Metric, Metric]:
    """Return the errors relative to those of the in-sample seasonal naive."""
    mase = (
        "mean absolute error of the median forecast over that of the in-sample seasonal naive, "
        "season m"
    )
    rmsse = (
        "root of the mean squared error of the mean forecast over that of the in-sample "
        "seasonal naive, season m"
    )
    mase, rmsse = (
        f"{text}; of a series without such, of the others' mean" for text in (mase, rmsse)
    )
    name = f"[m={season}]"
    return (
        Metric(
            f"mase{name}",
            absolute_error,
            lambda a: a.scale_abs,
            meaning=mase,
            head="MASE",
            beside="always",
            by_step=True,
            skill=True,
        ),
        Metric(
            f"rmsse{name}",
            squared_error,
            lambda a: a.scale_sq,
            root=True,
            meaning=rmsse,
            skill=True,
        ),
    )


def quantile_metrics(levels: Sequence[float]) -> tuple[Metric, ...]:
    """Return the metrics of quantile forecasts: `pinball[q=0.1]`, `wql[9]`, and coverage and width
    of each central interval.

    `wql[k]` is 2 x the mean pinball loss over k levels, over the mean absolute actual; it depends
    on the grid of levels.
    """
    loss = "mean quantile (pinball) loss at level q, in the target's unit"
    single = (
        Metric(f"pinball[q={level:g}]", _pinball_at(place), meaning=loss)
        for place, level in enumerate(levels)
    )
    mean = "twice the mean pinball loss over so many quantile levels, over the mean absolute actual"
    wql = Metric(
        f"wql[{len(levels)}]",
        lambda forecasts: 2 * np.mean(forecasts.pinball(), axis=1),
        _absolute_actual,
        meaning=mean,
        head="WQL",
        beside="page",
        by_step=True,
    )
    pairs = [
        (i, len(levels) - 1 - i)
        for i in range(len(levels) // 2)
        if abs(levels[i] + levels[-1 - i] - 1) < 1e-9
    ]
    bands = (
        band for low, high in pairs for band in _band(levels, low, high, widest=low == pairs[0][0])
    )
    return (*single, wql, *bands)


def _band(levels: Sequence[float], low: int, high: int, *, widest: bool) -> tuple[Metric, Metric]:
    """Return coverage and width of a central interval.

    Those of the widest stand beside the headline.
    """
    name = f"{levels[high] - levels[low]:.0%}".replace("%", "")
    share = "share of actuals inside the central interval; the nearer to its level the better"
    width = (
        "mean width of the central interval, in the target's unit; narrow is good where the "
        "coverage holds"
    )
    shown: tuple[Beside, Beside] = ("always", "page") if widest else ("no", "no")
    return (
        Metric(
            f"coverage[{name}%]",
            _coverage_of(low, high),
            meaning=share,
            better="none",
            head=f"{name} % band covers, %",
            beside=shown[0],
            by_step=True,
        ),
        Metric(
            f"width[{name}%]",
            lambda forecasts: forecasts.quantiles[:, high] - forecasts.quantiles[:, low],
            meaning=width,
            better="none",
            beside=shown[1],
            by_step=True,
        ),
    )


def forecast_metrics(season: int, levels: Sequence[float]) -> dict[str, Metric]:
    """Return every metric of the task by its name."""
    return {each.name: each for each in (*point_metrics(season), *quantile_metrics(levels))}


def _absolute_actual(forecasts: ForecastArrays) -> ndarray:
    return np.abs(forecasts.actual)


def _nan_for_zero(actual: ndarray) -> ndarray:
    return np.where(actual == 0, np.nan, np.abs(actual))


def _smape_m4(forecasts: ForecastArrays) -> ndarray:
    total = np.abs(forecasts.actual) + np.abs(forecasts.median)
    relative = 200 * absolute_error(forecasts) / np.where(total == 0, 1, total)
    return np.where(total == 0, 0.0, relative)


def _pinball_at(index: int) -> MetricPart:
    return lambda forecasts: forecasts.pinball()[:, index]


def _coverage_of(low: int, high: int) -> MetricPart:
    def inside(forecasts: ForecastArrays) -> ndarray:
        actual, lower = forecasts.actual, forecasts.quantiles[:, low]
        hit = (lower <= actual) & (actual <= forecasts.quantiles[:, high])
        return np.where(np.isnan(actual) | np.isnan(lower), np.nan, hit.astype(float))

    return inside


def forecast_arrays(
    columns: dict[str, Any], levels: Sequence[float], season: int
) -> ForecastArrays:
    """Return forecasts from the columns of a predictions table (`step`, `actual`, `mean`, `q_0.1`,
    ...).
    """
    quantiles = [columns[f"q_{level:g}"] for level in levels]
    given = {name: columns[name] for name in ("step", "actual", "mean", "scale_abs", "scale_sq")}
    for name in ("scale_abs", "scale_sq"):
        if f"short_{name}" in columns:
            given[name] = np.where(np.isnan(given[name]), columns[f"short_{name}"], given[name])
    return ForecastArrays(
        **given,
        median=columns.get("q_0.5", columns["mean"]),
        quantiles=np.column_stack(quantiles) if levels else np.empty((len(columns["mean"]), 0)),
        levels=np.asarray(levels),
        naive=columns["seasonal_naive"],
        season=season,
    )


# Quantiles of all rows together, with their interval.


def pooled_quantile(
    values: ndarray, group: ndarray, cells: Cells, level: float, *, root: bool = False
) -> Estimate:
    """Return a quantile of all rows, with the interval of the share of rows below it turned into
    one of values.

    Woodruff (1952), "Confidence intervals for medians and other position measures"; the share is
    that of units and of the periods that they share (`ratio_estimate`).

    Args:
        values: Shape (rows,); NaN is left out.
        group: The cell of each.
        cells: The unit and the period of each cell.
        level: The level of the quantile.
        root: Give the square root of it.
    """
    known = ~np.isnan(values)
    rows, n = values[known], len(cells.unit)
    quantile = float(np.quantile(rows, level)) if len(rows) else -1.0
    if not len(rows) or (root and quantile < 0):
        return Estimate(None, None, None, None, "", 0, len(values))
    counts = np.bincount(group[known], minlength=n)
    below = np.bincount(group[known], rows <= quantile, n)[counts > 0]
    share = ratio_estimate(below, counts[counts > 0].astype(float), cells.where(counts > 0))
    estimate = replace(
        share,
        value=sqrt(quantile) if root else quantile,
        stderr=None,
        low=None,
        high=None,
        n=len(rows),
        n_undefined=int((~known).sum()),
    )
    if share.low is None or share.high is None or share.stderr is None or share.high == share.low:
        return estimate
    half = (share.high - share.low) / 2
    ends = [min(max(level + side * half, 0.0), 1.0) for side in (-1, 1)]
    low, high = (float(end) for end in np.quantile(rows, ends))
    if root:
        low, high = (sqrt(max(end, 0.0)) for end in (low, high))
    return replace(estimate, stderr=(high - low) / 2 * share.stderr / half, low=low, high=high)


# The scores of forecasts: every metric over series, over steps and pooled, each with its
# uncertainty.

CHOOSING_COST = Measure(
    "choosing_cost",
    meaning="how much worse a choice of members is on windows left out than on those it was made "
    "by, in mase",
    units="series",
)
"""Scored where a model tells it."""

FROM_LAST = "from_last"
"""The column with the rows from a series' last cutoff back to a row's own, 0 or below, where no
clock tells which cutoffs of two series fall together.
"""


@dataclass(frozen=True, eq=False)
class CodedRows:
    """Answers with the series and the (series, cutoff) that each row belongs to, as codes from 0.

    Attributes:
        forecasts: The rows.
        series, group, step: The series, the group of one series and cutoff, and the step of each
            row.
        cells: The series and the cutoff of each group.
        n_fallback: Series that a fallback answered for.
    """

    forecasts: ForecastArrays
    series: ndarray
    group: ndarray
    cells: Cells
    step: ndarray
    n_fallback: int

    @property
    def n_series(self) -> int:
        """The number of series."""
        return int(self.series.max()) + 1 if len(self.series) else 0


def score_forecasts(
    table: DataFrame, levels: tuple[float, ...], extra: tuple[Metric, ...] = ()
) -> list[Score]:
    """Return all scores of one model's predictions.

    A series counts once: its value is the mean over its cutoffs of the ratio of sums at each.
    `mean` and `median` run over series, `pooled` over all rows. The error of each is of other
    series and of other cutoffs, whose shocks series share. No interval of an error reaches below 0.
    """
    season = int(table["season"][0])
    rows = code_rows(table, levels, season)
    metrics = (*forecast_metrics(season, levels).values(), *extra)
    scores = [
        score
        for made, chosen in ((_aggregates, metrics), (_by_step, [m for m in metrics if m.by_step]))
        for metric in chosen
        for score in _errors_from_zero(metric, rows, made(metric, rows))
    ]
    scores += [_skill(metric, rows) for metric in metrics if metric.skill]
    if CHOOSING_COST.name in table.columns:
        scores.append(_choosing_score(table))
    return [replace(score, n_fallback=rows.n_fallback) for score in scores]


def _choosing_score(table: DataFrame) -> Score:
    """Return the cost of choosing members, as the model reports it."""
    values = table.group_by(SERIES).agg(col(CHOOSING_COST.name).mean())[CHOOSING_COST.name]
    return Score.of(CHOOSING_COST.name, "mean", unit_mean(values.to_numpy()))


def forecast_measures(
    season: int, levels: tuple[float, ...], extra: tuple[Metric, ...] = ()
) -> tuple[Measure, ...]:
    """Return the description of each metric of `score_forecasts`."""
    metrics = (*forecast_metrics(season, levels).values(), *extra)
    return (*metrics, *(metric.as_skill() for metric in metrics if metric.skill), CHOOSING_COST)


def code_rows(
    table: DataFrame, levels: tuple[float, ...], season: int, like: CodedRows | None = None
) -> CodedRows:
    """Return predictions as arrays.

    Args:
        table: The predictions of one model.
        levels: The levels of its quantiles.
        season: The season of the seasonal naive.
        like: The arrays of another model with the same series, cutoff and step in each row, whose
            codes are taken.
    """
    columns = {
        name: table[name].to_numpy()
        for name in table.columns
        if table[name].dtype == pl.Float64 or name == "step"
    }
    forecasts = forecast_arrays(columns, levels, season)
    fallback = table[SERIES].filter(table["fallback"]).n_unique()
    if like is not None:
        return replace(like, forecasts=forecasts, n_fallback=fallback)
    series, cutoffs = (
        each.rank("dense").to_numpy().astype(np.int64) - 1
        for each in (table[SERIES], forecast_origins(table)["cutoff"])
    )
    many = int(cutoffs.max()) + 1
    keys, at, group = np.unique(series * many + cutoffs, return_index=True, return_inverse=True)
    cluster = codes_of(table[CLUSTER_COLUMN])[at] if CLUSTER_COLUMN in table.columns else None
    cells = Cells(keys // many, keys % many, *forecast_reach(table, season), cluster)
    return CodedRows(forecasts, series, group, cells, table["step"].to_numpy(), fallback)


def forecast_origins(table: DataFrame) -> DataFrame:
    """Return the cutoff and the time of each row on one clock of all series: the data's own, or
    that of `FROM_LAST`.
    """
    if FROM_LAST not in table.columns:
        return table.select("cutoff", TIME)
    return table.select(col(FROM_LAST).alias("cutoff"), col(TIME) - col("cutoff") + col(FROM_LAST))


def forecast_reach(table: DataFrame, season: int) -> tuple[int, float, float, int]:
    """Return the number of cutoffs that one window spans, 1 where none overlap, the share of a
    season in all of them, the time between cutoffs in windows, and the steps of a window.

    The share is infinite where there is no season.
    """
    first, last = (int(end) for end in (table["step"].min(), table["step"].max()))  # type: ignore[arg-type]
    steps = last - first + 1
    table = forecast_origins(table)
    seen = table[TIME].n_unique() / season if season > 1 else inf
    cutoffs = table["cutoff"].unique().sort()
    if len(cutoffs) < 2:
        return 1, seen, 1.0, steps
    ends = table.group_by("cutoff").agg(col(TIME).max()).sort("cutoff")[TIME]
    begun, ended = (each.cast(pl.Int64).to_numpy() for each in (cutoffs, ends.cast(cutoffs.dtype)))
    later = np.searchsorted(begun, ended, side="left")
    row = np.median(ended - begun) / last  # months have not the same number of days
    stride = max(round(np.median(np.diff(begun)) / row), 1)
    return int(max(later - np.arange(len(cutoffs)), default=1)), seen, stride / steps, steps


def per_series(metric: Metric, rows: CodedRows) -> ndarray:
    """Return the metric of each series, shape (n_series,), NaN where it has none."""
    value = per_origin(metric, rows)
    defined = ~np.isnan(value)
    total = np.bincount(rows.cells.unit[defined], value[defined], rows.n_series)
    count = np.bincount(rows.cells.unit[defined], minlength=rows.n_series)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def per_origin(metric: Metric, rows: CodedRows, forecasts: ForecastArrays | None = None) -> ndarray:
    """Return the metric of each series at each of its cutoffs, in the order of both, shape
    (groups,), NaN where it has none.
    """
    top, bottom, undefined = _metric_parts(metric, forecasts or rows.forecasts)
    n = len(rows.cells.unit)
    if metric.quantile is not None:
        value = group_quantiles(_ratios(top, bottom, undefined), rows.group, n, metric.quantile)
    else:
        above, below = np.bincount(rows.group, top, n), np.bincount(rows.group, bottom, n)
        value = np.where(below != 0, above / np.where(below == 0, 1, below), np.nan)
    return np.sqrt(value) if metric.root else value


def per_block(metric: Metric, rows: CodedRows, forecasts: ForecastArrays | None = None) -> ndarray:
    """Return the metric of each block of steps of each series and cutoff, whose mean is about that
    of `per_origin`, shape (groups, blocks).

    A block without a value has that of the whole window.
    """
    whole = per_origin(metric, rows, forecasts)[:, None]
    count = 1 if metric.quantile else blocks_of(rows.cells.periods, rows.cells.steps)
    n, first = len(whole), rows.step.min() if len(rows.step) else 0
    block = block_of_step(rows.cells.steps, count)[rows.step - first]
    top, bottom, undefined = _metric_parts(metric, forecasts or rows.forecasts)
    above, known = (
        np.bincount(rows.group * count + block, each, n * count).reshape(n, count)
        for each in (top, ~undefined)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        value = above / known * known.sum(axis=1, keepdims=True)
        value /= np.bincount(rows.group, bottom, n)[:, None]
        if metric.root:
            value = whole + (value - whole**2) / (2 * whole)
    return np.where(np.isfinite(value), value, whole)


def _ratios(top: ndarray, bottom: ndarray, undefined: ndarray) -> ndarray:
    """Return the ratio of each row, NaN where it has none."""
    return np.where(undefined | (bottom == 0), np.nan, top / np.where(bottom == 0, 1, bottom))


def _metric_parts(metric: Metric, forecasts: ForecastArrays) -> tuple[ndarray, ndarray, ndarray]:
    """Return numerator and denominator of each row, both 0 where either is undefined, and which
    rows are undefined.
    """
    top, bottom = metric.numerator(forecasts), metric.denominator(forecasts)
    undefined = np.isnan(top) | np.isnan(bottom)
    return np.where(undefined, 0, top), np.where(undefined, 0, bottom), undefined


def _aggregates(metric: Metric, rows: CodedRows) -> Iterator[Score]:
    values = per_origin(metric, rows)
    known = ~np.isnan(values)
    cells = rows.cells.where(known)
    blocks, undefined = per_block(metric, rows), rows.n_series - cells.units
    for aggregate, estimate in (("mean", mean_estimate), ("median", median_estimate)):
        found = estimate(values[known], cells, undefined, blocks[known])
        yield Score.of(metric.name, aggregate, found)
    yield Score.of(metric.name, "pooled", _pooled(metric, rows, blocks))


def _errors_from_zero(metric: Metric, rows: CodedRows, scores: Iterable[Score]) -> list[Score]:
    """Return scores, the intervals of an error from 0 on: a metric that is good where low, of which
    no row is below 0.
    """
    scores = list(scores)
    below = metric.better == "low" and any((score.ci_low or 0) < 0 for score in scores)
    if not below or (_ratios(*_metric_parts(metric, rows.forecasts)) < 0).any():
        return scores
    return [replace(score, ci_low=0.0) if (score.ci_low or 0) < 0 else score for score in scores]


def _pooled(metric: Metric, rows: CodedRows, blocks: ndarray) -> Estimate:
    top, bottom, undefined = _metric_parts(metric, rows.forecasts)
    n = len(rows.cells.unit)
    if metric.quantile is not None:
        ratios = _ratios(top, bottom, undefined)
        return pooled_quantile(ratios, rows.group, rows.cells, metric.quantile, root=metric.root)
    above, below = np.bincount(rows.group, top, n), np.bincount(rows.group, bottom, n)
    known = np.bincount(rows.group, ~undefined, n) > 0
    cells, path = rows.cells.where(known), np.nan_to_num(blocks[known])
    estimate = ratio_estimate(above[known], below[known], cells, metric.root, path)
    return replace(estimate, n=int(np.sum(~undefined)), n_undefined=int(np.sum(undefined)))


def _by_step(metric: Metric, rows: CodedRows) -> Iterator[Score]:
    """Yield the mean over series at each step: of the row's own ratio, averaged over cutoffs."""
    top, bottom, undefined = _metric_parts(metric, rows.forecasts)
    ratio, blocks = _ratios(top, bottom, undefined), np.nan_to_num(per_block(metric, rows))
    for step in np.unique(rows.step):
        here = rows.step == step
        series = len(np.unique(rows.series[here]))
        known = np.flatnonzero(here & ~np.isnan(ratio))
        aggregate = "mean" if metric.quantile is None else "pooled"
        if metric.quantile is not None:
            estimate = pooled_quantile(
                ratio[known], rows.group[known], rows.cells, metric.quantile, root=metric.root
            )
        else:
            group = rows.group[known]
            cells = rows.cells.at(group)
            estimate = mean_estimate(ratio[known], cells, series - cells.units, blocks[group])
        yield replace(Score.of(metric.name, aggregate, estimate), step=int(step))


def _skill(metric: Metric, rows: CodedRows) -> Score:
    """Return 1 - the metric over that of the seasonal naive on the same rows."""
    naive = replace(rows.forecasts, mean=rows.forecasts.naive, median=rows.forecasts.naive)
    ours, theirs = per_origin(metric, rows), per_origin(metric, rows, naive)
    known = ~(np.isnan(ours) | np.isnan(theirs))
    cells = rows.cells.where(known)
    ours, theirs, weights = ours[known], theirs[known], cells.weights
    whole, name = float(weights @ theirs), metric.as_skill().name
    if not whole:
        return Score.of(name, "mean", mean_estimate(np.zeros(0), cells, rows.n_series))
    ratio = float(weights @ ours) / whole
    added = (ours - ratio * theirs) / whole  # Cochran, Sampling Techniques, 6.4
    blocks = (per_block(metric, rows) - ratio * per_block(metric, rows, naive))[known] / whole
    estimate = mean_estimate(1 - ratio - added, cells, rows.n_series - cells.units, -blocks)
    return Score.of(name, "mean", skill_on_logarithms(estimate, ratio, cells.fewest))


def skill_on_logarithms(estimate: Estimate, ratio: float, fewest: int) -> Estimate:
    """Return the skill with its interval made of the ratio's logarithm, as a comparison makes it,
    so that both say the same.
    """
    if estimate.low is None or estimate.high is None or ratio <= 0:
        return estimate
    ends = [1 - ratio * exp((1 - ratio - end) / ratio) for end in (estimate.low, estimate.high)]
    low, high = reaching_zero(ends[0], ends[1], fewest)
    return replace(estimate, low=low, high=high)


# Levels and metrics as a config names them.


def _rising_with_median(levels: tuple[float, ...]) -> tuple[float, ...]:
    if list(levels) != sorted(set(levels)):
        raise ValueError("must rise")
    if 0.5 not in levels:
        raise ValueError("must have 0.5 among them")
    return levels


Levels = Annotated[tuple[Level, ...], MinLen(1), AfterValidator(_rising_with_median)]


def _name_or_metric(value: object) -> object:
    if not isinstance(value, str | Metric):
        raise ValueError("must be 'package.module:name' or a hwds.Metric")
    return value


Metrics = tuple[Annotated[str | Metric, PlainValidator(_name_or_metric)], ...]


def named_metrics(names: Metrics) -> tuple[Metric, ...]:
    """Return the user's own metrics, `my_pkg.metrics:my_metric` each, or, from Python, the metric
    itself.

    Raises:
        ConfigError: There is no such module or metric.
    """
    return tuple(_resolve_metric(_metric_path(i), name) for i, name in enumerate(names))


def check_metrics(names: Metrics, levels: Sequence[float]) -> tuple[Metric, ...]:
    """Return `named_metrics`, each tried on a few made-up rows, before any data is loaded.

    Raises:
        ConfigError: As `named_metrics`; a name is taken, or a function fails or does not return one
            number a row.
    """
    metrics = named_metrics(names)
    taken = {measure.short for measure in forecast_measures(1, tuple(levels))}
    rows = _example_arrays(levels)
    for i, metric in enumerate(metrics):
        path = _metric_path(i)
        if metric.short in taken or metric.name in {other.name for other in metrics[:i]}:
            raise ConfigError(f"{path}: there is a metric '{metric.short}' already; rename it.")
        if metric.quantile is not None and not 0 < metric.quantile < 1:
            raise ConfigError(
                f"{path}: the quantile of '{metric.name}' must be > 0 and < 1, got "
                f"{metric.quantile}."
            )
        for part in ("numerator", "denominator"):
            _check_part(f"{path}: the {part} of '{metric.name}'", getattr(metric, part), rows)
    return metrics


def _check_part(what: str, part: MetricPart, rows: ForecastArrays) -> None:
    shape, actual = rows.actual.shape, np.array2string(rows.actual, separator=", ")
    wanted = f"must return an array of one number a row, shape {shape}"
    given = f"; given were {len(rows.actual)} made-up rows, actual {actual}"
    try:
        with np.errstate(all="ignore"):
            values = part(rows)
    except Exception as error:  # a user's own function may fail in any way
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise ConfigError(
            f"{what} fails: {reason}; it {wanted}{given} (-v shows where)."
        ) from error
    if not isinstance(values, ndarray):
        raise ConfigError(f"{what} {wanted}, got {with_article(type(values).__name__)}{given}.")
    if values.shape != shape or values.dtype.kind not in "biuf":
        raise ConfigError(f"{what} {wanted}, got {values.dtype} of shape {values.shape}{given}.")


def _example_arrays(levels: Sequence[float]) -> ForecastArrays:
    """Return two forecasts of three steps; no two columns are equal, and none is 0."""
    actual = np.array([10.0, 12, 9, 14, 11, 15])
    columns = {
        "step": np.array([1, 2, 3] * 2),
        "actual": actual,
        "mean": actual + 1,
        "seasonal_naive": actual - 2,
    }
    columns |= {f"q_{level:g}": actual + 1 + level for level in levels}
    scales = {"scale_abs": np.full(6, 3.0), "scale_sq": np.full(6, 9.5)}
    return forecast_arrays(columns | scales, levels, 1)


def _metric_path(index: int) -> str:
    return f"protocol.metrics[{index}]"


def _resolve_metric(path: str, name: str | Metric) -> Metric:
    if isinstance(name, Metric):
        return name
    known = {metric.short for metric in forecast_metrics(1, (0.1, 0.5, 0.9)).values()}
    module_name, _, attribute = current_path(name).partition(":")
    if name in known:
        raise ConfigError(
            f"{path}: '{name}' is built in and always computed; protocol.headline={name} orders "
            f"models by it."
        )
    if not attribute:
        raise ConfigError(
            f"{path}: no metric '{name}'{nearest(name, known)} Your own is 'package.module:name'."
        )
    try:
        metric = getattr(import_module(module_name), attribute)
    except (ModuleNotFoundError, AttributeError) as error:
        raise ConfigError(f"{path}: {error}.") from error
    except Exception as error:  # a user's own module may fail in any way
        raise ConfigError(
            f"{path}: module '{module_name}' fails: {type(error).__name__}: {error} (-v shows "
            f"where)."
        ) from error
    if not isinstance(metric, Metric):
        raise ConfigError(
            f"{path}: '{name}' is {with_article(type(metric).__name__)}, not a hwds.Metric."
        )
    return metric
