"""Normal intervals round a point forecast."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from hwds.frames.forecasts import Forecasts


def normal_bands(mean: np.ndarray, spread: np.ndarray, levels: tuple[float, ...]) -> Forecasts:
    """Return forecasts whose quantiles are normal round the mean.

    Args:
        mean: Shape (n, h).
        spread: Standard deviations, shape (n, h), in the target's unit.
        levels: Quantile levels, rising.
    """
    scores = np.array([NormalDist().inv_cdf(level) for level in levels])
    return Forecasts.of(mean, mean[..., None] + spread[..., None] * scores)
