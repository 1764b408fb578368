"""Seasonal ARIMA in compiled code: polynomials, likelihood, filter, forecasts, least squares."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from hwds.core.compiling import helper

# The polynomials of a seasonal ARIMA model from free parameters, in compiled code.
# The free parameters of a factor are inverse hyperbolic tangents of partial autocorrelations,
# so that any values give a stationary and invertible model: Monahan (1984), "A note on
# enforcing stationarity in autoregressive-moving average models".

LARGEST_FREE = 4.0
"""The largest free parameter: a partial autocorrelation of .9993."""


class ArimaForm(NamedTuple):
    """The orders of a model, its season and the number of its regressors."""

    p: int
    d: int
    q: int
    seasonal_p: int
    seasonal_d: int
    seasonal_q: int
    season: int
    regressors: int


class ArimaScratch(NamedTuple):
    """Scratch memory of compiled code, made once for many fits.

    Attributes:
        phi: Autoregressive coefficients, lag i at i - 1.
        theta: Moving average coefficients, lag i at i, 1 at 0.
        delta: The differencing polynomial, 1 - (1-B)^d (1-B^s)^D, lag i at i - 1.
        short: One factor's coefficients.
        long: The other factor's.
        gain: The Kalman gain times the innovation's variance.
        lead: The vector that the covariance changes by.
        state: The predicted state.
        auto: Autocovariances, then the first column of the state's covariance.
        psi: Weights of the innovations.
        lags: The lags that are not zero.
        square: The state's covariance.
        other: The next state's covariance while it is computed.
        ahead: The weights of the state in each step ahead, shape (steps, states).
        left: The matrix and the right side of linear equations.
        errors: The errors at the point and at each neighbour of it and at a trial, shape
            (parameters + 2, rows).
        trial: The parameters tried.
        rest: The values less the regression.
    """

    phi: ndarray
    theta: ndarray
    delta: ndarray
    short: ndarray
    long: ndarray
    gain: ndarray
    lead: ndarray
    state: ndarray
    auto: ndarray
    psi: ndarray
    lags: ndarray
    square: ndarray
    other: ndarray
    ahead: ndarray
    left: ndarray
    errors: ndarray
    trial: ndarray
    rest: ndarray


def make_scratch(
    size: int, differences: int, parameters: int, rows: int, steps: int = 0
) -> ArimaScratch:
    """Return scratch memory for models of at most `size` lags, `differences` rows that differencing
    costs, and so many parameters.
    """
    states = size + differences + 1
    phi, theta, delta, short, long, gain, lead, state, auto, psi = np.zeros((10, states + 1))
    equations = np.zeros((max(size, parameters) + 2, max(size, parameters) + 3))
    return ArimaScratch(
        phi,
        theta,
        delta,
        short,
        long,
        gain,
        lead,
        state,
        auto,
        psi,
        np.zeros(states + 1, np.int64),
        np.zeros((states, states)),
        np.zeros((states, states)),
        np.zeros((steps, states)),
        equations,
        np.zeros((parameters + 2, rows)),
        np.zeros(parameters),
        np.zeros(rows),
    )


@helper
def state_length(form: ArimaForm) -> int:
    """Return the length of the state of the stationary part: Harvey's max(p, q + 1) with the
    seasonal lags.
    """
    return max(form.p + form.season * form.seasonal_p, form.q + form.season * form.seasonal_q + 1)


@helper
def differencing_rows(form: ArimaForm) -> int:
    """Return the rows that differencing costs."""
    return form.d + form.season * form.seasonal_d


@helper
def unpack(form: ArimaForm, free: ndarray, scratch: ArimaScratch) -> None:
    """Write phi and theta from the free parameters (p, q, P, Q in this order)."""
    phi, theta, short, long = scratch.phi, scratch.theta, scratch.short, scratch.long
    size, first = state_length(form), form.p + form.q
    _factor(free, 0, form.p, short)
    _factor(free, first, form.seasonal_p, long)
    _product(short, form.p, long, form.seasonal_p, form.season, phi, size)
    _factor(free, form.p, form.q, short)
    _factor(free, first + form.seasonal_p, form.seasonal_q, long)
    _product(short, form.q, long, form.seasonal_q, form.season, theta, size)
    for lag in range(size, 0, -1):
        theta[lag] = -theta[lag - 1]
    theta[0] = 1.0


@helper
def _factor(free: ndarray, start: int, count: int, out: ndarray) -> None:
    # Durbin and Levinson: a partial autocorrelation turns the coefficients of order k into those of
    # order k + 1, in place
    for k in range(count):
        partial = math.tanh(free[start + k])
        for j in range((k + 1) // 2):
            low, high = out[j], out[k - 1 - j]
            out[j], out[k - 1 - j] = low - partial * high, high - partial * low
        out[k] = partial


@helper
def _product(
    short: ndarray, m: int, long: ndarray, n: int, season: int, out: ndarray, size: int
) -> None:
    for lag in range(size):
        out[lag] = 0.0
    for i in range(m):
        out[i] += short[i]
    for j in range(n):
        out[season * (j + 1) - 1] += long[j]
        for i in range(m):
            out[season * (j + 1) + i] -= long[j] * short[i]


@helper
def write_differencing(form: ArimaForm, scratch: ArimaScratch) -> None:
    """Write delta, the differencing polynomial."""
    delta, size = scratch.delta, differencing_rows(form)
    for lag in range(size):
        delta[lag] = 0.0
    # the product of (1-B)^d and (1-B^s), written lag by lag, for d is 2 at most
    # coefficients of (1-B)^d for d of 0, 1, 2: 1; 1 -1; 1 -2 1
    first = -float(form.d)
    second = 1.0 if form.d == 2 else 0.0
    if form.d > 0:
        delta[0] -= first
    if form.d > 1:
        delta[1] -= second
    if form.seasonal_d:
        s = form.season
        delta[s - 1] += 1.0
        if form.d > 0:
            delta[s] += first
        if form.d > 1:
            delta[s + 1] += second


def near_unit_circle(form: ArimaForm, free: ndarray, margin: float) -> bool:
    """Tell whether a root lies within a margin of the unit circle, as auto.arima asks of each model
    (margin .01).
    """
    starts = np.cumsum([0, form.p, form.q, form.seasonal_p, form.seasonal_q])
    for part, power in enumerate((1, 1, form.season, form.season)):
        count = int(starts[part + 1] - starts[part])
        if count and _is_outside(
            _coefficients(free[starts[part] : starts[part + 1]]), (1 + margin) ** power
        ):
            return True
    return False


def _coefficients(free: ndarray) -> list[float]:
    out: list[float] = []
    for value in free:
        partial = math.tanh(value)
        out = [a - partial * b for a, b in zip(out, out[::-1], strict=True)] + [partial]
    return out


def _is_outside(coefficients: list[float], scale: float) -> bool:
    """Return whether some partial autocorrelation is 1 or more, by Schur's step-down of the
    polynomial of z * scale.
    """
    left = [value * scale ** (i + 1) for i, value in enumerate(coefficients)]
    while left:
        partial = left.pop()
        if abs(partial) >= 1:
            return True
        left = [(a + partial * b) / (1 - partial**2) for a, b in zip(left, left[::-1], strict=True)]
    return False


# Errors of a seasonal ARIMA model of a differenced series without holes, whose sum of squares
# is what a fit makes least.

STEADY_CHANGE = 1e-14
"""The change of the innovation's variance, as a share of it, below which the filter counts as
steady.
"""


@helper
def conditional_errors(form: ArimaForm, n: int, scratch: ArimaScratch, row: int) -> float:
    """Write the errors given zeros before the series.

    The first p + s P rows have none. Box and Jenkins (1976), chapter 7.

    Returns:
        Their mean square.
    """
    phi, theta, lags, errors = scratch.phi, scratch.theta, scratch.lags, scratch.errors
    rest, first, size = scratch.rest, form.p + form.season * form.seasonal_p, state_length(form)
    # with a season most lags are 0: only the others are visited in the loop over rows
    ar, total = 0, 0.0
    for lag in range(size):
        if phi[lag] != 0.0:
            lags[ar] = lag + 1
            ar += 1
    both = ar
    for lag in range(1, size):
        if theta[lag] != 0.0:
            lags[both] = lag
            both += 1
    for t in range(min(first, n)):
        errors[row, t] = 0.0
    for t in range(first, n):
        error = rest[t]
        for i in range(ar):
            error -= phi[lags[i] - 1] * rest[t - lags[i]]
        for i in range(ar, both):
            if lags[i] <= t:
                error -= theta[lags[i]] * errors[row, t - lags[i]]
        errors[row, t] = error
        total += error * error
    return total / max(n - first, 1)


@helper
def exact_errors(form: ArimaForm, n: int, scratch: ArimaScratch, row: int) -> float:
    """Write the errors whose sum of squares is least where the exact likelihood is highest.

    Its cost is rows x lags.

    The fast filter of Morf, Sidhu and Kailath (1974) with the stationary start, as in Melard
    (1984), algorithm AS 197: the state's covariance changes by a matrix of rank one. An error is e
    / sqrt(F) times the geometric mean of sqrt(F), F its variance.

    Returns:
        The mean square: -2 log likelihood is n log of it, but for a constant.
    """
    phi = scratch.phi
    state = scratch.state
    gain = scratch.gain
    lead = scratch.lead
    first = scratch.auto
    errors = scratch.errors
    rest, size = scratch.rest, state_length(form)
    # at the first row the state has its long-run covariance; its first column is all that the
    # first gain needs
    first_column(form, scratch)
    variance = first[0]
    for i in range(size):
        below = first[i + 1] if i + 1 < size else 0.0
        gain[i] = lead[i] = phi[i] * first[0] + below
        state[i] = 0.0
    state[size] = lead[size] = 0.0
    rank, logs, total, moving = -1.0 / variance, 0.0, 0.0, True
    for t in range(n):
        error = rest[t] - state[0]
        errors[row, t] = error / math.sqrt(variance)
        total += error * error / variance
        logs += math.log(variance)
        head, push = state[0], error / variance
        # once the variance is steady the gain is constant, and a row costs half
        if not moving:
            for i in range(size):
                state[i] = state[i + 1] + phi[i] * head + gain[i] * push
            continue
        top, norm = lead[0], 0.0
        pull, back = rank * top, top / variance
        for i in range(size):
            moved = lead[i + 1] + phi[i] * top
            state[i] = state[i + 1] + phi[i] * head + gain[i] * push
            lead[i] = moved - gain[i] * back
            gain[i] += moved * pull
            norm += lead[i] * lead[i]
        changed = variance + rank * top * top
        rank -= pull * pull / changed
        variance = changed
        moving = -rank * norm > STEADY_CHANGE * variance
    # the geometric mean of the variances: with it the sum of squares alone says the likelihood
    scale = math.exp(0.5 * logs / n)
    for t in range(n):
        errors[row, t] *= scale
    return total * scale * scale / n


@helper
def first_column(form: ArimaForm, scratch: ArimaScratch) -> None:
    """Write the covariance of the state with its first entry, for errors of variance 1, into
    `scratch.auto`.
    """
    phi, theta, psi, auto, column = (
        scratch.phi,
        scratch.theta,
        scratch.psi,
        scratch.auto,
        scratch.lead,
    )
    size = state_length(form)
    p = form.p + form.season * form.seasonal_p
    q = form.q + form.season * form.seasonal_q
    for j in range(size):
        psi[j] = theta[j]
        for i in range(min(j, p)):
            psi[j] += phi[i] * psi[j - 1 - i]
    # psi weights say how an innovation moves later rows; with them the autocovariances follow from
    # linear equations, and from both the covariance of the state
    _autocovariances(p, q, scratch)
    column[0] = auto[0]
    for j in range(1, size):
        column[j] = 0.0
        for k in range(j, p):
            column[j] += phi[k] * auto[1 + k - j]
        for k in range(j, q + 1):
            column[j] += theta[k] * psi[k - j]
    for j in range(size):
        auto[j] = column[j]


@helper
def _autocovariances(p: int, q: int, scratch: ArimaScratch) -> None:
    """Solve g(k) - sum phi_j g(|k - j|) = sum theta_j psi_(j-k) for k of 0 to p."""
    phi, theta, psi, auto, left = (
        scratch.phi,
        scratch.theta,
        scratch.psi,
        scratch.auto,
        scratch.left,
    )
    for k in range(p + 1):
        for j in range(p + 2):
            left[k, j] = 0.0
        left[k, k] = 1.0
        for j in range(p):
            left[k, abs(k - 1 - j)] -= phi[j]
        for j in range(k, q + 1):
            left[k, p + 1] += theta[j] * psi[j - k]
    solve_linear(left, p + 1)
    for k in range(p + 1):
        auto[k] = left[k, p + 1]


@helper
def solve_linear(left: ndarray, n: int) -> None:
    """Solve n linear equations in place, the right side in column n, by elimination with the
    largest pivot.
    """
    for k in range(n):
        best = k
        for i in range(k + 1, n):
            if abs(left[i, k]) > abs(left[best, k]):
                best = i
        for j in range(k, n + 1):
            left[k, j], left[best, j] = left[best, j], left[k, j]
        for i in range(k + 1, n):
            share = left[i, k] / left[k, k]
            if share != 0.0:
                for j in range(k + 1, n + 1):
                    left[i, j] -= share * left[k, j]
    for k in range(n - 1, -1, -1):
        for j in range(k + 1, n):
            left[k, n] -= left[k, j] * left[j, n]
        left[k, n] /= left[k, k]


# The Kalman filter of an undifferenced series that may have holes, and the forecasts from any
# rows that it passes.

DIFFUSE_VARIANCE = 1e8
"""The variance of a first value that is not known, in units of the innovation's."""

DIFFUSE_BOUND = 1e6
"""An innovation's variance above this one speaks of the vague start, not of the model."""


def forecast_from_ends(
    form: ArimaForm,
    free: ndarray,
    values: ndarray,
    ends: ndarray,
    mean: ndarray,
    variance: ndarray,
    scratch: ArimaScratch,
) -> None:
    """Forecast from each of many ends of one series in one pass.

    Args:
        form: The model.
        free: Its free parameters.
        values: The series less its regression, NaN where unknown, shape (rows,).
        ends: Rows known at each origin, rising, shape (origins,).
        mean: The array that forecasts are written to, shape (origins, steps); one at less rows than
            differencing costs is left as it was.
        variance: The array that their variances are written to, in units of the innovation's, shape
            (origins, steps).
        scratch: Scratch.
    """
    unpack(form, free, scratch)
    write_differencing(form, scratch)
    _read_ahead(form, scratch, mean.shape[1])
    start_filter(form, values, values.size, scratch)
    origin = 0
    for t in range(differencing_rows(form), values.size + 1):
        while origin < ends.size and ends[origin] <= t:
            if (
                ends[origin] == t
            ):  # an origin among the first values, which the start takes as known, has no forecast
                _forecast(form, scratch, origin, mean, variance)
            origin += 1
        if origin == ends.size:
            break
        update_filter(form, values[t], scratch)
        advance_filter(form, scratch)


def innovations(form: ArimaForm, free: ndarray, values: ndarray, scratch: ArimaScratch) -> float:
    """Return the sum of squared innovations, each over its variance in units of the model's."""
    unpack(form, free, scratch)
    write_differencing(form, scratch)
    start_filter(form, values, values.size, scratch)
    total = 0.0
    for t in range(differencing_rows(form), values.size):
        error, variance = update_filter(form, values[t], scratch)
        if 0.0 < variance < DIFFUSE_BOUND:
            total += error * error / variance
        advance_filter(form, scratch)
    return total


@helper
def filtered_errors(form: ArimaForm, n: int, scratch: ArimaScratch, row: int) -> float:
    """Write errors as `exact_errors` does, 0 for a hole and for what a vague start leaves
    uncertain.

    Returns:
        Their mean square over the rows that count.
    """
    errors, rest, total, logs, seen = scratch.errors, scratch.rest, 0.0, 0.0, 0
    write_differencing(form, scratch)
    start_filter(form, rest, n, scratch)
    for t in range(min(differencing_rows(form), n)):
        errors[row, t] = 0.0
    for t in range(differencing_rows(form), n):
        error, variance = update_filter(form, rest[t], scratch)
        errors[row, t] = 0.0
        if 0.0 < variance < DIFFUSE_BOUND:
            errors[row, t] = error / math.sqrt(variance)
            total += error * error / variance
            logs += math.log(variance)
            seen += 1
        advance_filter(form, scratch)
    scale = math.exp(0.5 * logs / max(seen, 1))
    for t in range(n):
        errors[row, t] *= scale
    return total * scale * scale / max(seen, 1)


@helper
def start_filter(form: ArimaForm, values: ndarray, n: int, scratch: ArimaScratch) -> None:
    """Initialise: the stationary part at its long-run distribution, the first values as they are, a
    hole among them diffuse.
    """
    phi, theta, state, square, first = (
        scratch.phi,
        scratch.theta,
        scratch.state,
        scratch.square,
        scratch.auto,
    )
    size, differenced = state_length(form), differencing_rows(form)
    first_column(form, scratch)
    for i in range(size + differenced):
        state[i] = 0.0
        for j in range(size + differenced):
            square[i, j] = 0.0
    first[size] = 0.0
    for i in range(size - 1, -1, -1):
        for j in range(i, -1, -1):
            after = square[i + 1, j + 1] if i + 1 < size else 0.0
            both = phi[i] * first[j + 1] + phi[j] * first[i + 1] + phi[i] * phi[j] * first[0]
            square[i, j] = square[j, i] = after + both + theta[i] * theta[j]
    # the first rows are taken as known, so that differences exist from the first forecast on
    near = 0.0
    for t in range(min(differenced, n)):
        known = not math.isnan(values[t])
        near = values[t] if known else near
        state[size + differenced - 1 - t] = near
        square[size + differenced - 1 - t, size + differenced - 1 - t] = (
            0.0 if known else DIFFUSE_VARIANCE
        )


@helper
def update_filter(form: ArimaForm, value: float, scratch: ArimaScratch) -> tuple[float, float]:
    """Take a value in; the error and its variance, both 0 for a hole."""
    if math.isnan(value):
        return 0.0, 0.0
    delta, state, square, gain = scratch.delta, scratch.state, scratch.square, scratch.gain
    size, differenced = state_length(form), differencing_rows(form)
    states = size + differenced
    for i in range(states):
        gain[i] = square[i, 0]
    error = value - state[0]
    for j in range(differenced):
        if delta[j] != 0.0:
            error -= delta[j] * state[size + j]
            for i in range(states):
                gain[i] += delta[j] * square[i, size + j]
    variance = gain[0]
    for j in range(differenced):
        variance += delta[j] * gain[size + j]
    # rounding may leave a variance of 0 or below where a value is all but determined
    variance = max(variance, 1e-12)
    for i in range(states):
        state[i] += gain[i] * error / variance
        share = gain[i] / variance
        for j in range(states):
            square[i, j] -= share * gain[j]
    return error, variance


@helper
def advance_filter(form: ArimaForm, scratch: ArimaScratch) -> None:
    """Advance one step: the state, and its covariance by rows, then by columns."""
    phi, delta, state = scratch.phi, scratch.delta, scratch.state
    size, differenced = state_length(form), differencing_rows(form)
    head, value = state[0], state[0]
    for j in range(differenced):
        value += delta[j] * state[size + j]
    for i in range(size):
        state[i] = phi[i] * head + (state[i + 1] if i + 1 < size else 0.0)
    for j in range(differenced - 1, 0, -1):
        state[size + j] = state[size + j - 1]
    if differenced:
        state[size] = value
    # the transition is sparse: by rows, then by columns, it costs states^2 and not states^3
    _advance_rows(form, scratch)
    _advance_columns(form, scratch)


@helper
def _advance_rows(form: ArimaForm, scratch: ArimaScratch) -> None:
    phi, delta, square, other = scratch.phi, scratch.delta, scratch.square, scratch.other
    size, differenced = state_length(form), differencing_rows(form)
    for j in range(size + differenced):
        for i in range(size):
            other[i, j] = phi[i] * square[0, j] + (square[i + 1, j] if i + 1 < size else 0.0)
        for i in range(size + 1, size + differenced):
            other[i, j] = square[i - 1, j]
        if differenced:
            other[size, j] = square[0, j]
            for i in range(differenced):
                if delta[i] != 0.0:
                    other[size, j] += delta[i] * square[size + i, j]


@helper
def _advance_columns(form: ArimaForm, scratch: ArimaScratch) -> None:
    phi, theta, delta, square, other = (
        scratch.phi,
        scratch.theta,
        scratch.delta,
        scratch.square,
        scratch.other,
    )
    size, differenced = state_length(form), differencing_rows(form)
    for i in range(size + differenced):
        for j in range(size):
            square[i, j] = phi[j] * other[i, 0] + (other[i, j + 1] if j + 1 < size else 0.0)
        for j in range(size + 1, size + differenced):
            square[i, j] = other[i, j - 1]
        if differenced:
            square[i, size] = other[i, 0]
            for j in range(differenced):
                if delta[j] != 0.0:
                    square[i, size] += delta[j] * other[i, size + j]
    for i in range(size):
        for j in range(size):
            square[i, j] += theta[i] * theta[j]


@helper
def _read_ahead(form: ArimaForm, scratch: ArimaScratch, steps: int) -> None:
    """Write what the value h steps ahead reads of the state: the first row's weights times the
    transition h times.
    """
    phi = scratch.phi
    delta = scratch.delta
    ahead = scratch.ahead
    size = state_length(form)
    differenced = differencing_rows(form)
    for j in range(size + differenced):
        ahead[0, j] = delta[j - size] if j >= size else 0.0
    ahead[0, 0] = 1.0
    for h in range(1, steps):
        newest = ahead[h - 1, size] if differenced else 0.0
        ahead[h, 0] = newest
        for i in range(size):
            ahead[h, 0] += phi[i] * ahead[h - 1, i]
        for j in range(1, size):
            ahead[h, j] = ahead[h - 1, j - 1]
        for j in range(differenced):
            ahead[h, size + j] = delta[j] * newest + (
                ahead[h - 1, size + j + 1] if j + 1 < differenced else 0.0
            )


@helper
def _forecast(
    form: ArimaForm, scratch: ArimaScratch, origin: int, mean: ndarray, variance: ndarray
) -> None:
    theta, state, square, ahead = scratch.theta, scratch.state, scratch.square, scratch.ahead
    size = state_length(form)
    states, fresh = size + differencing_rows(form), 0.0
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


# The parameters of one seasonal ARIMA model by least squares, in compiled code.

CONDITIONAL, EXACT, FILTERED = 0, 1, 2
"""The objective of a fit: the conditional sum of squares, the exact likelihood, or the latter of a
series with holes.
"""

DERIVATIVE_STEP = 1e-6
LEAST_GAIN = 1e-7
"""A fit ends where a step gains less than this share."""


def minimise(
    objective: int,
    form: ArimaForm,
    values: ndarray,
    regressors: ndarray,
    point: ndarray,
    scratch: ArimaScratch,
    rounds: int,
) -> float:
    """Move the point to where the mean square of the errors is least.

    Levenberg (1944) and Marquardt (1963) with the Jacobian by differences: the conditional and the
    exact likelihood of an ARMA model are both sums of squares.

    Args:
        objective: `CONDITIONAL`, `EXACT` or `FILTERED`.
        form: The model.
        values: The differenced series, shape (rows,); for `FILTERED` the series itself, NaN where
            unknown.
        regressors: Differenced likewise, shape (rows, at least form.regressors).
        point: The free parameters, then the regression's; changed in place.
        scratch: Scratch.
        rounds: The most trials.

    Returns:
        The least mean square.
    """
    trial, errors, left = scratch.trial, scratch.errors, scratch.left
    shaped = form.p + form.q + form.seasonal_p + form.seasonal_q
    count, rows = shaped + form.regressors, values.size
    best, damping = np.inf, 1e-3
    for k in range(count):
        trial[k] = point[k]
    for _ in range(rounds):
        gain = -1.0
        # k of 0 is the trial itself; if it is better, its neighbours give the Jacobian
        for k in range(count + 1):
            if k:
                trial[k - 1] = point[k - 1] + DERIVATIVE_STEP
            value = _write_errors(
                objective, form, values, regressors, trial, scratch, k if gain >= 0.0 else count + 1
            )
            if k:
                trial[k - 1] = point[k - 1]
            elif value < best:
                gain, best = best - value, value
                for j in range(count):
                    point[j] = trial[j]
                for t in range(rows):
                    errors[0, t] = errors[count + 1, t]
            else:
                gain = 0.0 if value - best < LEAST_GAIN * best else -1.0
                break
        # a good step trusts the quadratic more, a bad one leans to the gradient
        damping = max(damping * (0.2 if gain >= 0.0 else 8.0), 1e-9)
        if damping > 1e8 or best == np.inf or 0.0 <= gain < LEAST_GAIN * best or count == 0:
            break
        _equations(left, errors, count, rows, damping)
        solve_linear(left, count)
        for k in range(count):
            moved = point[k] + left[k, count]
            trial[k] = min(max(moved, -LARGEST_FREE), LARGEST_FREE) if k < shaped else moved
    return best


@helper
def _write_errors(
    objective: int,
    form: ArimaForm,
    values: ndarray,
    regressors: ndarray,
    free: ndarray,
    scratch: ArimaScratch,
    row: int,
) -> float:
    rest, first = scratch.rest, form.p + form.q + form.seasonal_p + form.seasonal_q
    for t in range(values.size):
        rest[t] = values[t]
        for j in range(form.regressors):
            rest[t] -= free[first + j] * regressors[t, j]
    unpack(form, free, scratch)
    if objective == CONDITIONAL:
        return conditional_errors(form, values.size, scratch, row)
    if objective == EXACT:
        return exact_errors(form, values.size, scratch, row)
    return filtered_errors(form, values.size, scratch, row)


@helper
def _equations(left: ndarray, errors: ndarray, count: int, rows: int, damping: float) -> None:
    """Write the damped normal equations.

    `errors` holds the point's errors in row 0, each neighbour's in the next.
    """
    for i in range(count):
        for j in range(i, count):
            total = 0.0
            for t in range(rows):
                total += (errors[i + 1, t] - errors[0, t]) * (errors[j + 1, t] - errors[0, t])
            left[i, j] = left[j, i] = total / DERIVATIVE_STEP**2
        total = 0.0
        for t in range(rows):
            total -= (errors[i + 1, t] - errors[0, t]) * errors[0, t]
        left[i, count] = total / DERIVATIVE_STEP
    for i in range(count):
        left[i, i] = left[i, i] * (1.0 + damping) + 1e-12 * rows
