"""Lives: the law of the remaining life of machines, as a point and quantiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.core.serialization import Serializable

LEVELS = np.round(np.arange(1, 20) * 0.05, 2)
"""The levels of the quantiles of every law: .05 to .95; the first and the last are the ends of the 90 % interval."""


@dataclass(frozen=True, eq=False)
class Lives(Serializable):
    """Predictions of the remaining life of n machines.

    Attributes:
        point: Of the remaining life up to the protocol's cap, shape (n,).
        quantiles: Of the remaining life, however long, at `LEVELS`; rising, shape (n, levels).
    """

    point: np.ndarray
    quantiles: np.ndarray

    @classmethod
    def of(cls, point: np.ndarray, quantiles: np.ndarray) -> Lives:
        """Return lives that are not below 0, their quantiles in order."""
        return cls(np.maximum(point, 0.0), np.maximum(np.sort(quantiles, axis=1), 0.0))


def survival_at(quantiles: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return the probability to last longer than each time, by the quantiles: a line between them, shape (n, times).

    Below the lowest quantile it rises to 1 at 0; above the highest it falls as an exponential that keeps its last level.
    """
    n = len(quantiles)
    knots = np.column_stack([np.zeros(n), quantiles])
    levels = np.concatenate([[0.0], LEVELS])
    out = np.empty((n, len(times)))
    for row in range(n):
        rising = np.maximum.accumulate(knots[row] + 1e-9 * np.arange(knots.shape[1]))
        below = np.interp(times, rising, levels)
        top = rising[-1]
        rate = -np.log(1 - LEVELS[-1]) / max(top, 1e-9)
        beyond = 1 - (1 - LEVELS[-1]) * np.exp(-rate * (times - top))
        out[row] = 1 - np.where(times > top, beyond, below)
    return out


def quantiles_of_survival(times: np.ndarray, survival: np.ndarray) -> np.ndarray:
    """Return the quantiles at `LEVELS` of survival curves: the first time at which no more than 1 - level are left.

    Args:
        times: Rising, shape (t,).
        survival: Falling along its second axis, shape (n, t).

    Returns:
        Shape (n, levels); the last time where a curve does not fall so far.
    """
    fallen = survival[:, :, None] <= (1 - LEVELS)[None, None, :] + 1e-12
    first = np.where(fallen.any(axis=1), fallen.argmax(axis=1), len(times) - 1)
    return np.asarray(times[first], float)


def restricted_mean(times: np.ndarray, survival: np.ndarray, cap: float) -> np.ndarray:
    """Return E[min(life, cap)]: the area under survival curves up to the cap, shape (n,).

    Args:
        times: Rising from above 0, shape (t,); a curve is 1 before the first and steps down at each.
        survival: Shape (n, t).
        cap: Up to which.
    """
    edges = np.concatenate([[0.0], np.minimum(times, cap), [cap]])
    steps = np.column_stack([np.ones(len(survival)), survival])
    return np.asarray((steps * np.maximum(np.diff(edges), 0.0)).sum(axis=1))


TAIL_SHAPES = (1.0, 8.0)
"""The least and greatest shape of the curve before the lowest quantile: its hazard stays, or is nearly none until there."""


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
    shape = np.clip(np.log(hazards[1] / hazards[0]) / np.log(second / first), *TAIL_SHAPES)
    tail = np.exp(-hazards[0] * np.minimum(times[None, :] / first[:, None], 1.0) ** shape[:, None])
    return np.asarray(np.where(times[None, :] < first[:, None], tail, survival_at(quantiles, times)))
