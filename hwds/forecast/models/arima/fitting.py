"""The parameters of one seasonal ARIMA model by least squares, in compiled code."""

from __future__ import annotations

import numpy as np

from hwds.core.numba_cache import helper
from hwds.forecast.models.arima.filter import filtered_errors
from hwds.forecast.models.arima.likelihood import conditional_errors, exact_errors, solve
from hwds.forecast.models.arima.polynomials import EDGE, Desk, Form, unpack

CONDITIONAL, EXACT, FILTERED = 0, 1, 2
"""The objective of a fit: the conditional sum of squares, the exact likelihood, or the latter of a series with holes."""

STEP = 1e-6
NEAR = 1e-7
"""A fit ends where a step gains less than this share."""


def minimise(
    way: int, form: Form, values: np.ndarray, regressors: np.ndarray, point: np.ndarray, desk: Desk, rounds: int
) -> float:
    """Move the point to where the mean square of the errors is least.

    Levenberg (1944) and Marquardt (1963) with the Jacobian by differences: the conditional and the exact likelihood of an
    ARMA model are both sums of squares.

    Args:
        way: `CONDITIONAL`, `EXACT` or `FILTERED`.
        form: The model.
        values: The differenced series, shape (rows,); for `FILTERED` the series itself, NaN where unknown.
        regressors: Differenced likewise, shape (rows, at least form.regressors).
        point: The free parameters, then the regression's; changed in place.
        desk: Scratch.
        rounds: The most trials.

    Returns:
        The least mean square.
    """
    trial, errors, left = desk.trial, desk.errors, desk.left
    shaped = form.p + form.q + form.seasonal_p + form.seasonal_q
    count, rows = shaped + form.regressors, values.size
    best, damping = np.inf, 1e-3
    for k in range(count):
        trial[k] = point[k]
    for _ in range(rounds):
        gain = -1.0
        for k in range(count + 1):
            if k:
                trial[k - 1] = point[k - 1] + STEP
            value = _errors(way, form, values, regressors, trial, desk, k if gain >= 0.0 else count + 1)
            if k:
                trial[k - 1] = point[k - 1]
            elif value < best:
                gain, best = best - value, value
                for j in range(count):
                    point[j] = trial[j]
                for t in range(rows):
                    errors[0, t] = errors[count + 1, t]
            else:
                gain = 0.0 if value - best < NEAR * best else -1.0
                break
        damping = max(damping * (0.2 if gain >= 0.0 else 8.0), 1e-9)
        if damping > 1e8 or best == np.inf or 0.0 <= gain < NEAR * best or count == 0:
            break
        _equations(left, errors, count, rows, damping)
        solve(left, count)
        for k in range(count):
            moved = point[k] + left[k, count]
            trial[k] = min(max(moved, -EDGE), EDGE) if k < shaped else moved
    return best


@helper
def _errors(way: int, form: Form, values: np.ndarray, regressors: np.ndarray, free: np.ndarray, desk: Desk, row: int) -> float:
    rest, first = desk.rest, form.p + form.q + form.seasonal_p + form.seasonal_q
    for t in range(values.size):
        rest[t] = values[t]
        for j in range(form.regressors):
            rest[t] -= free[first + j] * regressors[t, j]
    unpack(form, free, desk)
    if way == 0:
        return conditional_errors(form, values.size, desk, row)
    if way == 1:
        return exact_errors(form, values.size, desk, row)
    return filtered_errors(form, values.size, desk, row)


@helper
def _equations(left: np.ndarray, errors: np.ndarray, count: int, rows: int, damping: float) -> None:
    """Write the damped normal equations; `errors` holds the point's errors in row 0, each neighbour's in the next."""
    for i in range(count):
        for j in range(i, count):
            total = 0.0
            for t in range(rows):
                total += (errors[i + 1, t] - errors[0, t]) * (errors[j + 1, t] - errors[0, t])
            left[i, j] = left[j, i] = total / STEP**2
        total = 0.0
        for t in range(rows):
            total -= (errors[i + 1, t] - errors[0, t]) * errors[0, t]
        left[i, count] = total / STEP
    for i in range(count):
        left[i, i] = left[i, i] * (1.0 + damping) + 1e-12 * rows
