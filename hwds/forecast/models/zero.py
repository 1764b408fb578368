"""The forecast of no demand at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.core.serialization import Serializable
from hwds.forecast.models.base import ForecastContext, Forecaster
from hwds.frames.panel import Forecasts, Panel


class Zero(Forecaster):
    """Zero for every step: the yardstick of intermittent demand.

    If most rows are zero it is the median, and beats most models by absolute errors (Kolassa 2016,
    "Evaluating predictive count data distributions in retail sales forecasting"): a forecaster that
    does not beat it has found nothing.
    """

    local = True

    def learn(self, history: Panel, *, horizon: int, context: ForecastContext) -> FittedZero:
        """Learn nothing but the levels."""
        return FittedZero(context.levels)


@dataclass(frozen=True)
class FittedZero(Serializable):
    """The quantile levels."""

    levels: tuple[float, ...]

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Return zeros, in the mean and in every quantile."""
        shape = (history.n_series, int(future.lengths[0]))
        return Forecasts.of(np.zeros(shape), np.zeros((*shape, len(self.levels))))
