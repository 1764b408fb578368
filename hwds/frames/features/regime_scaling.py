"""Measurements of sensors in each cycle, scaled within operating conditions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from hwds.core.serialization import Serializable
from hwds.frames.runs import Runs
from hwds.frames.signals import RegimeScales as Scales
from hwds.frames.signals import RunFeatures


class RegimeScaling(RunFeatures):
    """The last value of each sensor alone, in standard deviations within its operating condition,
    and the age.

    Conditions are told apart by k-means of the settings. It is what windows are made of, and shows
    what they add.

    Attributes:
        regimes: Operating conditions; 0 takes as many as the data says it has.
    """

    regimes: Annotated[int, Ge(0), Le(100)] = 0

    @property
    def has_age(self) -> bool:
        """True where the age of a run is among its numbers."""
        return True

    def learn(self, runs: Runs) -> LearnedRegimeScaling:
        """Return the scales of these runs."""
        return LearnedRegimeScaling(Scales.learn(runs, self.regimes))


@dataclass(frozen=True, eq=False)
class LearnedRegimeScaling(Serializable):
    """Scaled sensors as features of runs.

    Attributes:
        scaling: The scales of the sensors.
    """

    scaling: Scales

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of `compute`."""
        return (*self.scaling.sensors, "age")

    def compute(self, runs: Runs) -> np.ndarray:
        """Return the numbers of each cycle, shape (rows, names)."""
        return np.column_stack([self.scaling.scale(runs), runs.cycles])
