"""The mixture of fitted members' forecasts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwds.forecast.models.base import FittedForecaster
from hwds.frames.forecasts import Forecasts
from hwds.frames.panel import Panel


def asked(members: Sequence[FittedForecaster], history: Panel, future: Panel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what each member forecasts.

    Args:
        members: The fitted members.
        history: The history that a model is given.
        future: The future rows that a model is given.

    Returns:
        Means, shape (members, n, steps); quantiles, shape (members, n, steps, levels); fallbacks, shape (members, n).
    """
    forecasts = [member.predict(history, future) for member in members]
    means, quantiles, fallback = (
        np.stack([getattr(each, part) for each in forecasts]) for part in ("mean", "quantiles", "fallback")
    )
    return means, quantiles, fallback


def mixture(weights: np.ndarray, means: np.ndarray, quantiles: np.ndarray, fallback: np.ndarray) -> Forecasts:
    """Return the weighted means of members' means and quantiles.

    Args:
        weights: Of each member, shape (n, steps, members).
        means: Shape (members, n, steps).
        quantiles: Shape (members, n, steps, levels).
        fallback: The series that count as answered by a fallback, shape (n,).
    """
    return Forecasts.of(np.einsum("nhm,mnh->nh", weights, means), np.einsum("nhm,mnhq->nhq", weights, quantiles), fallback)
