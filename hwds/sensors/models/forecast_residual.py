"""Residuals of sensors beside a forecast by their own past."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy import ndarray

from hwds.core.recipe import Positive, Steps
from hwds.core.serialization import Serializable
from hwds.frames.signals import RunFeatures, moving_mean
from hwds.sensors.models.base import SIGNALS, NormalRows, SensorContext, SensorModel


class ForecastResidual(SensorModel):
    """A linear forecast of all sensors from all of them some rows before, and how far off it is.

    Two statistics have half of the false alarms each: the mean residual of the last rows, which
    finds moving levels, and their mean squared residual, which finds growing noise. A moved level
    is forecast correctly after `ahead` rows, except for the evidence of the other sensors:
    residuals show changes, and show long faults best at their beginning.

    Attributes:
        lags: Rows that a forecast reads.
        ahead: Rows from the last of them to the one that is forecast.
        window: Rows over which residuals are averaged.
        ridge: The penalty of coefficients, against the variance of a sensor.
    """

    uses_features = False
    search_space: ClassVar = {
        "ahead": {"choice": [1, 10, 30, 60]},
        "window": {"choice": [5, 10, 20, 30]},
    }

    lags: Steps = 5
    ahead: Steps = 30
    window: Steps = 10
    ridge: Positive = 0.1

    def inputs(self, context: SensorContext) -> RunFeatures:
        """Return the sensors themselves."""
        return SIGNALS

    def learn_normal(self, normal: NormalRows, context: SensorContext, part: int) -> LinearForecast:
        """Return the coefficients and the usual residuals."""
        values = normal.departures
        past = lagged_rows(values, normal.begins, self.lags, self.ahead)
        inputs, targets = past[normal.rows], values[normal.rows]
        penalty = self.ridge * len(inputs) * np.eye(inputs.shape[1])
        weights = np.linalg.solve(inputs.T @ inputs + penalty, inputs.T @ targets)
        nothing = np.ones((2, values.shape[1]))
        forecast = LinearForecast(weights, self.lags, self.ahead, self.window, nothing)
        means, squares = forecast.residuals(values, normal.begins)
        usual = np.stack([part[normal.rows].mean(axis=0) for part in (means**2, squares)])
        return replace(forecast, usual=np.maximum(usual, 1e-12))


@dataclass(frozen=True, eq=False)
class LinearForecast(Serializable):
    """A linear forecast of departures from earlier ones.

    Attributes:
        weights: Shape (lags x sensors, sensors).
        lags: Rows that it reads.
        ahead: Rows from the last of them.
        window: Rows over which residuals are averaged.
        usual: The mean of squared mean residuals, and of squared residuals, of each sensor; shape
            (2, sensors).
    """

    weights: ndarray
    lags: int
    ahead: int
    window: int
    usual: ndarray

    @property
    def past(self) -> int:
        """The rows before a row that its statistics are computed of."""
        return self.window - 1 + self.ahead + self.lags - 1

    def residuals(self, departures: ndarray, begins: ndarray) -> tuple[ndarray, ndarray]:
        """Return the mean residual and the mean squared residual of the last rows, shapes (rows,
        sensors).
        """
        past = lagged_rows(departures, begins, self.lags, self.ahead)
        forecast = np.zeros(departures.shape)
        for column in range(past.shape[1]):  # a product of matrices has other bits of one row alone
            forecast += past[:, column : column + 1] * self.weights[column]
        residual = departures - forecast
        means, squares = (
            moving_mean(part, begins, self.window) for part in (residual, residual**2)
        )
        return means, squares

    def statistics(self, departures: ndarray, begins: ndarray) -> ndarray:
        """Return both statistics over the usual ones, averaged over the sensors, shape (rows,
        2).
        """
        means, squares = self.residuals(departures, begins)
        return np.column_stack(
            [(means**2 / self.usual[0]).mean(axis=1), (squares / self.usual[1]).mean(axis=1)]
        )

    def parts(self, departures: ndarray, begins: ndarray, rows: ndarray) -> ndarray:
        """Return what each sensor adds to both."""
        means, squares = self.residuals(departures, begins)
        return means[rows] ** 2 / self.usual[0] + squares[rows] / self.usual[1]


def lagged_rows(values: ndarray, begins: ndarray, lags: int, ahead: int) -> ndarray:
    """Return the rows `ahead`, `ahead` + 1, ... before each, the first of the run where there is
    none; shape (n, lags x k).
    """
    places = np.arange(len(values))
    parts = [values[np.maximum(places - ahead - lag, begins)] for lag in range(lags)]
    return np.ascontiguousarray(np.hstack(parts))
