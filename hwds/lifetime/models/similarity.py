"""The lives of the machines whose wear took the same course."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge, Gt, Le, MinLen

from hwds.core.numba_cache import compiled
from hwds.core.recipe import Once, ZeroSteps
from hwds.core.serialization import Serializable
from hwds.frames.runs import Runs
from hwds.lifetime.context import LifetimeContext
from hwds.lifetime.models.base import PointModel, known_targets
from hwds.lifetime.models.trajectories.coordinates import Coordinates
from hwds.lifetime.models.trajectories.kernel import fill_nearest

TINY = 1e-12


class Similarity(PointModel):
    """The remaining lives of the known machines at the cycle where their wear had taken the course most like the new one's.

    The course is that of the sensors' first principal components, smoothed, at some cycles before the last one. The nearest
    machines count by a Gaussian kernel of their distance (Wang, Yu, Siegel and Lee 2008, "A similarity-based prognostics
    approach for remaining useful life estimation").

    Attributes:
        components: Principal components of the sensors.
        lags: Cycles before the last one at which the course is read.
        smoothing: The weight of the newest cycle in smoothed values.
        age_unit: The age that counts as much as a component's change by 1; a great one leaves ages out.
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
        coordinates = Coordinates.learn(runs, self.components, self.lags, self.smoothing, self.age_unit)
        known, target = known_targets(runs, context.cap)
        counts = np.bincount(runs.run_of_row[known], minlength=runs.n)
        begins = np.concatenate([[0], np.cumsum(counts[counts > 0])])
        return KnownCourses(coordinates, coordinates.compute(runs)[known], begins, target, self.neighbours)


@dataclass(frozen=True, eq=False)
class KnownCourses(Serializable):
    """The courses of known machines, and how they went on.

    Attributes:
        coordinates: What a course is.
        known: Of each known cycle, shape (m, d).
        begins: The first cycle of each machine and the end, shape (k + 1,).
        target: The capped remaining life at each known cycle.
        age_unit: The age that counts as much as a component's change by 1; a great one leaves ages out.
        neighbours: Machines that count.
    """

    coordinates: Coordinates
    known: np.ndarray
    begins: np.ndarray
    target: np.ndarray
    neighbours: int

    def points(self, runs: Runs) -> np.ndarray:
        """Return the point at each row, shape (rows,)."""
        asked = self.coordinates.compute(runs)
        shape = (len(asked), len(self.begins) - 1)
        distance, life = np.empty(shape), np.empty(shape)
        compiled(fill_nearest)(asked, self.known, self.begins, self.target, distance, life)
        count = min(self.neighbours, shape[1])
        farthest = np.partition(distance, count - 1, axis=1)[:, count - 1 : count]
        weight = np.where(distance <= farthest, np.exp(-2 * distance / np.maximum(farthest, TINY)), 0.0)
        return np.asarray((weight * life).sum(axis=1) / weight.sum(axis=1))
