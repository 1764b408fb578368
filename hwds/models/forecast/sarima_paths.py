"""Sample paths of seasonal ARIMA models: the joint law of all steps after one row, and draws from it.

In state space form y(T+h) = Z F^h a(T) + noise, with a(T) ~ N(a, P) as the filter leaves it, every later innovation e(k) enters
step h with the weight psi(h-k): so cov(y(T+g), y(T+h)) = A(g) P A(h)' + sum over k of psi(g-k) psi(h-k), in units of sigma^2
(Durbin and Koopman, Time Series Analysis by State Space Methods, 2nd ed., section 4.11). A normal vector with this covariance
is what simulating the recursion draws.
"""

from __future__ import annotations

import numpy as np

from hwds.models.forecast.sarima_polynomials import Desk, Form, lags_of, lost_by


def joint_covariance(form: Form, scratch: Desk, steps: int) -> np.ndarray:
    """The covariance of all steps after the last origin, in units of the innovation's variance, shape (steps, steps).

    Args:
        form: The model.
        scratch: As `project` leaves it after its last origin: `square` and `ahead`.
        steps: How many.
    """
    size = lags_of(form)
    states = size + lost_by(form)
    # copies, for the last bits of a product may depend on how its factors lie in a scratch that other series share
    ahead, square = scratch.ahead[:steps, :states].copy(), scratch.square[:states, :states].copy()
    psi = ahead[:, :size].copy() @ scratch.theta[:size]
    later = np.arange(steps)[:, None] - np.arange(1, steps)[None, :]
    weights = np.where(later >= 0, psi[np.maximum(later, 0)], 0.0)
    covariance: np.ndarray = ahead @ square @ ahead.T + weights @ weights.T
    return covariance


def drawn(mean: np.ndarray, covariance: np.ndarray, n: int, stream: np.random.Generator) -> np.ndarray:
    """Normal vectors, shape (n, steps); a covariance that rounding left just short of definite is taken at its root.

    Args:
        mean: Shape (steps,).
        covariance: Shape (steps, steps).
        n: How many.
        stream: Random numbers.
    """
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    paths: np.ndarray = mean + stream.standard_normal((n, len(mean))) @ root.T
    return paths
