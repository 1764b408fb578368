"""The metrics of point and quantile forecasts, each a ratio of two sums over rows whose definition is in its name.

Every metric reads the functional that it is made for: absolute errors the median, squared errors and the bias the mean
(Gneiting 2011, "Making and evaluating point forecasts").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hwds.metrics.base import Beside, Measure

SEASONAL_NAIVE = "forecast/seasonal_naive"
"""The label of the model that forecasts are held against."""


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
class Metric(Measure):
    """sum(numerator) / sum(denominator) over the rows of a series at one cutoff, or over all; a row with NaN is undefined.

    `meaning`, `better` and `beside` are those of `Measure`; a metric of yours needs no other entry anywhere.

    Attributes:
        numerator: Rows to amounts.
        denominator: Rows to what they are divided by.
        root: The square root of the ratio.
        by_step: Is also shown for each step of the horizon.
        skill: Is also shown as a skill, 1 - the metric over that of the seasonal naive.
    """

    numerator: Part
    denominator: Part = lambda answers: answers.ones
    root: bool = False
    by_step: bool = field(default=False, kw_only=True)
    skill: bool = field(default=False, kw_only=True)
    units: str = field(default="series", kw_only=True)
    reference: str = field(default=SEASONAL_NAIVE, kw_only=True)


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
    """Errors over those of the in-sample seasonal naive."""
    mase = "mean absolute error of the median forecast over that of the in-sample seasonal naive, season m"
    rmsse = "root of the mean squared error of the mean forecast over that of the in-sample seasonal naive, season m"
    name = f"[m={season}]"
    return (
        Metric(f"mase{name}", absolute, lambda a: a.scale_abs, meaning=mase, beside="always", by_step=True, skill=True),
        Metric(f"rmsse{name}", squared, lambda a: a.scale_sq, root=True, meaning=rmsse, skill=True),
    )


def quantile_metrics(levels: Sequence[float]) -> tuple[Metric, ...]:
    """The metrics of quantile forecasts: `pinball[q=0.1]`, `wql[9]`, and coverage and width of each central interval.

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
    """Coverage and width of a central interval; those of the widest stand beside the headline."""
    name = f"{levels[high] - levels[low]:.0%}".replace("%", "")
    share = "share of actuals inside the central interval; the nearer to its level the better"
    width = "mean width of the central interval, in the target's unit; narrow is good where the coverage holds"
    shown: tuple[Beside, Beside] = ("always", "page") if widest else ("no", "no")
    return (
        Metric(f"coverage[{name}%]", _covered(low, high), meaning=share, better="none", beside=shown[0], by_step=True),
        Metric(f"width[{name}%]", _width(low, high), meaning=width, better="none", beside=shown[1], by_step=True),
    )


def forecast_metrics(season: int, levels: Sequence[float]) -> dict[str, Metric]:
    """Every metric of the task by its name."""
    found: dict[str, Metric] = {}
    for metric in (*point_metrics(season), *quantile_metrics(levels)):
        found[metric.name] = metric
    return found


def _size(answers: Answers) -> np.ndarray:
    return np.abs(answers.actual)


def _excess(answers: Answers) -> np.ndarray:
    return answers.mean - answers.actual


def _double_pinball(answers: Answers) -> np.ndarray:
    return 2 * np.mean(answers.pinball(), axis=1)


def _smape_m4(answers: Answers) -> np.ndarray:
    total = np.abs(answers.actual) + np.abs(answers.median)
    return np.where(total == 0, 0.0, 200 * absolute(answers) / np.where(total == 0, 1, total))


def _mape(answers: Answers) -> np.ndarray:
    return 100 * absolute(answers) / np.where(answers.actual == 0, np.nan, np.abs(answers.actual))


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
