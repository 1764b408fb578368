"""A weighted mean of several models of remaining life."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Le, MinLen
from numpy import ndarray
from pydantic import AfterValidator

from hwds.core.serialization import Serializable
from hwds.frames.runs import Runs
from hwds.lifetime.models.base import (
    FittedLife,
    FittedPoint,
    LifetimeContext,
    PointModel,
    Regressed,
    held_out_errors,
    predictable_rows,
)


def _no_stacks(members: tuple[PointModel, ...]) -> tuple[PointModel, ...]:
    if any(isinstance(member, Stack) for member in members):
        raise ValueError("must be models of points by themselves, got a stack")
    return members


class Stack(PointModel):
    """A weighted mean of its members' predictions, with weights from held-out machines, shrunk
    towards equal ones.

    Weights are of least squared error over machines that no member had seen; each machine has the
    same weight if the protocol scores at shares of a life (`last_window`), and each cycle if it
    scores at any cycle (`prequential_runs`).

    Attributes:
        members: Models of points, none of them a stack; each is held out as it is by itself.
        shrinkage: The number of machines that the equal weights count for.
    """

    uses_features: ClassVar[bool] = True

    members: Annotated[tuple[PointModel, ...], MinLen(2), AfterValidator(_no_stacks)]
    shrinkage: Annotated[float, Ge(0), Le(1e6)] = 20.0

    def learn(self, runs: Runs, context: LifetimeContext) -> FittedLife:
        """Learn each member from all runs, and the weights from machines that were held out of
        them.
        """
        held = np.column_stack([member.held_out(runs, context) for member in self.members])
        weights = self.weights(held, runs, context)
        parts = tuple(member.fitted_regression(runs, context) for member in self.members)
        return FittedPoint(
            WeightedPoints(parts, weights),
            held_out_errors(held @ weights, runs, context, self.near),
        )

    def weights(self, held: ndarray, runs: Runs, context: LifetimeContext) -> ndarray:
        """Return the members' weights, shape (members,).

        Args:
            held: Their held-out points, shape (rows, members).
            runs: Whose rows they are.
            context: The cap, and how much each row counts.
        """
        from scipy.optimize import nnls

        seen, event = runs.remaining_of_rows()
        rows = (
            predictable_rows(runs, context)
            & (event | (seen >= context.cap))
            & np.isfinite(held).all(axis=1)
        )
        weight = context.weights(runs, rows)
        error = held[rows] - np.minimum(seen, context.cap)[rows, None]
        cross = (error * weight[:, None]).T @ error / weight.sum()
        count, machines = len(self.members), len(np.unique(runs.run_of_row[rows]))
        equal = np.full(count, 1 / count)
        share = self.shrinkage / (self.shrinkage + machines)
        # the least of w' cross w under sum(w) = 1 and w >= 0: the row of ones holds the sum
        root = np.linalg.cholesky(cross + 1e-9 * np.trace(cross) * np.eye(count)).T
        heavy = 1e3 * np.sqrt(np.trace(cross))
        found, _ = nnls(
            np.vstack([root, np.full(count, heavy)]), np.concatenate([np.zeros(count), [heavy]])
        )
        return (1 - share) * found / found.sum() + share * equal


@dataclass(frozen=True, eq=False)
class WeightedPoints(Serializable):
    """Regressions and their weights.

    Attributes:
        parts: The members.
        weights: Theirs.
    """

    parts: tuple[Regressed, ...]
    weights: ndarray

    def points(self, runs: Runs) -> ndarray:
        """Return the point at each row, shape (rows,)."""
        points = np.column_stack([part.points(runs) for part in self.parts])
        return (points * self.weights).sum(axis=1)
