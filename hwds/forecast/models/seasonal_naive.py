"""The seasonal naive forecast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwds.core.recipe import ZeroSteps
from hwds.core.serialization import Serializable
from hwds.forecast.metrics import (
    LEAST_CHANGE,
    has_differences,
    last_season,
    seasonal_scales,
    short_scales,
)
from hwds.forecast.models.base import ForecastContext, Forecaster, normal_bands
from hwds.frames.panel import Forecasts, Panel


class SeasonalNaive(Forecaster):
    """The value of the same season a year before, with normal intervals.

    Intervals follow Hyndman and Athanasopoulos, Forecasting: Principles and Practice (3rd ed.),
    section 5.5: the standard deviation of seasonal differences times the root of the seasons
    passed; or of changes from row to row if a series has no two known values a season apart.

    Attributes:
        season: Rows in a season; 0 takes the dataset's.
    """

    local = True
    season: ZeroSteps = 0

    def learn(
        self, history: Panel, *, horizon: int, context: ForecastContext
    ) -> FittedSeasonalNaive:
        """Learn nothing but the season and the levels."""
        return FittedSeasonalNaive(self.season or context.season, context.levels)


@dataclass(frozen=True)
class FittedSeasonalNaive(Serializable):
    """A season and the quantile levels."""

    season: int
    levels: tuple[float, ...]

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Repeat the last known season.

        Where it has a hole, the last known value of the series stands in.
        """
        steps = int(future.lengths[0])
        mean = last_season(history.target, history.offsets, self.season, steps)
        passed = np.arange(steps) // self.season + 1
        return normal_bands(
            mean, seasonal_spread(history, self.season)[:, None] * np.sqrt(passed), self.levels
        )

    def sample(
        self, history: Panel, future: Panel, n: int, streams: Sequence[np.random.Generator]
    ) -> np.ndarray:
        """Draw paths of the seasonal random walk: each season adds a normal change to the one
        before; shape (series, n, h).
        """
        steps = int(future.lengths[0])
        seasons = -(-steps // self.season)
        mean = last_season(history.target, history.offsets, self.season, steps)
        spread = seasonal_spread(history, self.season)
        paths = np.empty((history.n_series, n, steps))
        for i, stream in enumerate(streams):
            walk = (
                stream.standard_normal((n, seasons, self.season))
                .cumsum(1)
                .reshape(n, -1)[:, :steps]
            )
            paths[i] = mean[i] + spread[i] * walk
        return paths


def seasonal_spread(history: Panel, season: int) -> np.ndarray:
    """Return the root mean square of each series' seasonal differences, shape (n_series,).

    A young series has none: it takes that of its changes from row to row, and at least a tenth of
    its mean value; of one known row the value itself.
    """
    values, lengths = history.target, history.lengths
    _, squared = seasonal_scales(values, history.offsets, season)
    without = np.isnan(squared)
    if without.any():
        rest, offsets = values[np.repeat(without, lengths)], np.append(0, lengths[without].cumsum())
        young = ~has_differences(rest, offsets, season)
        alike = has_differences(rest, offsets, 1) & np.isnan(seasonal_scales(rest, offsets, 1)[1])
        least = np.where(
            alike, LEAST_CHANGE**2, 1.0
        )  # rows that are alike tell more than one row does
        squared[without] = np.where(young, least * short_scales(rest, offsets, season)[1], 0.0)
    return np.sqrt(np.nan_to_num(squared))
