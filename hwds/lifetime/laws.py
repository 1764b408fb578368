"""Laws of remaining lives: quantiles, tails beyond the longest life, errors around a point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy import ndarray

from hwds.core.serialization import Serializable
from hwds.stats.distributions import kaplan_meier, quantiles_of

# Lives: the law of the remaining life of machines, as a point and quantiles.

LIFE_LEVELS = np.round(np.arange(1, 20) * 0.05, 2)
"""The levels of the quantiles of every law: .05 to .95; the first and the last are the ends of the
90 % interval.
"""


@dataclass(frozen=True, eq=False)
class Lives(Serializable):
    """Predictions of the remaining life of n machines.

    Attributes:
        point: The point of the remaining life up to the protocol's cap, shape (n,).
        quantiles: Of the remaining life, however long, at `LIFE_LEVELS`; rising, shape (n, levels).
    """

    point: ndarray
    quantiles: ndarray

    @classmethod
    def of(cls, point: ndarray, quantiles: ndarray) -> Lives:
        """Return lives that are not below 0, their quantiles in order."""
        return cls(np.maximum(point, 0.0), np.maximum(np.sort(quantiles, axis=1), 0.0))


def survival_at(quantiles: ndarray, times: ndarray) -> ndarray:
    """Return the probability to last longer than each time, by the quantiles: a line between them,
    shape (n, times).

    Below the lowest quantile it rises to 1 at 0; above the highest it falls as an exponential that
    keeps its last level.
    """
    n = len(quantiles)
    knots = np.column_stack([np.zeros(n), quantiles])
    levels = np.concatenate([[0.0], LIFE_LEVELS])
    out = np.empty((n, len(times)))
    for row in range(n):
        rising = np.maximum.accumulate(knots[row] + 1e-9 * np.arange(knots.shape[1]))
        below = np.interp(times, rising, levels)
        top = rising[-1]
        rate = -np.log(1 - LIFE_LEVELS[-1]) / max(top, 1e-9)
        beyond = 1 - (1 - LIFE_LEVELS[-1]) * np.exp(-rate * (times - top))
        out[row] = 1 - np.where(times > top, beyond, below)
    return out


def quantiles_of_survival(times: ndarray, survival: ndarray) -> ndarray:
    """Return the quantiles at `LIFE_LEVELS` of survival curves: the first time at which no more
    than 1 - level are left.

    Args:
        times: Rising, shape (t,).
        survival: Falling along its second axis, shape (n, t).

    Returns:
        Shape (n, levels); the last time where a curve does not fall so far.
    """
    fallen = survival[:, :, None] <= (1 - LIFE_LEVELS)[None, None, :] + 1e-12
    first = np.where(fallen.any(axis=1), fallen.argmax(axis=1), len(times) - 1)
    return np.asarray(times[first], float)


def restricted_mean(times: ndarray, survival: ndarray, cap: float) -> ndarray:
    """Return E[min(life, cap)]: the area under survival curves up to the cap, shape (n,).

    Args:
        times: Rising from above 0, shape (t,); a curve is 1 before the first and steps down at
            each.
        survival: Shape (n, t).
        cap: Up to which.
    """
    edges = np.concatenate([[0.0], np.minimum(times, cap), [cap]])
    steps = np.column_stack([np.ones(len(survival)), survival])
    return (steps * np.maximum(np.diff(edges), 0.0)).sum(axis=1)


TAIL_SHAPES = (1.0, 8.0)
"""The least and greatest shape of the curve before the lowest quantile: its hazard stays, or is
nearly none until there.
"""


def survival_with_tail(quantiles: ndarray, times: ndarray) -> ndarray:
    """Return the probability to last longer than each time, shape (n, times).

    From the lowest quantile on it is that of `survival_at`. Before it a line from 0 would spread
    the lowest 5 % of failures evenly, and say of a machine whose wear is seen that it may fail at
    once; a Weibull curve through the two lowest quantiles keeps the hazard rising (log(-log S) is a
    line in log t).

    Args:
        quantiles: At `LIFE_LEVELS`, rising, shape (n, levels).
        times: Above 0, shape (times,).
    """
    first = np.maximum(quantiles[:, 0], 1e-9)
    second = np.maximum(quantiles[:, 1], first * (1 + 1e-9))
    hazards = -np.log1p(-LIFE_LEVELS[:2])
    shape = np.clip(np.log(hazards[1] / hazards[0]) / np.log(second / first), *TAIL_SHAPES)
    tail = np.exp(-hazards[0] * np.minimum(times[None, :] / first[:, None], 1.0) ** shape[:, None])
    return np.where(times[None, :] < first[:, None], tail, survival_at(quantiles, times))


# Curves of survival beyond the longest life that was seen.

LEAST_HAZARD = 1e-6
"""The least hazard of a tail, over the longest life seen: a law without any failure has a tail that
ends too.
"""


def tail_hazard(left: ndarray | float, longest: float) -> ndarray:
    """Return the hazard beyond the longest life seen: that of the exponential which leaves as many
    there as the curve does.

    The tail of Brown, Hollander and Korwar (1974), "Nonparametric tests of independence for
    censored data".

    Args:
        left: The share that lasts longer than the longest life seen, above 0.
        longest: That life.
    """
    return np.maximum(-np.log(np.maximum(left, 1e-300)), LEAST_HAZARD) / longest


def lives_of_curves(
    times: ndarray, survival: ndarray, hazard: ndarray, longest: float, cap: float
) -> Lives:
    """Return the laws of remaining lives by step curves with an exponential tail.

    Args:
        times: At which curves step down, rising from above 0 to no more than `longest`, shape (t,);
            may be none.
        survival: After each, shape (n, t).
        hazard: Beyond `longest`, shape (n,).
        longest: From which on the tail falls; before it curves stay at their last step.
        cap: Of points.
    """
    rows = len(survival)
    last = survival[:, -1] if len(times) else np.ones(rows)
    mean = restricted_mean(times, survival, cap)
    beyond = max(cap - longest, 0.0)  # the tail in place of the last step, which goes on to the cap
    point = mean + last * (-np.expm1(-hazard * beyond) / hazard - beyond)
    in_tail = (
        longest + np.log(np.maximum(last[:, None], 1e-300) / (1 - LIFE_LEVELS)) / hazard[:, None]
    )
    reached = last[:, None] <= (1 - LIFE_LEVELS) + 1e-12
    inside = (
        quantiles_of_survival(times, survival) if len(times) else np.zeros((rows, len(LIFE_LEVELS)))
    )
    return Lives.of(point, np.where(reached, inside, np.maximum(in_tail, longest)))


# The law of a remaining life around a point: how far points of the same size were off for
# machines that were held out.
# Split conformal prediction with the machine as the unit (Javanmardi and Hüllermeier 2023,
# "Conformal prediction intervals for remaining useful lifetime estimation"), on points of inner
# folds (Barber et al. 2021, "Predictive inference with the jackknife+"); local in the point,
# for errors are small near a failure and large far from it; censored lives count by Kaplan and
# Meier's curve of errors (Beran 1981, in one covariate).

NODES = 40
"""Points at which the law is made; between them it is a line."""


@dataclass(frozen=True, eq=False)
class LocalErrors(Serializable):
    """The quantiles of errors by the size of the point.

    Attributes:
        nodes: Points, rising, shape (k,).
        errors: The errors of the remaining life less the point, at `LEVELS`, shape (k, levels).
    """

    nodes: ndarray
    errors: ndarray

    @classmethod
    def learn(
        cls,
        point: ndarray,
        seen: ndarray,
        event: ndarray,
        weight: ndarray,
        share: float,
    ) -> Self:
        """Return the errors of points of held-out machines.

        Args:
            point: The point of the remaining life, shape (n,).
            seen: How long each went on.
            event: Whether it failed then, or was last seen.
            weight: The weight of each row, as often as lives are predicted there.
            share: The share of all weights that the nearest points have together.
        """
        order = np.argsort(point, kind="stable")
        point, seen, event, weight = (part[order] for part in (point, seen, event, weight))
        place = (np.cumsum(weight) - 0.5 * weight) / weight.sum()
        middles = np.linspace(0, 1, NODES)
        begins = np.clip(middles - share / 2, 0, 1 - share)
        nodes, errors = [], []
        for begin in begins:
            near = (place >= begin) & (place <= begin + share)
            if not near.any():
                near[np.argmin(np.abs(place - begin - share / 2))] = True
            nodes.append(float(np.average(point[near], weights=weight[near])))
            errors.append(_error_quantiles((seen - point)[near], event[near], weight[near]))
        rising, first = np.unique(nodes, return_index=True)
        return cls(rising, np.array(errors)[first])

    def lives(self, point: ndarray) -> Lives:
        """Return the law around each point, shape (n,)."""
        columns = [
            np.interp(point, self.nodes, self.errors[:, level]) for level in range(len(LIFE_LEVELS))
        ]
        return Lives.of(point, point[:, None] + np.column_stack(columns))


def _error_quantiles(error: ndarray, event: ndarray, weight: ndarray) -> ndarray:
    """Return the quantiles of errors at `LEVELS`, where they are not reached the largest.

    None is moved outwards for one machine more than were seen, as split conformal prediction does:
    points of inner folds are of fits without a fold, which are a little farther off than the fit on
    all that they stand for, and do as much.
    """
    values, share = kaplan_meier(error, event, weight)
    return quantiles_of(values, share, LIFE_LEVELS, float(error.max()))
