"""The theta model of a series without a season: its fit, its forecast and the variance of its errors, compiled."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from hwds.core.numba_cache import compiled, helper

LEAST_PACE, MOST_PACE = 0.1, 0.99
"""Bounds of the smoothing parameter, as in statsforecast and R's forecTheta."""

COARSE, FINE = 24, 26
"""Smoothing parameters that are tried evenly, and in the golden section about the best of them."""

BEGIN = 3
"""The first row whose error counts: before it two lines fit all but anything."""

PRIOR = 0.3
"""Rows that the usual weight of the line, a half, counts as: chosen on the last windows of M3's yearly training parts."""

GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0


class ThetaFit(NamedTuple):
    """A fitted theta model.

    Attributes:
        loss: The mean square of its errors one row ahead, from the fourth on.
        pace: The smoothing parameter.
        weight: The weight of the straight line, 1 - 1 / theta.
        level, mean, first, slope: The state after the last row: the smoothed level, the mean of the series, and its line.
    """

    loss: float
    pace: float
    weight: float
    level: float
    mean: float
    first: float
    slope: float


def fit_theta(values: np.ndarray, *, dynamic: bool, weight: float = math.nan) -> ThetaFit:
    """Fit a theta model by least squares.

    Fiorucci et al. (2016), "Models for optimising the theta method and their relationship to state space models", equations
    (9) and (12). Given the smoothing parameter the forecast is linear in the first level and in the weight of the line, which
    are solved for; so that the search is over one number. An estimated weight is drawn a little to a half, theta being 2, for
    in short series it would follow chance.

    Args:
        values: The series without a season, shape (n,), n above 3.
        dynamic: Whether the line is that of the rows so far, or of all of them.
        weight: Of the line; NaN has it estimated, between 0 and 1.
    """
    result = np.zeros(len(ThetaFit._fields))
    compiled(theta_search)(np.ascontiguousarray(values, np.float64), dynamic, weight, np.zeros((2, len(values))), result)
    return ThetaFit(*result.tolist())


def theta_search(values: np.ndarray, dynamic: bool, weight: float, lines: np.ndarray, result: np.ndarray) -> None:
    """Write the fit into `result`, in the order of `ThetaFit`; `lines` is space, shape (2, n)."""
    n = len(values)
    mean, first, slope = values[0], values[0], 0.0
    for i in range(n):
        if i > 0:
            slope = ((i - 1) * slope + 6.0 * (values[i] - mean) / (i + 1)) / (i + 2)
            mean = (i * mean + values[i]) / (i + 1)
            first = mean - slope * (i + 2) / 2.0
        lines[0, i], lines[1, i] = first, slope
    if not dynamic:
        for i in range(n):
            lines[0, i], lines[1, i] = first, slope
    best, at = np.inf, 0
    for k in range(COARSE + 1):
        pace = LEAST_PACE + (MOST_PACE - LEAST_PACE) * k / COARSE
        loss = _loss(values, lines, pace, weight, result)
        if loss < best:
            best, at = loss, k
    step = (MOST_PACE - LEAST_PACE) / COARSE
    low, high = max(LEAST_PACE, LEAST_PACE + step * (at - 1)), min(MOST_PACE, LEAST_PACE + step * (at + 1))
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    of_left, of_right = _loss(values, lines, left, weight, result), _loss(values, lines, right, weight, result)
    for _ in range(FINE):
        if of_left <= of_right:
            high, right, of_right = right, left, of_left
            left = high - GOLDEN * (high - low)
            of_left = _loss(values, lines, left, weight, result)
        else:
            low, left, of_left = left, right, of_right
            right = low + GOLDEN * (high - low)
            of_right = _loss(values, lines, right, weight, result)
    fine = left if of_left <= of_right else right
    coarse = LEAST_PACE + step * at
    chosen = coarse if best < min(of_left, of_right) else fine
    _loss(values, lines, chosen, weight, result)
    result[4], result[5], result[6] = mean, first, slope


@helper
def _loss(values: np.ndarray, lines: np.ndarray, pace: float, weight: float, result: np.ndarray) -> float:
    """Return what is made least by the best first level and weight; write the mean square error, pace, weight, last level."""
    n, rest = len(values), 1.0 - pace
    level, faded = pace * values[0], rest
    rr, rd, rg, dd, dg, gg = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(1, n):
        if i >= BEGIN:
            error = values[i] - level
            line = lines[0, i - 1] * faded + lines[1, i - 1] * (1.0 - faded * rest) / pace
            rr += error * error
            rd += error * faded
            rg += error * line
            dd += faded * faded
            dg += faded * line
            gg += line * line
        level = pace * values[i] + rest * level
        faded *= rest
    used, prior = weight, 0.0
    if math.isnan(weight):
        prior = PRIOR * gg / (n - BEGIN)
        free = (gg + prior) * dd - dg * dg
        used = ((rg + 0.5 * prior) * dd - rd * dg) / free if free > 0.0 else 0.5
        used = min(max(used, 0.0), 1.0)
    start = (rd - used * dg) / dd
    square = max(rr + start * start * dd + used * used * gg - 2.0 * (start * rd + used * rg - start * used * dg), 0.0)
    result[0], result[1], result[2], result[3] = square / (n - BEGIN), pace, used, level + faded * start
    return square + prior * (used - 0.5) ** 2


def ahead(fit: ThetaFit, rows: int, steps: int, *, dynamic: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the forecast of the next rows and the variances of its errors, both of shape (steps,).

    The model is linear in its errors, so that a variance is that of one row times the sum of the squares of what an error of 1
    in each of the rows before, and in its own, does to it.

    Args:
        fit: Of the series.
        rows: Rows of the series.
        steps: Steps to answer for.
        dynamic: As in the fit.
    """
    mean, variance = np.zeros(steps), np.zeros(steps)
    compiled(theta_ahead)(np.array(fit), rows, dynamic, mean, variance)
    return mean, variance * fit.loss * (rows - BEGIN) / max(rows - BEGIN - 1, 1)


def theta_ahead(fit: np.ndarray, rows: int, dynamic: bool, mean: np.ndarray, variance: np.ndarray) -> None:
    """Write the forecasts, and the sums of squares; `fit` is in the order of `ThetaFit`."""
    steps = len(mean)
    _walk(fit[1], fit[2], fit[3], fit[4], fit[5], fit[6], rows, -1, dynamic, mean, False)
    for shaken in range(steps):
        _walk(fit[1], fit[2], 0.0, 0.0, 0.0, 0.0, rows, shaken, dynamic, variance, True)


@helper
def _walk(
    pace: float,
    weight: float,
    level: float,
    mean: float,
    first: float,
    slope: float,
    rows: int,
    shaken: int,
    dynamic: bool,
    out: np.ndarray,
    squared: bool,
) -> None:
    """Write what the model says of each next row, or add its square, where the row `shaken` is 1 more than it says."""
    for step in range(max(shaken, 0), len(out)):
        i = rows + step
        faded = (1.0 - pace) ** i
        value = level + weight * (first * faded + slope * (1.0 - faded * (1.0 - pace)) / pace)
        if step == shaken:
            value += 1.0
        if squared:
            out[step] += value * value
        else:
            out[step] = value
        level += pace * (value - level)
        if dynamic:
            slope = ((i - 1) * slope + 6.0 * (value - mean) / (i + 1)) / (i + 2)
            mean = (i * mean + value) / (i + 1)
            first = mean - slope * (i + 2) / 2.0
