"""The drift forecast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from hwds.core.serialization import Serializable
from hwds.forecast.models.base import ForecastContext, Forecaster, normal_bands
from hwds.frames.panel import Forecasts, Panel


class Drift(Forecaster):
    """The line through the first and the last known value of a series, with normal intervals.

    It is the best forecast of a random walk with drift: Hyndman and Athanasopoulos, Forecasting:
    Principles and Practice (3rd ed.), sections 5.2 and 5.5; the variance counts the estimate of the
    slope: sigma^2 h (1 + h / (T - 1)).
    """

    local = True

    def learn(self, history: Panel, *, horizon: int, context: ForecastContext) -> FittedDrift:
        """Learn nothing but the levels."""
        return FittedDrift(context.levels)


@dataclass(frozen=True)
class FittedDrift(Serializable):
    """The quantile levels."""

    levels: tuple[float, ...]

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Follow the line of each series from its last row.

        A series with one known value repeats it.
        """
        mean, ahead, rows, spread = _drift_lines(history, int(future.lengths[0]))
        return normal_bands(
            mean, spread[:, None] * np.sqrt(ahead * (1 + ahead / rows[:, None])), self.levels
        )

    def sample(
        self, history: Panel, future: Panel, n: int, streams: Sequence[np.random.Generator]
    ) -> ndarray:
        """Draw paths of a random walk whose drift is itself drawn from its estimate's distribution.

        Shape (series, n, h).
        """
        mean, ahead, rows, spread = _drift_lines(history, int(future.lengths[0]))
        paths = np.empty((len(mean), n, mean.shape[1]))
        for i, stream in enumerate(streams):
            slope = stream.standard_normal((n, 1)) * ahead[i] / np.sqrt(rows[i])
            first = np.sqrt(ahead[i, 0]) * stream.standard_normal((n, 1))
            later = stream.standard_normal((n, mean.shape[1] - 1))
            paths[i] = mean[i] + spread[i] * (slope + np.hstack([first, later]).cumsum(1))
        return paths


def _drift_lines(history: Panel, steps: int) -> tuple[ndarray, ndarray, ndarray, ndarray]:
    """Return each series' line, the rows from its last known value to each step, the line's rows
    and the spread of a change.

    The first two have the shape (n_series, steps), the others (n_series,).
    """
    first, last, value, slope = _line_ends(history)
    gone = (history.offsets[1:] - 1 - last)[
        :, None
    ]  # rows since the last known value: a hole at the end is stepped over
    ahead = np.arange(1, steps + 1) + gone
    spread = _change_spread(history, slope)
    return value[:, None] + slope[:, None] * ahead, ahead, np.maximum(last - first, 1), spread


def _line_ends(history: Panel) -> tuple[ndarray, ndarray, ndarray, ndarray]:
    """Return the rows of each series' first and last known value, the last value, the mean change a
    row; shape (n_series,).
    """
    target, starts, ends = history.target, history.offsets[:-1], history.offsets[1:]
    row = np.arange(len(target))
    known = ~np.isnan(target)
    first = np.minimum(np.minimum.reduceat(np.where(known, row, len(row)), starts), ends - 1)
    last = np.maximum(np.maximum.reduceat(np.where(known, row, -1), starts), starts)
    return first, last, target[last], (target[last] - target[first]) / np.maximum(last - first, 1)


def _change_spread(history: Panel, slope: ndarray) -> ndarray:
    """Return the root mean square of changes from row to row less the slope, by n - 1.

    0 where none, shape (n_series,).
    """
    change = np.diff(history.target, prepend=np.nan)
    usable = (history.positions > 0) & ~np.isnan(change)
    series = history.series_of_row[usable]
    squares = np.bincount(series, (change[usable] - slope[series]) ** 2, minlength=history.n_series)
    return np.sqrt(squares / np.maximum(np.bincount(series, minlength=history.n_series) - 1, 1))
