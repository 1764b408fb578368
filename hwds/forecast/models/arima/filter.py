"""The Kalman filter of an undifferenced series that may have holes, and the forecasts from any rows that it passes."""

from __future__ import annotations

import math

import numpy as np

from hwds.core.numba_cache import helper
from hwds.forecast.models.arima.likelihood import first_column
from hwds.forecast.models.arima.polynomials import Desk, Form, difference, lags_of, lost_by, unpack

VAGUE = 1e8
"""The variance of a first value that is not known, in units of the innovation's."""

UNSETTLED = 1e6
"""An innovation's variance above this one speaks of the vague start, not of the model."""


def project(
    form: Form, free: np.ndarray, values: np.ndarray, ends: np.ndarray, mean: np.ndarray, variance: np.ndarray, desk: Desk
) -> None:
    """Forecast from each of many ends of one series in one pass.

    Args:
        form: The model.
        free: Its free parameters.
        values: The series less its regression, NaN where unknown, shape (rows,).
        ends: Rows known at each origin, rising, shape (origins,).
        mean: Where forecasts are written, shape (origins, steps); one at less rows than differencing costs is left as it was.
        variance: Where their variances are written, in units of the innovation's, shape (origins, steps).
        desk: Scratch.
    """
    unpack(form, free, desk)
    difference(form, desk)
    _read_ahead(form, desk, mean.shape[1])
    begin(form, values, values.size, desk)
    origin = 0
    for t in range(lost_by(form), values.size + 1):
        while origin < ends.size and ends[origin] <= t:
            if ends[origin] == t:  # an origin among the first values, which the start takes as known, has no forecast
                _forecast(form, desk, origin, mean, variance)
            origin += 1
        if origin == ends.size:
            break
        observe(form, values[t], desk)
        advance(form, desk)


def innovations(form: Form, free: np.ndarray, values: np.ndarray, desk: Desk) -> float:
    """Return the sum of squared innovations, each over its variance in units of the model's."""
    unpack(form, free, desk)
    difference(form, desk)
    begin(form, values, values.size, desk)
    total = 0.0
    for t in range(lost_by(form), values.size):
        error, variance = observe(form, values[t], desk)
        if 0.0 < variance < UNSETTLED:
            total += error * error / variance
        advance(form, desk)
    return total


@helper
def filtered_errors(form: Form, n: int, desk: Desk, row: int) -> float:
    """Write errors as `exact_errors` does, 0 for a hole and for what a vague start leaves uncertain.

    Returns:
        Their mean square over the rows that count.
    """
    errors, rest, total, logs, seen = desk.errors, desk.rest, 0.0, 0.0, 0
    difference(form, desk)
    begin(form, rest, n, desk)
    for t in range(min(lost_by(form), n)):
        errors[row, t] = 0.0
    for t in range(lost_by(form), n):
        error, variance = observe(form, rest[t], desk)
        errors[row, t] = 0.0
        if 0.0 < variance < UNSETTLED:
            errors[row, t] = error / math.sqrt(variance)
            total += error * error / variance
            logs += math.log(variance)
            seen += 1
        advance(form, desk)
    scale = math.exp(0.5 * logs / max(seen, 1))
    for t in range(n):
        errors[row, t] *= scale
    return total * scale * scale / max(seen, 1)


@helper
def begin(form: Form, values: np.ndarray, n: int, desk: Desk) -> None:
    """Initialise: the stationary part at its long-run distribution, the first values as they are, a hole among them diffuse."""
    phi, theta, state, square, first = desk.phi, desk.theta, desk.state, desk.square, desk.auto
    size, lost = lags_of(form), lost_by(form)
    first_column(form, desk)
    for i in range(size + lost):
        state[i] = 0.0
        for j in range(size + lost):
            square[i, j] = 0.0
    first[size] = 0.0
    for i in range(size - 1, -1, -1):
        for j in range(i, -1, -1):
            after = square[i + 1, j + 1] if i + 1 < size else 0.0
            both = phi[i] * first[j + 1] + phi[j] * first[i + 1] + phi[i] * phi[j] * first[0]
            square[i, j] = square[j, i] = after + both + theta[i] * theta[j]
    near = 0.0
    for t in range(min(lost, n)):
        known = not math.isnan(values[t])
        near = values[t] if known else near
        state[size + lost - 1 - t] = near
        square[size + lost - 1 - t, size + lost - 1 - t] = 0.0 if known else VAGUE


@helper
def observe(form: Form, value: float, desk: Desk) -> tuple[float, float]:
    """Take a value in; the error and its variance, both 0 for a hole."""
    if math.isnan(value):
        return 0.0, 0.0
    delta, state, square, gain = desk.delta, desk.state, desk.square, desk.gain
    size, lost = lags_of(form), lost_by(form)
    states = size + lost
    for i in range(states):
        gain[i] = square[i, 0]
    error = value - state[0]
    for j in range(lost):
        if delta[j] != 0.0:
            error -= delta[j] * state[size + j]
            for i in range(states):
                gain[i] += delta[j] * square[i, size + j]
    variance = gain[0]
    for j in range(lost):
        variance += delta[j] * gain[size + j]
    variance = max(variance, 1e-12)
    for i in range(states):
        state[i] += gain[i] * error / variance
        share = gain[i] / variance
        for j in range(states):
            square[i, j] -= share * gain[j]
    return error, variance


@helper
def advance(form: Form, desk: Desk) -> None:
    """Advance one step: the state, and its covariance by rows, then by columns."""
    phi, delta, state = desk.phi, desk.delta, desk.state
    size, lost = lags_of(form), lost_by(form)
    head, value = state[0], state[0]
    for j in range(lost):
        value += delta[j] * state[size + j]
    for i in range(size):
        state[i] = phi[i] * head + (state[i + 1] if i + 1 < size else 0.0)
    for j in range(lost - 1, 0, -1):
        state[size + j] = state[size + j - 1]
    if lost:
        state[size] = value
    _advance_rows(form, desk)
    _advance_columns(form, desk)


@helper
def _advance_rows(form: Form, desk: Desk) -> None:
    phi, delta, square, other = desk.phi, desk.delta, desk.square, desk.other
    size, lost = lags_of(form), lost_by(form)
    for j in range(size + lost):
        for i in range(size):
            other[i, j] = phi[i] * square[0, j] + (square[i + 1, j] if i + 1 < size else 0.0)
        for i in range(size + 1, size + lost):
            other[i, j] = square[i - 1, j]
        if lost:
            other[size, j] = square[0, j]
            for i in range(lost):
                if delta[i] != 0.0:
                    other[size, j] += delta[i] * square[size + i, j]


@helper
def _advance_columns(form: Form, desk: Desk) -> None:
    phi, theta, delta, square, other = desk.phi, desk.theta, desk.delta, desk.square, desk.other
    size, lost = lags_of(form), lost_by(form)
    for i in range(size + lost):
        for j in range(size):
            square[i, j] = phi[j] * other[i, 0] + (other[i, j + 1] if j + 1 < size else 0.0)
        for j in range(size + 1, size + lost):
            square[i, j] = other[i, j - 1]
        if lost:
            square[i, size] = other[i, 0]
            for j in range(lost):
                if delta[j] != 0.0:
                    square[i, size] += delta[j] * other[i, size + j]
    for i in range(size):
        for j in range(size):
            square[i, j] += theta[i] * theta[j]


@helper
def _read_ahead(form: Form, desk: Desk, steps: int) -> None:
    """Write what the value h steps ahead reads of the state: the first row's weights times the transition h times."""
    phi, delta, ahead, size, lost = desk.phi, desk.delta, desk.ahead, lags_of(form), lost_by(form)
    for j in range(size + lost):
        ahead[0, j] = delta[j - size] if j >= size else 0.0
    ahead[0, 0] = 1.0
    for h in range(1, steps):
        newest = ahead[h - 1, size] if lost else 0.0
        ahead[h, 0] = newest
        for i in range(size):
            ahead[h, 0] += phi[i] * ahead[h - 1, i]
        for j in range(1, size):
            ahead[h, j] = ahead[h - 1, j - 1]
        for j in range(lost):
            ahead[h, size + j] = delta[j] * newest + (ahead[h - 1, size + j + 1] if j + 1 < lost else 0.0)


@helper
def _forecast(form: Form, desk: Desk, origin: int, mean: np.ndarray, variance: np.ndarray) -> None:
    theta, state, square, ahead = desk.theta, desk.state, desk.square, desk.ahead
    size = lags_of(form)
    states, fresh = size + lost_by(form), 0.0
    for h in range(mean.shape[1]):
        level, spread = 0.0, 0.0
        for i in range(states):
            if ahead[h, i] != 0.0:
                level += ahead[h, i] * state[i]
                for j in range(states):
                    spread += ahead[h, i] * square[i, j] * ahead[h, j]
        mean[origin, h], variance[origin, h] = level, spread + fresh
        push = 0.0
        for i in range(size):
            push += ahead[h, i] * theta[i]
        fresh += push * push
