"""The metrics of point and quantile forecasts, each a ratio of two sums over rows whose definition is in its name.

Every metric reads the functional that it is made for: absolute errors the median, squared errors and the bias the mean
(Gneiting 2011, "Making and evaluating point forecasts").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hwds.results.measure import Beside, Measure

SEASONAL_NAIVE = "forecast/seasonal_naive"
"""The label of the model that forecasts are held against."""


@dataclass(frozen=True, eq=False)
class ForecastArrays:
    """Forecasts and what happened: what a function of a metric receives.

    A row is one step of one forecast of one series. There is one entry for each row, and a function returns as many numbers.
    The metric is the sum of its numerator over that of its denominator, so a row counts by its amount, and one with 0 in both
    is left out. NaN in either leaves a row out too, and it is counted as undefined.

    Attributes:
        step: The step of the horizon, from 1, shape (rows,): `step == step.max()` is the last one.
        actual, mean, median: Shape (rows,), in the target's unit.
        quantiles: Shape (rows, levels).
        levels: The quantile levels, shape (levels,).
        scale_abs, scale_sq: The series' in-sample mean absolute and squared seasonal difference; of a series without one, the
            mean of the others (`rows.young_scales`) or else of its own (`scale.short_scales`); NaN where it has none.
        naive: The seasonal naive forecast.
        season: Rows in a season.
    """

    step: np.ndarray
    actual: np.ndarray
    mean: np.ndarray
    median: np.ndarray
    quantiles: np.ndarray
    levels: np.ndarray
    scale_abs: np.ndarray
    scale_sq: np.ndarray
    naive: np.ndarray
    season: int

    @property
    def ones(self) -> np.ndarray:
        """A denominator that counts rows."""
        return np.ones_like(self.actual)

    def pinball(self) -> np.ndarray:
        """Return the quantile loss of each row and level, shape (rows, levels) (Koenker and Bassett 1978)."""
        error = self.actual[:, None] - self.quantiles
        return np.maximum(self.levels * error, (self.levels - 1) * error)


Part = Callable[[ForecastArrays], np.ndarray]


@dataclass(frozen=True, slots=True)
class Metric(Measure):
    """sum(numerator) / sum(denominator) over the rows of a series at one cutoff, or over all; a row with NaN is undefined.

    With `quantile` it is that quantile of the rows' own numerator / denominator instead: 0.5 for their median.

    `meaning`, `better` and `beside` are those of `Measure`; a metric of yours needs no other entry anywhere. `beside` is `no`
    where it is not given: the metric is in `scores.parquet`, and not on the leaderboard unless it is the headline.

    Attributes:
        numerator: From `ForecastArrays` to the amount of each row, shape (rows,).
        denominator: From `ForecastArrays` to what each amount is divided by, shape (rows,); 1 a row where it is not given.
        root: The square root of the ratio.
        quantile: The level of the quantile of rows, above 0 and below 1; None for the ratio of sums.
        by_step: Is also shown for each step of the horizon.
        skill: Is also shown as a skill, 1 - the metric over that of the seasonal naive.
    """

    numerator: Part
    denominator: Part = lambda forecasts: forecasts.ones
    root: bool = False
    quantile: float | None = field(default=None, kw_only=True)
    by_step: bool = field(default=False, kw_only=True)
    skill: bool = field(default=False, kw_only=True)
    units: str = field(default="series", kw_only=True)
    reference: str = field(default=SEASONAL_NAIVE, kw_only=True)


def absolute(forecasts: ForecastArrays) -> np.ndarray:
    """Return |actual - median|."""
    return np.abs(forecasts.actual - forecasts.median)


def squared(forecasts: ForecastArrays) -> np.ndarray:
    """Return (actual - mean)^2."""
    return (forecasts.actual - forecasts.mean) ** 2


def point_metrics(season: int) -> tuple[Metric, ...]:
    """Return the metrics of point forecasts.

    `smape_m4` runs from 0 to 200 (Makridakis, Spiliotis and Assimakopoulos 2020, "The M4 competition"); where actual and
    forecast are both zero it is 0. `mape` is undefined where the actual is zero; such rows are counted, not replaced.
    """
    wape = "sum of absolute errors of the median forecast over the sum of absolute actuals"
    return (
        Metric("mae", absolute, meaning="mean absolute error of the median forecast, in the target's unit"),
        Metric("rmse", squared, root=True, meaning="root mean squared error of the mean forecast, in the target's unit"),
        Metric("bias", _excess, meaning="mean of the mean forecast minus the actual, in the target's unit", better="none"),
        *_scaled(season),
        Metric("wape", absolute, _size, meaning=wape, skill=True),
        Metric("smape_m4", _smape_m4, meaning="200 |actual - median| / (|actual| + |median|), as in the M4 competition"),
        Metric("mape", _mape, meaning="100 |actual - median| / |actual|, undefined where the actual is 0"),
    )


def _scaled(season: int) -> tuple[Metric, Metric]:
    """Return the errors relative to those of the in-sample seasonal naive."""
    mase = "mean absolute error of the median forecast over that of the in-sample seasonal naive, season m"
    rmsse = "root of the mean squared error of the mean forecast over that of the in-sample seasonal naive, season m"
    mase, rmsse = (f"{text}; of a series without such, of the others' mean" for text in (mase, rmsse))
    name = f"[m={season}]"
    return (
        Metric(f"mase{name}", absolute, lambda a: a.scale_abs, meaning=mase, beside="always", by_step=True, skill=True),
        Metric(f"rmsse{name}", squared, lambda a: a.scale_sq, root=True, meaning=rmsse, skill=True),
    )


def quantile_metrics(levels: Sequence[float]) -> tuple[Metric, ...]:
    """Return the metrics of quantile forecasts: `pinball[q=0.1]`, `wql[9]`, and coverage and width of each central interval.

    `wql[k]` is 2 x the mean pinball loss over k levels, over the mean absolute actual; it depends on the grid of levels.
    """
    loss = "mean quantile (pinball) loss at level q, in the target's unit"
    single = tuple(Metric(f"pinball[q={level:g}]", _at(i), meaning=loss) for i, level in enumerate(levels))
    mean = "twice the mean pinball loss over so many quantile levels, over the mean absolute actual"
    wql = Metric(f"wql[{len(levels)}]", _double_pinball, _size, meaning=mean, beside="always", by_step=True)
    pairs = [(i, len(levels) - 1 - i) for i in range(len(levels) // 2) if abs(levels[i] + levels[-1 - i] - 1) < 1e-9]
    bands = (band for low, high in pairs for band in _band(levels, low, high, widest=low == pairs[0][0]))
    return (*single, wql, *bands)


def _band(levels: Sequence[float], low: int, high: int, *, widest: bool) -> tuple[Metric, Metric]:
    """Return coverage and width of a central interval; those of the widest stand beside the headline."""
    name = f"{levels[high] - levels[low]:.0%}".replace("%", "")
    share = "share of actuals inside the central interval; the nearer to its level the better"
    width = "mean width of the central interval, in the target's unit; narrow is good where the coverage holds"
    shown: tuple[Beside, Beside] = ("always", "page") if widest else ("no", "no")
    return (
        Metric(f"coverage[{name}%]", _covered(low, high), meaning=share, better="none", beside=shown[0], by_step=True),
        Metric(f"width[{name}%]", _width(low, high), meaning=width, better="none", beside=shown[1], by_step=True),
    )


def forecast_metrics(season: int, levels: Sequence[float]) -> dict[str, Metric]:
    """Return every metric of the task by its name."""
    metrics: dict[str, Metric] = {}
    for metric in (*point_metrics(season), *quantile_metrics(levels)):
        metrics[metric.name] = metric
    return metrics


def _size(forecasts: ForecastArrays) -> np.ndarray:
    return np.abs(forecasts.actual)


def _excess(forecasts: ForecastArrays) -> np.ndarray:
    return forecasts.mean - forecasts.actual


def _double_pinball(forecasts: ForecastArrays) -> np.ndarray:
    return 2 * np.mean(forecasts.pinball(), axis=1)


def _smape_m4(forecasts: ForecastArrays) -> np.ndarray:
    total = np.abs(forecasts.actual) + np.abs(forecasts.median)
    return np.where(total == 0, 0.0, 200 * absolute(forecasts) / np.where(total == 0, 1, total))


def _mape(forecasts: ForecastArrays) -> np.ndarray:
    return 100 * absolute(forecasts) / np.where(forecasts.actual == 0, np.nan, np.abs(forecasts.actual))


def _at(index: int) -> Part:
    return lambda forecasts: forecasts.pinball()[:, index]


def _covered(low: int, high: int) -> Part:
    def inside(forecasts: ForecastArrays) -> np.ndarray:
        hit = (forecasts.quantiles[:, low] <= forecasts.actual) & (forecasts.actual <= forecasts.quantiles[:, high])
        return np.where(np.isnan(forecasts.actual) | np.isnan(forecasts.quantiles[:, low]), np.nan, hit.astype(float))

    return inside


def _width(low: int, high: int) -> Part:
    return lambda forecasts: forecasts.quantiles[:, high] - forecasts.quantiles[:, low]


def forecast_arrays(columns: dict[str, Any], levels: Sequence[float], season: int) -> ForecastArrays:
    """Return forecasts from the columns of a predictions table (`step`, `actual`, `mean`, `q_0.1`, ...)."""
    quantiles = (
        np.column_stack([columns[f"q_{level:g}"] for level in levels]) if levels else np.empty((len(columns["mean"]), 0))
    )
    median = columns.get("q_0.5", columns["mean"])
    given = {name: columns[name] for name in ("step", "actual", "mean", "scale_abs", "scale_sq")}
    for name in ("scale_abs", "scale_sq"):
        if f"short_{name}" in columns:
            given[name] = np.where(np.isnan(given[name]), columns[f"short_{name}"], given[name])
    return ForecastArrays(
        **given, median=median, quantiles=quantiles, levels=np.asarray(levels), naive=columns["seasonal_naive"], season=season
    )
