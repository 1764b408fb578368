"""Errors of a seasonal ARIMA model of a differenced series without holes, whose sum of squares is what a fit makes least."""

from __future__ import annotations

import math

import numpy as np

from hwds.core.numba_cache import helper
from hwds.forecast.models.arima.polynomials import Desk, Form, lags_of

SETTLED = 1e-14
"""The change of the innovation's variance, as a share of it, below which the filter counts as steady."""


@helper
def conditional_errors(form: Form, n: int, desk: Desk, row: int) -> float:
    """Write the errors given zeros before the series; the first p + s P rows have none. Box and Jenkins (1976), chapter 7.

    Returns:
        Their mean square.
    """
    phi, theta, lags, errors = desk.phi, desk.theta, desk.lags, desk.errors
    rest, first, size = desk.rest, form.p + form.season * form.seasonal_p, lags_of(form)
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
def exact_errors(form: Form, n: int, desk: Desk, row: int) -> float:
    """Write the errors whose sum of squares is least where the exact likelihood is highest; its cost is rows x lags.

    The fast filter of Morf, Sidhu and Kailath (1974) with the stationary start, as in Melard (1984), algorithm AS 197: the
    state's covariance changes by a matrix of rank one. An error is e / sqrt(F) times the geometric mean
    of sqrt(F), F its variance.

    Returns:
        The mean square: -2 log likelihood is n log of it, but for a constant.
    """
    phi, state, gain, lead, first, errors = desk.phi, desk.state, desk.gain, desk.lead, desk.auto, desk.errors
    rest, size = desk.rest, lags_of(form)
    first_column(form, desk)
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
        moving = -rank * norm > SETTLED * variance
    scale = math.exp(0.5 * logs / n)
    for t in range(n):
        errors[row, t] *= scale
    return total * scale * scale / n


@helper
def first_column(form: Form, desk: Desk) -> None:
    """Write the covariance of the state with its first entry, for errors of variance 1, into `desk.auto`."""
    phi, theta, psi, auto, column = desk.phi, desk.theta, desk.psi, desk.auto, desk.lead
    size, p, q = lags_of(form), form.p + form.season * form.seasonal_p, form.q + form.season * form.seasonal_q
    for j in range(size):
        psi[j] = theta[j]
        for i in range(min(j, p)):
            psi[j] += phi[i] * psi[j - 1 - i]
    _autocovariances(p, q, desk)
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
def _autocovariances(p: int, q: int, desk: Desk) -> None:
    """Solve g(k) - sum phi_j g(|k - j|) = sum theta_j psi_(j-k) for k of 0 to p."""
    phi, theta, psi, auto, left = desk.phi, desk.theta, desk.psi, desk.auto, desk.left
    for k in range(p + 1):
        for j in range(p + 2):
            left[k, j] = 0.0
        left[k, k] = 1.0
        for j in range(p):
            left[k, abs(k - 1 - j)] -= phi[j]
        for j in range(k, q + 1):
            left[k, p + 1] += theta[j] * psi[j - k]
    solve(left, p + 1)
    for k in range(p + 1):
        auto[k] = left[k, p + 1]


@helper
def solve(left: np.ndarray, n: int) -> None:
    """Solve n linear equations in place, the right side in column n, by elimination with the largest pivot."""
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
