"""The polynomials of a seasonal ARIMA model from free parameters, in compiled code.

The free parameters of a factor are inverse hyperbolic tangents of partial autocorrelations, so that any values give a
stationary and invertible model: Monahan (1984), "A note on enforcing stationarity in autoregressive-moving average models".
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from hwds.core.numba_cache import helper

EDGE = 4.0
"""The largest free parameter: a partial autocorrelation of .9993."""


class Form(NamedTuple):
    """The orders of a model, its season and the number of its regressors."""

    p: int
    d: int
    q: int
    seasonal_p: int
    seasonal_d: int
    seasonal_q: int
    season: int
    regressors: int


class Desk(NamedTuple):
    """Scratch of compiled code, made once for many fits.

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
        other: The same, on its way.
        ahead: What each step ahead reads of the state, shape (steps, states).
        left: The matrix and the right side of linear equations.
        errors: The errors at the point and at each neighbour of it and at a trial, shape (parameters + 2, rows).
        trial: The parameters tried.
        rest: The values less the regression.
    """

    phi: np.ndarray
    theta: np.ndarray
    delta: np.ndarray
    short: np.ndarray
    long: np.ndarray
    gain: np.ndarray
    lead: np.ndarray
    state: np.ndarray
    auto: np.ndarray
    psi: np.ndarray
    lags: np.ndarray
    square: np.ndarray
    other: np.ndarray
    ahead: np.ndarray
    left: np.ndarray
    errors: np.ndarray
    trial: np.ndarray
    rest: np.ndarray


def desk(size: int, differences: int, parameters: int, rows: int, steps: int = 0) -> Desk:
    """Return scratch for models of at most `size` lags, `differences` rows lost by differencing and so many parameters."""
    states = size + differences + 1
    phi, theta, delta, short, long, gain, lead, state, auto, psi = np.zeros((10, states + 1))
    equations = np.zeros((max(size, parameters) + 2, max(size, parameters) + 3))
    return Desk(
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
def lags_of(form: Form) -> int:
    """Return the length of the state of the stationary part: Harvey's max(p, q + 1) with the seasonal lags."""
    return max(form.p + form.season * form.seasonal_p, form.q + form.season * form.seasonal_q + 1)


@helper
def lost_by(form: Form) -> int:
    """Return the rows that differencing costs."""
    return form.d + form.season * form.seasonal_d


@helper
def unpack(form: Form, free: np.ndarray, desk: Desk) -> None:
    """Write phi and theta from the free parameters (p, q, P, Q in this order)."""
    phi, theta, short, long = desk.phi, desk.theta, desk.short, desk.long
    size, first = lags_of(form), form.p + form.q
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
def _factor(free: np.ndarray, start: int, count: int, out: np.ndarray) -> None:
    for k in range(count):
        partial = math.tanh(free[start + k])
        for j in range((k + 1) // 2):
            low, high = out[j], out[k - 1 - j]
            out[j], out[k - 1 - j] = low - partial * high, high - partial * low
        out[k] = partial


@helper
def _product(short: np.ndarray, m: int, long: np.ndarray, n: int, season: int, out: np.ndarray, size: int) -> None:
    for lag in range(size):
        out[lag] = 0.0
    for i in range(m):
        out[i] += short[i]
    for j in range(n):
        out[season * (j + 1) - 1] += long[j]
        for i in range(m):
            out[season * (j + 1) + i] -= long[j] * short[i]


@helper
def difference(form: Form, desk: Desk) -> None:
    """Write delta, the differencing polynomial."""
    delta, size = desk.delta, lost_by(form)
    for lag in range(size):
        delta[lag] = 0.0
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


def near_edge(form: Form, free: np.ndarray, margin: float) -> bool:
    """Tell whether a root lies within a margin of the unit circle, as auto.arima asks of each model (margin .01)."""
    starts = np.cumsum([0, form.p, form.q, form.seasonal_p, form.seasonal_q])
    for part, power in enumerate((1, 1, form.season, form.season)):
        count = int(starts[part + 1] - starts[part])
        if count and _outside(_coefficients(free[starts[part] : starts[part + 1]]), (1 + margin) ** power):
            return True
    return False


def _coefficients(free: np.ndarray) -> list[float]:
    out: list[float] = []
    for value in free:
        partial = math.tanh(value)
        out = [a - partial * b for a, b in zip(out, out[::-1], strict=True)] + [partial]
    return out


def _outside(coefficients: list[float], scale: float) -> bool:
    """Return whether some partial autocorrelation is 1 or more, by Schur's step-down of the polynomial of z * scale."""
    left = [value * scale ** (i + 1) for i, value in enumerate(coefficients)]
    while left:
        partial = left.pop()
        if abs(partial) >= 1:
            return True
        left = [(a + partial * b) / (1 - partial**2) for a, b in zip(left, left[::-1], strict=True)]
    return False
