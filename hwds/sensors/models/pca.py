"""Principal components of normal departures: Hotelling's T2 within them and Q outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Gt, Le
from numpy import ndarray

from hwds.core.serialization import Serializable
from hwds.sensors.models.base import NormalRows, SensorContext, SensorModel

LEAST = 1e-6
"""A variance along a component below so much of the mean is rounding."""


class PCA(SensorModel):
    """The distance of a row from normal ones, along the components in which these vary most (T2),
    and off them (Q).

    T2 is the sum of squared components over their variances (Hotelling 1947), Q the squared
    distance from what the components restore (Jackson and Mudholkar 1979). A row is anomalous where
    one of them is above its limit; each has half of the false alarms. A feature's parts of T2 and Q
    are its contributions (Westerhuis, Gurden and Smilde 2000).

    Attributes:
        variance: The share of the variance of normal departures that the components have.
    """

    search_space: ClassVar = {
        "variance": {"choice": [0.5, 0.7, 0.9]},
        "reference": {"uniform": [0.3, 0.6]},
    }

    variance: Annotated[float, Gt(0), Le(1)] = 0.8

    def learn_normal(self, normal: NormalRows, context: SensorContext, part: int) -> Components:
        """Return the components of the rows."""
        values = normal.departures[normal.rows]
        spread, axes = np.linalg.eigh(np.atleast_2d(values.T @ values / len(values)))
        spread, axes = np.maximum(spread[::-1], LEAST * spread.mean()), axes[:, ::-1]
        count = int(np.searchsorted(np.cumsum(spread) / spread.sum(), self.variance - 1e-12)) + 1
        return Components(np.ascontiguousarray(axes), spread, min(count, max(len(spread) - 1, 1)))


@dataclass(frozen=True, eq=False)
class Components(Serializable):
    """Components of normal departures.

    Attributes:
        axes: All of them, shape (features, features), those that vary most first.
        spread: The variance along each.
        count: The number of components within; the others make Q.
    """

    axes: ndarray
    spread: ndarray
    count: int

    past = 0

    def statistics(self, departures: ndarray, begins: ndarray) -> ndarray:
        """Return T2 and Q, shape (rows, 2); Q is 0 where all components are within."""
        within = self._along(departures, slice(0, self.count)) ** 2 / self.spread[: self.count]
        off = self._along(departures, slice(self.count, None)) ** 2
        return np.column_stack([within.sum(axis=1), off.sum(axis=1)])

    def parts(self, departures: ndarray, begins: ndarray, rows: ndarray) -> ndarray:
        """Return what each feature adds: to T2, the sum of components times loadings, and to Q, its
        squared residual.
        """
        values = departures[rows]
        scores = self._along(values, slice(0, self.count))
        loads = self.axes[:, : self.count]
        inner = (scores / self.spread[: self.count]) @ loads.T * values
        residual = values - scores @ loads.T
        usual = float(self.count), float(self.spread[self.count :].sum()) or 1.0
        return np.maximum(inner, 0.0) / usual[0] + residual**2 / usual[1]

    def _along(self, departures: ndarray, which: slice) -> ndarray:
        """Return components of each row, summed feature by feature: a product of matrices has other
        bits of one row alone.
        """
        axes = self.axes[:, which]
        out = np.zeros((len(departures), axes.shape[1]))
        for feature in range(len(axes)):
            out += departures[:, feature : feature + 1] * axes[feature]
        return out
