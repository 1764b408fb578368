"""The wear that is left, over a rate that the machine's own wear and that of all machines tell
together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge, Gt, Le, MinLen
from numpy import ndarray

from hwds.core.recipe import Once
from hwds.core.serialization import Serializable
from hwds.frames.features.signal_windows import run_begins, smooth_signals
from hwds.frames.runs import Runs
from hwds.frames.signals import RegimeScales
from hwds.lifetime.laws import Lives
from hwds.lifetime.models.base import FittedLife, LifetimeContext, PointModel, predictable_rows

ROUNDS = 4
"""Fits of the rate, each with the errors weighted by the points of the one before."""

ERROR_FLOOR = 0.03
"""Of a mean life: the standard error of a point is taken as the point and so much."""

LEAST_WEAR = 0.02
"""The least wear over which a rate is taken."""

Weight = Annotated[float, Gt(0), Le(1)]


class WearRate(PointModel):
    """The wear that is left, over a rate: few parameters, for a fleet of a few dozen machines that
    wear out steadily.

    An index of the wear is the linear combination of sensors that best tells failed machines from
    new ones (Fisher's discriminant of their last and first rows), 0 of new ones and 1 where
    machines fail, smoothed. A machine of age t and wear w lasts (1 - w) (b + t) / (a + w) more
    cycles: the mean of a gamma process with a rate per machine, where a is the weight of the
    fleet's rate, in units of wear (Lawless and Crowder 2004, "Covariates and random effects in a
    gamma process model with application to degradation and failure"). a and b minimise squared
    errors relative to the life. A censored life that lasted longer than its point is an error, too.
    Laws reach beyond the protocol's cap; no point is longer than the longest life that was seen,
    for where sensors know nothing of wear a rate may be almost 0.

    Attributes:
        smoothing: Weights of the newest cycle in the smoothed index, of which the one with the
            least error is taken.
        ends: First and last rows of each run that stand for a new and for a failed machine.
        shrinkage: The share by which correlations of sensors are shrunk to 0 in the discriminant.
    """

    search_space: ClassVar[Mapping[str, Any]] = {
        "ends": {"randint": [2, 20]},
        "shrinkage": {"uniform": [0.0, 0.5]},
    }

    smoothing: Annotated[tuple[Weight, ...], MinLen(1), Once] = (0.1, 0.2, 0.3, 0.5)
    ends: Annotated[int, Ge(1), Le(1_000)] = 5
    shrinkage: Annotated[float, Ge(0), Le(1)] = 0.05

    def learn(self, runs: Runs, context: LifetimeContext) -> FittedLife:
        """Learn from all runs; the law is that of points up to the longest life, for the course of
        wear knows no cap.
        """
        return FittedWear(super().learn(runs, replace(context, cap=np.inf)), context.cap)

    def regress(self, runs: Runs, context: LifetimeContext) -> WearCourse:
        """Learn the index from the ends of runs, and the rate from all rows at which a life may be
        asked for.
        """
        scaling = RegimeScales.learn(runs).within_runs(runs)
        scaled = scaling.scale(runs)
        axis, new = self._index(scaled, runs)
        rows, (seen, failed) = predictable_rows(runs, context), runs.remaining_of_rows()
        seen, failed, age = seen[rows], failed[rows], runs.cycles[rows]
        weight, least = context.weights(runs, rows), np.inf
        cap, fleet = min(context.cap, float(runs.ages.max())), float(runs.ages.mean())
        best = WearCourse(scaling, axis, new, self.smoothing[0], 1.0, fleet, cap)
        for smoothing in self.smoothing:
            wear = _smooth_index(scaled @ axis - new, runs, smoothing)[rows]
            own, fleet = _fleet_rate(wear, age, seen, failed, weight)
            error = weight @ np.abs(
                _point_errors(_cycles_left(wear, age, own, fleet), seen, failed)
            )
            if error < least:
                best, least = replace(best, smoothing=smoothing, own=own, fleet=fleet), error
        return best

    def _index(self, scaled: ndarray, runs: Runs) -> tuple[ndarray, float]:
        """Return the weight of each sensor in the index, shape (sensors,), and its value of a new
        machine.
        """
        place = np.arange(len(scaled)) - run_begins(runs)
        before_end = runs.lengths[runs.run_of_row] - 1 - place
        first, last = place < self.ends, (before_end < self.ends) & (place >= self.ends)
        failed = last & runs.events[runs.run_of_row]
        last = failed if failed.any() else last if last.any() else before_end == 0
        begin, end = scaled[first].mean(axis=0), scaled[last].mean(axis=0)
        off = np.vstack([scaled[first] - begin, scaled[last] - end])
        spread = off.T @ off / len(off)
        own = np.diag(np.diag(spread) + 1e-9)
        rise = end - begin
        axis = np.linalg.solve(
            (1 - self.shrinkage) * spread + self.shrinkage * own + 1e-9 * np.eye(len(own)), rise
        )
        axis = axis / max(float(axis @ rise), 1e-12)
        return axis, float(begin @ axis)


def _fleet_rate(
    wear: ndarray, age: ndarray, seen: ndarray, failed: ndarray, weight: ndarray
) -> tuple[float, float]:
    """Return the wear and the cycles that the fleet's rate counts for.

    Errors grow with the life that is left: each is divided by the point of the fit before.
    """
    from scipy.optimize import least_squares

    life = float(np.average(age + seen, weights=weight))
    root, logs = np.sqrt(weight / weight.sum()), np.array([-1.0, 0.0])

    def left(logs: ndarray) -> ndarray:
        return _cycles_left(wear, age, np.exp(logs[0]), life * np.exp(logs.sum()))

    def errors(logs: ndarray, share: ndarray) -> ndarray:
        return _point_errors(left(logs), seen, failed) * share

    share = root / life
    for _ in range(ROUNDS):
        logs = least_squares(errors, logs, bounds=([-4.0, -4.0], [3.0, 4.0]), args=(share,)).x
        share = root / (left(logs) + ERROR_FLOOR * life)
    return float(np.exp(logs[0])), float(life * np.exp(logs.sum()))


def _cycles_left(wear: ndarray, age: ndarray, own: float, fleet: float) -> ndarray:
    """Return the cycles that are left, shape (rows,)."""
    return np.maximum(1 - wear, 0.0) * (fleet + age) / np.maximum(own + wear, LEAST_WEAR)


def _point_errors(left: ndarray, seen: ndarray, failed: ndarray) -> ndarray:
    """Return the errors of points, shape (rows,); a point beyond a censored life has none."""
    return np.where(failed, left - seen, np.minimum(left - seen, 0.0))


def _smooth_index(index: ndarray, runs: Runs, weight: float) -> ndarray:
    return smooth_signals(np.ascontiguousarray(index[:, None]), run_begins(runs), weight)[:, 0]


@dataclass(frozen=True, eq=False)
class WearCourse(Serializable):
    """An index of wear, and the rate of it.

    Attributes:
        scaling: The scaling of the sensors.
        axis: The weight of each sensor in the index, shape (sensors,).
        new: The index of a new machine, before it is taken off.
        smoothing: The weight of the newest cycle.
        own: The wear that the fleet's rate counts for.
        fleet: The cycles that it counts for.
        cap: The most.
    """

    scaling: RegimeScales
    axis: ndarray
    new: float
    smoothing: float
    own: float
    fleet: float
    cap: float

    def points(self, runs: Runs) -> ndarray:
        """Return the point at each row, shape (rows,)."""
        wear = _smooth_index(self.scaling.scale(runs) @ self.axis - self.new, runs, self.smoothing)
        return np.minimum(_cycles_left(wear, runs.cycles, self.own, self.fleet), self.cap)


@dataclass(frozen=True, eq=False)
class FittedWear(Serializable):
    """A course of wear with the law of its errors, and the cap of its points.

    Attributes:
        fitted: The law of lives however long.
        cap: Of points.
    """

    fitted: FittedLife
    cap: float

    def predict(self, runs: Runs) -> Lives:
        """Return the law at the last row of each run, its point the mean of quantiles up to the
        cap.
        """
        quantiles = self.fitted.predict(runs).quantiles
        return Lives(np.minimum(quantiles, self.cap).mean(axis=1), quantiles)
