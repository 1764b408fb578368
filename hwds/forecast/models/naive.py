"""The naive forecast."""

from __future__ import annotations

from hwds.forecast.models.base import ForecastContext, Forecaster
from hwds.forecast.models.seasonal_naive import FittedSeasonalNaive
from hwds.frames.panel import Panel


class Naive(Forecaster):
    """The last known value, with normal intervals that widen with the root of the step.

    It is the best forecast of a random walk: Hyndman and Athanasopoulos, Forecasting: Principles
    and Practice (3rd ed.), sections 5.2 and 5.5.
    """

    local = True

    def learn(
        self, history: Panel, *, horizon: int, context: ForecastContext
    ) -> FittedSeasonalNaive:
        """Learn nothing but the levels: it is the seasonal naive with a season of one row."""
        return FittedSeasonalNaive(1, context.levels)
