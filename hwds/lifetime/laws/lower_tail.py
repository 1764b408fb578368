"""The chance of a failure that is nearer than the lowest quantile of a law: a Weibull curve through its two lowest."""

from __future__ import annotations

import numpy as np

from hwds.lifetime.laws.lives import LEVELS, survival_at

SHAPES = (1.0, 8.0)
"""The least and the greatest shape of the curve: from a hazard that stays to one that is nearly none before the quantile."""


def survival_with_tail(quantiles: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return the probability to last longer than each time, shape (n, times).

    From the lowest quantile on it is that of `survival_at`. Before it a line from 0 would spread the lowest 5 % of failures
    evenly, and say of a machine whose wear is seen that it may fail at once; a Weibull curve through the two lowest quantiles
    keeps the hazard rising (log(-log S) is a line in log t).

    Args:
        quantiles: At `LEVELS`, rising, shape (n, levels).
        times: Above 0, shape (times,).
    """
    first = np.maximum(quantiles[:, 0], 1e-9)
    second = np.maximum(quantiles[:, 1], first * (1 + 1e-9))
    hazards = -np.log1p(-LEVELS[:2])
    shape = np.clip(np.log(hazards[1] / hazards[0]) / np.log(second / first), *SHAPES)
    tail = np.exp(-hazards[0] * np.minimum(times[None, :] / first[:, None], 1.0) ** shape[:, None])
    return np.asarray(np.where(times[None, :] < first[:, None], tail, survival_at(quantiles, times)))
