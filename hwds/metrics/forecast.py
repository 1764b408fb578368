"""The metrics of point and quantile forecasts, each a ratio of two sums over rows whose definition is in its name.

Every metric reads the functional that it is made for: absolute errors the median, squared errors and the bias the mean
(Gneiting 2011, "Making and evaluating point forecasts").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Answers:
    """Forecasts and what happened, one entry a row.

    Attributes:
        actual, mean, median: Shape (rows,), in the target's unit.
        quantiles: Shape (rows, levels).
        levels: The quantile levels, shape (levels,).
        scale_abs, scale_sq: The series' in-sample mean absolute and squared seasonal difference, NaN where it has none.
        naive: The seasonal naive forecast.
        season: Rows in a season.
    """

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
        """The quantile loss of each row and level, shape (rows, levels) (Koenker and Bassett 1978)."""
        error = self.actual[:, None] - self.quantiles
        return np.maximum(self.levels * error, (self.levels - 1) * error)


Part = Callable[[Answers], np.ndarray]


@dataclass(frozen=True, slots=True)
class Metric:
    """sum(numerator) / sum(denominator) over the rows of a series at one cutoff, or over all; a row with NaN is undefined.

    Attributes:
        name: The column's name in the tables, definition included.
        numerator: Rows to amounts.
        denominator: Rows to what they are divided by.
        root: The square root of the ratio.
        better: `low`, `high`, or `none` where neither is (bias, coverage, width).
        by_step: Is also shown for each step of the horizon.
    """

    name: str
    numerator: Part
    denominator: Part = lambda answers: answers.ones
    root: bool = False
    better: str = "low"
    by_step: bool = False


def absolute(answers: Answers) -> np.ndarray:
    """|actual - median|."""
    return np.abs(answers.actual - answers.median)


def squared(answers: Answers) -> np.ndarray:
    """(actual - mean)^2."""
    return (answers.actual - answers.mean) ** 2


def point_metrics(season: int) -> tuple[Metric, ...]:
    """The metrics of point forecasts.

    `smape_m4` runs from 0 to 200 (Makridakis, Spiliotis and Assimakopoulos 2020, "The M4 competition"); where actual and
    forecast are both zero it is 0. `mape` is undefined where the actual is zero; such rows are counted, not replaced.
    """
    return (
        Metric("mae", absolute),
        Metric("rmse", squared, root=True),
        Metric("bias", lambda a: a.mean - a.actual, better="none"),
        Metric(f"mase[m={season}]", absolute, lambda a: a.scale_abs, by_step=True),
        Metric(f"rmsse[m={season}]", squared, lambda a: a.scale_sq, root=True),
        Metric("wape", absolute, lambda a: np.abs(a.actual)),
        Metric("smape_m4", _smape_m4),
        Metric("mape", lambda a: 100 * absolute(a) / np.where(a.actual == 0, np.nan, np.abs(a.actual))),
    )


def quantile_metrics(levels: Sequence[float]) -> tuple[Metric, ...]:
    """The metrics of quantile forecasts: `pinball[q=0.1]`, `wql[9]`, and coverage and width of each central interval.

    `wql[k]` is 2 x the mean pinball loss over k levels, over the mean absolute actual; it depends on the grid of levels.
    """
    single = tuple(Metric(f"pinball[q={level:g}]", _at(i)) for i, level in enumerate(levels))
    wql = Metric(f"wql[{len(levels)}]", lambda a: 2 * np.mean(a.pinball(), axis=1), lambda a: np.abs(a.actual), by_step=True)
    pairs = [(i, len(levels) - 1 - i) for i in range(len(levels) // 2) if abs(levels[i] + levels[-1 - i] - 1) < 1e-9]
    bands: list[Metric] = []
    for low, high in pairs:
        name = f"{levels[high] - levels[low]:.0%}".replace("%", "")
        bands.append(Metric(f"coverage[{name}%]", _covered(low, high), better="none", by_step=True))
        bands.append(Metric(f"width[{name}%]", _width(low, high), better="none"))
    return (*single, wql, *bands)


def forecast_metrics(season: int, levels: Sequence[float]) -> dict[str, Metric]:
    """Every metric of the task by the short name that a config uses (`mase`, `wql`, `coverage`)."""
    found: dict[str, Metric] = {}
    for metric in (*point_metrics(season), *quantile_metrics(levels)):
        found[metric.name] = metric
    return found


def short(name: str) -> str:
    """`mase` of `mase[m=12]`."""
    return name.partition("[")[0]


def _smape_m4(answers: Answers) -> np.ndarray:
    total = np.abs(answers.actual) + np.abs(answers.median)
    return np.where(total == 0, 0.0, 200 * absolute(answers) / np.where(total == 0, 1, total))


def _at(index: int) -> Part:
    return lambda answers: answers.pinball()[:, index]


def _covered(low: int, high: int) -> Part:
    def inside(answers: Answers) -> np.ndarray:
        hit = (answers.quantiles[:, low] <= answers.actual) & (answers.actual <= answers.quantiles[:, high])
        return np.where(np.isnan(answers.actual) | np.isnan(answers.quantiles[:, low]), np.nan, hit.astype(float))

    return inside


def _width(low: int, high: int) -> Part:
    return lambda answers: answers.quantiles[:, high] - answers.quantiles[:, low]


def answers_of(columns: dict[str, Any], levels: Sequence[float], season: int) -> Answers:
    """Answers from the columns of a predictions table (`actual`, `mean`, `q_0.1`, ...)."""
    quantiles = (
        np.column_stack([columns[f"q_{level:g}"] for level in levels]) if levels else np.empty((len(columns["mean"]), 0))
    )
    median = columns.get("q_0.5", columns["mean"])
    given = {name: columns[name] for name in ("actual", "mean", "scale_abs", "scale_sq")}
    return Answers(
        **given, median=median, quantiles=quantiles, levels=np.asarray(levels), naive=columns["seasonal_naive"], season=season
    )
