"""The law of a remaining life around a point: how far points of the same size were off for machines that were held out.

Split conformal prediction with the machine as the unit (Javanmardi and Hüllermeier 2023, "Conformal prediction intervals for
remaining useful lifetime estimation"), on points of inner folds (Barber et al. 2021, "Predictive inference with the
jackknife+"); local in the point, for errors are small near a failure and large far from it; censored lives count by Kaplan and
Meier's curve of errors (Beran 1981, in one covariate).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from hwds.core.serialization import Serializable
from hwds.lifetime.laws.lives import LEVELS, Lives
from hwds.statistics.kaplan_meier import kaplan_meier, quantiles_of

NODES = 40
"""Points at which the law is made; between them it is a line."""


@dataclass(frozen=True, eq=False)
class LocalErrors(Serializable):
    """The quantiles of errors by the size of the point.

    Attributes:
        nodes: Points, rising, shape (k,).
        errors: Of the remaining life less the point, at `LEVELS`, shape (k, levels).
    """

    nodes: np.ndarray
    errors: np.ndarray

    @classmethod
    def learn(cls, point: np.ndarray, seen: np.ndarray, event: np.ndarray, weight: np.ndarray, share: float) -> Self:
        """Return the errors of points of held-out machines.

        Args:
            point: Of the remaining life, shape (n,).
            seen: How long each went on.
            event: Whether it failed then, or was last seen.
            weight: The weight of each row, as often as lives are predicted there.
            share: Of the weights, how many of the nearest points count.
        """
        order = np.argsort(point, kind="stable")
        point, seen, event, weight = (part[order] for part in (point, seen, event, weight))
        place = (np.cumsum(weight) - 0.5 * weight) / weight.sum()
        middles = np.linspace(0, 1, NODES)
        begins = np.clip(middles - share / 2, 0, 1 - share)
        nodes, errors = [], []
        for begin in begins:
            near = (place >= begin) & (place <= begin + share)
            near = near if near.any() else np.arange(len(place)) == np.argmin(np.abs(place - begin - share / 2))
            nodes.append(float(np.average(point[near], weights=weight[near])))
            errors.append(_quantiles((seen - point)[near], event[near], weight[near]))
        rising, first = np.unique(nodes, return_index=True)
        return cls(rising, np.array(errors)[first])

    def lives(self, point: np.ndarray) -> Lives:
        """Return the law around each point, shape (n,)."""
        columns = [np.interp(point, self.nodes, self.errors[:, level]) for level in range(len(LEVELS))]
        return Lives.of(point, point[:, None] + np.column_stack(columns))


def _quantiles(error: np.ndarray, event: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the quantiles of errors at `LEVELS`, where they are not reached the largest.

    None is moved outwards for one machine more than were seen, as split conformal prediction does: points of inner folds are of
    fits without a fold, which are a little farther off than the fit on all that they stand for, and do as much.
    """
    values, share = kaplan_meier(error, event, weight)
    return quantiles_of(values, share, LEVELS, float(error.max()))
