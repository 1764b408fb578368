"""The seasonal naive forecast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.context import Context
from hwds.frames.forecasts import Forecasts
from hwds.frames.panel import Panel
from hwds.models.forecast.base import Forecaster
from hwds.models.forecast.normal import normal_bands
from hwds.recipe import Whole
from hwds.stored import Stored


class SeasonalNaive(Forecaster):
    """The value of the same season a year before, with normal intervals.

    Intervals follow Hyndman and Athanasopoulos, Forecasting: Principles and Practice (3rd ed.), section 5.5: the standard
    deviation of seasonal differences times the root of the seasons passed.

    Attributes:
        season: Rows in a season; 0 takes the dataset's.

    Example:
        python -m hwds model=forecast/seasonal_naive
    """

    local = True
    season: Whole = 0

    def fit(self, history: Panel, *, horizon: int, context: Context) -> FittedSeasonalNaive:
        """Nothing is learned but the season and the levels."""
        return FittedSeasonalNaive(self.season or context.season, context.levels)


@dataclass(frozen=True)
class FittedSeasonalNaive(Stored):
    """A season and the quantile levels."""

    season: int
    levels: tuple[float, ...]

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Repeat the last known season; where it has a hole, the last known value of the series stands in."""
        steps = np.arange(future.lengths[0])
        mean = np.stack([repeat_season(history.series(i), self.season, len(steps)) for i in range(history.n_series)])
        spread = np.array([_spread(history.series(i), self.season) for i in range(history.n_series)])
        return normal_bands(mean, spread[:, None] * np.sqrt(steps // self.season + 1), self.levels)


def repeat_season(values: np.ndarray, season: int, steps: int) -> np.ndarray:
    """The last season of one series, tiled over `steps` steps; a series shorter than a season repeats its last value."""
    known = values[~np.isnan(values)]
    last = known[-1] if len(known) else np.nan
    tail = values[-season:] if len(values) >= season else np.full(season, last)
    return np.resize(np.where(np.isnan(tail), last, tail), steps)


def _spread(values: np.ndarray, season: int) -> float:
    differences = values[season:] - values[:-season]
    known = differences[~np.isnan(differences)]
    return float(np.sqrt(np.mean(known**2))) if len(known) else 0.0
