"""The course of a machine's wear up to a cycle as a few numbers: smoothed principal components at cycles before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from hwds.core.serialization import Serializable
from hwds.features.signal_windows import along, begins_of, principal_axes, smoothed
from hwds.features.signals.regimes import RegimeScaling
from hwds.frames.runs import Runs

YOUNG = 10
"""The cycle whose smoothed value stands for a new machine."""


@dataclass(frozen=True, eq=False)
class Coordinates(Serializable):
    """Scales and principal axes that were learned, and at which cycles before the last one they are read.

    Attributes:
        scaling: Of the sensors.
        axes: Shape (sensors, components).
        lags: Cycles before the last one, 0 among them.
        weight: Of the newest cycle in smoothed values.
        age_unit: The age that counts as much as a change of a component by 1.
    """

    scaling: RegimeScaling
    axes: np.ndarray
    lags: tuple[int, ...]
    weight: float
    age_unit: float

    @classmethod
    def learn(cls, runs: Runs, components: int, lags: tuple[int, ...], weight: float, age_unit: float) -> Self:
        """Return the coordinates with the scales of runs."""
        scaling = RegimeScaling.learn(runs)
        return cls(scaling, principal_axes(scaling.scaled(runs), begins_of(runs), components), lags, weight, age_unit)

    def compute(self, runs: Runs) -> np.ndarray:
        """Return the coordinates of each cycle, shape (rows, (lags + 1) components + 1).

        They are the smoothed components at each lag, or at the first cycle where the run is younger, less what they were when
        the machine was new; what they were then; and the age.
        """
        begins = begins_of(runs)
        values = smoothed(along(self.scaling.scaled(runs), self.axes), begins, self.weight)
        rows = np.arange(len(values))
        young = values[np.minimum(rows, begins + YOUNG - 1)]
        parts = [values[np.maximum(rows - lag, begins)] - young for lag in self.lags]
        return np.ascontiguousarray(np.column_stack([*parts, young, runs.cycles / self.age_unit]))
