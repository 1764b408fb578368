"""The naive forecast."""

from __future__ import annotations

from hwds.context import Context
from hwds.frames.panel import Panel
from hwds.models.forecast.base import Forecaster
from hwds.models.forecast.seasonal_naive import FittedSeasonalNaive


class Naive(Forecaster):
    """The last known value, with normal intervals that widen with the root of the step.

    It is the best forecast of a random walk: Hyndman and Athanasopoulos, Forecasting: Principles and Practice (3rd ed.),
    sections 5.2 and 5.5.

    Example:
        python -m hwds model=forecast/naive
    """

    local = True

    def fit(self, history: Panel, *, horizon: int, context: Context) -> FittedSeasonalNaive:
        """Learn nothing but the levels: it is the seasonal naive with a season of one row."""
        return FittedSeasonalNaive(1, context.levels)
