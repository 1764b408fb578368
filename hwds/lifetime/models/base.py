"""LifetimeModel: the recipe of a model of remaining life; and PointModel, whose law comes of machines that were held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Protocol

import numpy as np
from annotated_types import Ge, Gt, Le

from hwds.core.errors import DataError
from hwds.core.recipe import Recipe, Small
from hwds.core.serialization import Serializable
from hwds.frames.base import check_frame
from hwds.frames.runs import Runs
from hwds.lifetime.context import LifetimeContext
from hwds.lifetime.laws.lives import Lives
from hwds.lifetime.laws.local_errors import LocalErrors
from hwds.splitting.rows import hash_of

LEAST_FAILURES = 3
"""The fewest runs to learn from that failed."""


class FittedLife(Protocol):
    """The result of `LifetimeModel.learn`."""

    def predict(self, runs: Runs) -> Lives:
        """Return the law of each run's remaining life at its last row; nothing else of the run is known."""


class LifetimeModel(Recipe):
    """A model of how long machines will last.

    It learns from runs that failed and from runs that are censored: those still going on when they were last seen.
    """

    local: ClassVar[bool] = False

    def check_installed(self) -> None:
        """Refuse a machine without a package that the model needs; called before the first cell.

        Raises:
            ConfigError: With the command that installs it.
        """

    def learn(self, runs: Runs, context: LifetimeContext) -> FittedLife:
        """Return the model fitted to runs.

        Raises:
            DataError: Too few of them failed.
        """
        raise NotImplementedError(f"{type(self).__name__}.learn")

    def fit(self, runs: Runs, *, context: LifetimeContext | None = None) -> FittedLife:
        """Return the model fitted to runs, in Python and without a run of an experiment.

        Args:
            runs: Machines to their failure, or censored.
            context: The cap, random streams, threads and features; seed 0 and one thread where it is not given.

        Raises:
            ConfigError: The frame is of another kind.
            DataError: Too few of the runs failed.

        Example:
            >>> hwds.lifetime.XGBoostWindows().fit(runs).predict(running)  # doctest: +SKIP
        """
        check_frame("fit", runs, Runs, self)
        return self.learn(enough(runs.learnable), context or LifetimeContext(0))


def enough(runs: Runs) -> Runs:
    """Return the runs where enough of them failed.

    Raises:
        DataError: Too few did.
    """
    failed = int(runs.events.sum())
    if failed < LEAST_FAILURES:
        raise DataError(f"dataset: a model of life needs {LEAST_FAILURES} runs that failed to learn from, got {failed}.")
    return runs


class Regressed(Protocol):
    """A regression of the capped remaining life."""

    def points(self, runs: Runs) -> np.ndarray:
        """Return the point at each row of runs, of the rows up to it alone; shape (rows,)."""


class PointModel(LifetimeModel):
    """A regression of the remaining life up to the cap; its law is that of the errors for machines that were held out.

    Attributes:
        inner_folds: Parts of the machines; each is held out once, to see how far points are off.
        near: The share of held-out rows whose points are nearest that make the law around a point.
    """

    inner_folds: Annotated[int, Ge(2), Le(1_000), Small(2)] = 5
    near: Annotated[float, Gt(0.01), Le(1)] = 0.15

    def regress(self, runs: Runs, context: LifetimeContext) -> Regressed:
        """Return the regression learned from runs."""
        raise NotImplementedError(f"{type(self).__name__}.regress")

    def learn(self, runs: Runs, context: LifetimeContext) -> FittedLife:
        """Learn from all runs, and from all but one part after the other, which is held out."""
        return FittedPoint(self.regressed(runs, context), errors_of(self.held_out(runs, context), runs, context, self.near))

    def regressed(self, runs: Runs, context: LifetimeContext) -> Regressed:
        """Return the regression learned from runs; once for all models of an experiment that have this one as a member."""
        fitted: Regressed = context.fitted_once(self, "lifetime", runs, lambda: self.regress(runs, context))
        return fitted

    def held_out(self, runs: Runs, context: LifetimeContext) -> np.ndarray:
        """Return the point at each row, by a regression that has not seen its machine; shape (rows,)."""

        def made() -> np.ndarray:
            fold = inner_fold(runs, self.inner_folds)
            out = np.full(len(runs.data), np.nan)
            for number in range(self.inner_folds):
                mine = fold == number
                if mine.any():
                    learned = self.regress(runs.take(~mine), context)
                    out[mine[runs.run_of_row]] = learned.points(runs.take(mine))
            return out

        points: np.ndarray = context.fitted_once(self, "lifetime held out", runs, made)
        return points


def inner_fold(runs: Runs, folds: int) -> np.ndarray:
    """Return the inner fold of each run, shape (n,): dealt out in the order of a hash of their names."""
    order = np.argsort([hash_of(name, b"inner") for name in runs.names], kind="stable")
    fold = np.empty(runs.n, np.int64)
    fold[order] = np.arange(runs.n) % folds
    return fold


def asked_rows(runs: Runs, context: LifetimeContext) -> np.ndarray:
    """Return which rows are like those at which a life may be predicted: late enough, and not the last one; shape (rows,)."""
    place = np.arange(len(runs.data)) - runs.offsets[:-1][runs.run_of_row]
    seen, _ = runs.remaining_of_rows()
    late: np.ndarray = (place >= context.least - 1) & (seen > 0)
    return late if late.any() else seen > 0


def errors_of(points: np.ndarray, runs: Runs, context: LifetimeContext, near: float) -> LocalErrors:
    """Return the law of the errors of held-out points.

    Args:
        points: At each row, shape (rows,).
        runs: Whose rows they are.
        context: Says which rows count.
        near: The share of rows that make the law around a point.
    """
    rows = asked_rows(runs, context) & np.isfinite(points)
    seen, event = runs.remaining_of_rows()
    weight = context.weights(runs, rows)
    return LocalErrors.learn(points[rows], seen[rows], event[rows], weight, near)


def known_targets(runs: Runs, cap: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows whose remaining life up to the cap is known, a mask, and its value at them.

    It is known of a machine that failed, and of one that was seen for as long as the cap.
    """
    seen, event = runs.remaining_of_rows()
    known = event | (seen >= cap)
    return known, np.minimum(seen, cap)[known]


@dataclass(frozen=True, eq=False)
class FittedPoint(Serializable):
    """A regression, and the law of its errors.

    Attributes:
        regressed: Of the capped remaining life.
        errors: By the size of the point.
    """

    regressed: Regressed
    errors: LocalErrors

    def predict(self, runs: Runs) -> Lives:
        """Return the law at the last row of each run."""
        return self.errors.lives(self.regressed.points(runs)[runs.offsets[1:] - 1])
