"""Exponential smoothing with a damped trend of a series without a season: its fit, forecast and variance, compiled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwds.core.numba_cache import compiled, helper

LEVELS = np.array([0.03, 0.1, 0.18, 0.27, 0.36, 0.46, 0.56, 0.66, 0.76, 0.86, 0.96])
TRENDS = np.array([0.0, 0.1, 0.25, 0.5])
DAMPINGS = np.array([0.85, 0.9, 0.95])
"""What is tried of the level's smoothing, the trend's as a share of it, and the part of a trend that a row keeps."""

PRIOR = 5.0
"""Rows that no trend counts as: chosen on the last windows of M3's training parts."""


class DampedFit(NamedTuple):
    """A fitted damped trend.

    Attributes:
        loss: The mean square of its errors one row ahead.
        level_pace, trend_pace: The smoothing parameters of level and trend.
        damping: The part of the trend that a row keeps.
        level, trend: The state after the last row.
    """

    loss: float
    level_pace: float
    trend_pace: float
    damping: float
    level: float
    trend: float


def fit_damped(values: np.ndarray) -> DampedFit:
    """Fit a damped trend by least squares.

    Gardner and McKenzie (1985), "Forecasting trends in time series". Given the parameters the errors are linear in the first
    level and trend, which are solved for, so that a coarse search over three numbers is all. The first trend, and one that
    follows the errors, are drawn to none: in short series they would follow chance.

    Args:
        values: The series without a season, shape (n,), n above 3.
    """
    result = np.zeros(len(DampedFit._fields))
    compiled(damped_search)(np.ascontiguousarray(values, np.float64), LEVELS, TRENDS, DAMPINGS, PRIOR, result)
    return DampedFit(*result.tolist())


def damped_search(
    values: np.ndarray, levels: np.ndarray, trends: np.ndarray, dampings: np.ndarray, prior: float, result: np.ndarray
) -> None:
    """Write the fit of least loss among those tried into `result`, in the order of `DampedFit`."""
    best, best_pace, best_trend, best_damping = np.inf, levels[0], trends[0], dampings[0]
    for damping in dampings:
        for trend in trends:
            for pace in levels:
                loss = _loss(values, pace, trend, damping, prior, result)
                if loss < best:
                    best, best_pace, best_trend, best_damping = loss, pace, trend, damping
    _loss(values, best_pace, best_trend, best_damping, prior, result)


@helper
def _loss(values: np.ndarray, pace: float, share: float, damping: float, prior: float, result: np.ndarray) -> float:
    """Return what is made least by the best first level and trend; write the fit.

    Three paths are smoothed beside each other: of the values from a state of zero, and of no values from a level of 1 and
    from a trend of 1. The errors of any first state are a sum of theirs.
    """
    n, trend_pace = len(values), pace * share
    level, trend, level_1, trend_1, level_2, trend_2 = 0.0, 0.0, 1.0, 0.0, 0.0, 1.0
    rr, r1, r2, s11, s12, s22 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for value in values:
        mean, mean_1, mean_2 = level + damping * trend, level_1 + damping * trend_1, level_2 + damping * trend_2
        error = value - mean
        rr += error * error
        r1 += error * mean_1
        r2 += error * mean_2
        s11 += mean_1 * mean_1
        s12 += mean_1 * mean_2
        s22 += mean_2 * mean_2
        level, trend = mean + pace * error, damping * trend + trend_pace * error
        level_1, trend_1 = mean_1 - pace * mean_1, damping * trend_1 - trend_pace * mean_1
        level_2, trend_2 = mean_2 - pace * mean_2, damping * trend_2 - trend_pace * mean_2
    drawn = s22 * (1.0 + prior / n)
    free = s11 * drawn - s12 * s12
    first = (r1 * drawn - r2 * s12) / free
    slope = (r2 * s11 - r1 * s12) / free
    square = rr - 2.0 * (first * r1 + slope * r2) + first * first * s11 + slope * slope * s22 + 2.0 * first * slope * s12
    square = max(square, 0.0)
    result[0], result[1], result[2], result[3] = square / n, pace, trend_pace, damping
    result[4], result[5] = level + first * level_1 + slope * level_2, trend + first * trend_1 + slope * trend_2
    return square * (1.0 + prior * share / n)


def damped_ahead(fit: DampedFit, rows: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the forecast of the next rows and the variances of its errors, both of shape (steps,).

    Hyndman, Koehler, Ord and Snyder (2008), Forecasting with Exponential Smoothing, table 6.1.

    Args:
        fit: Of the series.
        rows: Rows of the series.
        steps: Steps to answer for.
    """
    reach = np.cumsum(fit.damping ** np.arange(1, steps + 1))
    follows = fit.level_pace + fit.trend_pace * reach
    variance = fit.loss * rows / max(rows - 2, 1) * (1.0 + np.r_[0.0, np.cumsum(follows[:-1] ** 2)])
    return fit.level + fit.trend * reach, variance
