"""A straight line of the age."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.core.serialization import Serializable
from hwds.frames.runs import Runs
from hwds.lifetime.models.base import LifetimeContext, PointModel, known_targets


class LinearAge(PointModel):
    """The remaining life up to the cap as a straight line of the age, by least squares: what
    service intervals assume.
    """

    def regress(self, runs: Runs, context: LifetimeContext) -> AgeLine:
        """Fit the line; rows count as often as the protocol asks at them
        (`LifetimeContext.weights`).
        """
        known, target = known_targets(runs, context.cap)
        weight = np.sqrt(context.weights(runs, known))
        age = runs.cycles[known]
        columns = np.column_stack([np.ones(len(age)), age])
        line = np.linalg.lstsq(columns * weight[:, None], target * weight, rcond=None)[0]
        return AgeLine(float(line[0]), float(line[1]), context.cap)


@dataclass(frozen=True, eq=False)
class AgeLine(Serializable):
    """A straight line.

    Attributes:
        new: The point of a new machine.
        slope: Its change by a cycle of age.
        cap: The most.
    """

    new: float
    slope: float
    cap: float

    def points(self, runs: Runs) -> np.ndarray:
        """Return the point at each row, shape (rows,)."""
        return np.clip(self.new + self.slope * runs.cycles, 0.0, self.cap)
