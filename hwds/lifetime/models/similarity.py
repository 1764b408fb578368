"""The lives of the machines whose wear took the same course."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from annotated_types import Ge, Gt, Le, MinLen
from numpy import ndarray

from hwds.core.compiling import compiled
from hwds.core.recipe import Once, ZeroSteps
from hwds.core.serialization import Serializable
from hwds.frames.features.signal_windows import (
    components_along,
    principal_axes,
    run_begins,
    smooth_signals,
)
from hwds.frames.runs import Runs
from hwds.frames.signals import RegimeScales
from hwds.lifetime.models.base import LifetimeContext, PointModel, known_targets

# The compiled loops that look for the cycle of each known machine that is most like a new
# one's.


def fill_nearest(
    asked: ndarray,
    known: ndarray,
    begins: ndarray,
    target: ndarray,
    distance: ndarray,
    life: ndarray,
) -> None:
    """Write, for each machine that is known, the least squared distance of its cycles from each one
    that is asked.

    Args:
        asked: Coordinates, shape (n, d).
        known: Coordinates of known cycles, those of a machine side by side, shape (m, d).
        begins: The first cycle of each machine and the end, shape (k + 1,).
        target: The capped remaining life at each known cycle, shape (m,).
        distance: The distance of the nearest cycle of each machine, shape (n, k).
        life: The capped remaining life there, shape (n, k).
    """
    for row in range(len(asked)):
        for machine in range(len(begins) - 1):
            least = np.inf
            best = 0.0
            for i in range(begins[machine], begins[machine + 1]):
                total = 0.0
                for j in range(asked.shape[1]):
                    gap = asked[row, j] - known[i, j]
                    total += gap * gap
                    if total >= least:
                        break
                if total < least:
                    least = total
                    best = target[i]
            distance[row, machine] = least
            life[row, machine] = best


# The course of a machine's wear up to a cycle as a few numbers: smoothed principal components
# at cycles before it.

YOUNG_CYCLE = 10
"""The cycle whose smoothed value stands for a new machine."""


@dataclass(frozen=True, eq=False)
class Coordinates(Serializable):
    """Scales and principal axes that were learned, and at which cycles before the last one they are
    read.

    Attributes:
        scaling: The scaling of the sensors.
        axes: Shape (sensors, components).
        lags: Cycles before the last one, 0 among them.
        weight: The weight of the newest cycle in smoothed values.
        age_unit: The age that counts as much as a change of a component by 1.
    """

    scaling: RegimeScales
    axes: ndarray
    lags: tuple[int, ...]
    weight: float
    age_unit: float

    @classmethod
    def learn(
        cls, runs: Runs, components: int, lags: tuple[int, ...], weight: float, age_unit: float
    ) -> Self:
        """Return the coordinates with the scales of runs."""
        scaling = RegimeScales.learn(runs)
        return cls(
            scaling,
            principal_axes(scaling.scale(runs), run_begins(runs), components),
            lags,
            weight,
            age_unit,
        )

    def compute(self, runs: Runs) -> ndarray:
        """Return the coordinates of each cycle, shape (rows, (lags + 1) components + 1).

        They are the smoothed components at each lag, or at the first cycle where the run is
        younger, less what they were when the machine was new; what they were then; and the age.
        """
        begins = run_begins(runs)
        values = smooth_signals(
            components_along(self.scaling.scale(runs), self.axes), begins, self.weight
        )
        rows = np.arange(len(values))
        young = values[np.minimum(rows, begins + YOUNG_CYCLE - 1)]
        parts = [values[np.maximum(rows - lag, begins)] - young for lag in self.lags]
        return np.ascontiguousarray(np.column_stack([*parts, young, runs.cycles / self.age_unit]))


# The lives of the machines whose wear took the same course.

LEAST_DISTANCE = 1e-12


class Similarity(PointModel):
    """The remaining lives of the known machines at the cycle where their wear had taken the course
    most like the new one's.

    The course is the path of the sensors' first principal components, smoothed, at some cycles
    before the last one. The nearest machines count by a Gaussian kernel of their distance (Wang,
    Yu, Siegel and Lee 2008, "A similarity-based prognostics approach for remaining useful life
    estimation").

    Attributes:
        components: Principal components of the sensors.
        lags: Cycles before the last one at which the course is read.
        smoothing: The weight of the newest cycle in smoothed values.
        age_unit: The age that counts as much as a component's change by 1; a great one leaves ages
            out.
        neighbours: Machines that count; the farthest of them has the weight e^-2.
    """

    search_space: ClassVar[Mapping[str, Any]] = {
        "components": {"randint": [1, 4]},
        "smoothing": {"loguniform": [0.02, 0.3]},
        "neighbours": {"randint": [5, 40]},
    }

    components: Annotated[int, Ge(1), Le(100)] = 2
    lags: Annotated[tuple[ZeroSteps, ...], MinLen(1), Once] = (0, 15, 30, 60)
    smoothing: Annotated[float, Gt(0), Le(1)] = 0.15
    age_unit: Annotated[float, Gt(0.01), Le(1e9)] = 40.0
    neighbours: Annotated[int, Ge(1), Le(100_000)] = 10

    def regress(self, runs: Runs, context: LifetimeContext) -> KnownCourses:
        """Keep the courses of all cycles whose capped remaining life is known."""
        coordinates = Coordinates.learn(
            runs, self.components, self.lags, self.smoothing, self.age_unit
        )
        known, target = known_targets(runs, context.cap)
        counts = np.bincount(runs.run_of_row[known], minlength=runs.n)
        begins = np.concatenate([[0], np.cumsum(counts[counts > 0])])
        return KnownCourses(
            coordinates, coordinates.compute(runs)[known], begins, target, self.neighbours
        )


@dataclass(frozen=True, eq=False)
class KnownCourses(Serializable):
    """The courses of known machines, and how they went on.

    Attributes:
        coordinates: What a course is.
        known: The coordinates of each known cycle, shape (m, d).
        begins: The first cycle of each machine and the end, shape (k + 1,).
        target: The capped remaining life at each known cycle.
        age_unit: The age that counts as much as a component's change by 1; a great one leaves ages
            out.
        neighbours: Machines that count.
    """

    coordinates: Coordinates
    known: ndarray
    begins: ndarray
    target: ndarray
    neighbours: int

    def points(self, runs: Runs) -> ndarray:
        """Return the point at each row, shape (rows,)."""
        asked = self.coordinates.compute(runs)
        shape = (len(asked), len(self.begins) - 1)
        distance, life = np.empty(shape), np.empty(shape)
        compiled(fill_nearest)(asked, self.known, self.begins, self.target, distance, life)
        count = min(self.neighbours, shape[1])
        farthest = np.partition(distance, count - 1, axis=1)[:, count - 1 : count]
        weight = np.where(
            distance <= farthest, np.exp(-2 * distance / np.maximum(farthest, LEAST_DISTANCE)), 0.0
        )
        return (weight * life).sum(axis=1) / weight.sum(axis=1)
