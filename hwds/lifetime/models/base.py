"""LifetimeModel: the recipe of a model of remaining life, with its bases of points and
landmarks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol, Self

import numpy as np
from annotated_types import Ge, Gt, Le
from numpy import ndarray

from hwds.core.errors import DataError
from hwds.core.keys import key_of
from hwds.core.recipe import Positive, Recipe, Small, Steps
from hwds.core.serialization import Serializable
from hwds.evaluation.cells import FITTED
from hwds.evaluation.protocol import RunContext
from hwds.evaluation.row_folds import hash_of
from hwds.frames.features.signal_windows import LearnedSignalWindows, SignalWindows
from hwds.frames.runs import Runs
from hwds.frames.signals import RunFeatures
from hwds.frames.table import check_frame
from hwds.lifetime.laws import Lives, LocalErrors

if TYPE_CHECKING:
    import pandas as pd


# LifetimeContext: what a model of remaining life is given besides the runs.


@dataclass(frozen=True, slots=True)
class LifetimeContext(RunContext):
    """The settings of a run, and what a protocol asks of a model beside its own settings.

    Attributes:
        cap: The remaining life beyond which healthy machines look alike: points are of min(life,
            cap).
        least: Rows that are known of a run when its life is asked for, at least.
        by_share: Whether lives are asked for at shares of a run's life, each run as often as any
            other, so that its rows count the less the longer it lasts; where not, at any cycle, as
            in a fleet.
    """

    cap: float = 125.0
    least: int = 30
    by_share: bool = False

    def run_features(self) -> RunFeatures:
        """Return the experiment's features of runs.

        The windows that models take by themselves where it has none.
        """
        return self.features if isinstance(self.features, RunFeatures) else SignalWindows()

    def fitted_once(self, model: Any, purpose: str, runs: Runs, make: Any) -> Any:
        """Return what a model makes of runs.

        A run of an experiment makes it once for all models that have it as a member.
        """
        if self.cache is None:
            return make()
        settings = {"model": model, "features": self.run_features()}
        settings |= {"cap": self.cap, "least": self.least, "by_share": self.by_share}
        key = key_of(purpose, [self.fold, runs.fingerprint], settings, self.conditions, __name__)
        return self.cache.get_or_make(key, FITTED, make)

    def weights(self, runs: Runs, rows: ndarray) -> ndarray:
        """Return how much each of some rows counts, as often as it is asked for.

        Shape (rows,), mean 1.

        Args:
            runs: All runs.
            rows: A mask of shape (rows of all runs,).
        """
        run = runs.run_of_row[rows]
        if not self.by_share:
            return np.ones(len(run))
        weight = 1.0 / np.maximum(np.bincount(run, minlength=runs.n), 1)[run]
        return weight * (len(weight) / max(weight.sum(), 1e-300))


# LifetimeModel: the recipe of a model of remaining life; and PointModel, whose law comes of
# machines that were held out.

LEAST_FAILURES = 3
"""The fewest runs to learn from that failed."""


class FittedLife(Protocol):
    """The result of `LifetimeModel.learn`."""

    def predict(self, runs: Runs) -> Lives:
        """Return the law of each run's remaining life at its last row.

        Nothing else of the run is known.
        """


class LifetimeModel(Recipe):
    """A model of how long machines will last.

    It learns from runs that failed and from runs that are censored: those still going on when they
    were last seen.
    """

    local: ClassVar[bool] = False

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
            context: The cap, random streams, threads and features; seed 0 and one thread where it
                is not given.

        Raises:
            ConfigError: The frame is of another kind.
            DataError: Too few of the runs failed.

        Example:
            >>> hwds.lifetime.XGBoostWindows().fit(runs).predict(running)  # doctest: +SKIP
        """
        check_frame("fit", runs, Runs, self)
        return self.learn(enough_failures(runs.learnable), context or LifetimeContext(0))


def enough_failures(runs: Runs) -> Runs:
    """Return the runs where enough of them failed.

    Raises:
        DataError: Too few did.
    """
    failed = int(runs.events.sum())
    if failed < LEAST_FAILURES:
        raise DataError(
            f"dataset: a model of life needs {LEAST_FAILURES} runs that failed to learn from, got "
            f"{failed}."
        )
    return runs


class Regressed(Protocol):
    """A regression of the capped remaining life."""

    def points(self, runs: Runs) -> ndarray:
        """Return the point at each row of runs, of the rows up to it alone; shape (rows,)."""


class PointModel(LifetimeModel):
    """A regression of the remaining life up to the cap; its law is that of the errors for machines
    that were held out.

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
        return FittedPoint(
            self.fitted_regression(runs, context),
            held_out_errors(self.held_out(runs, context), runs, context, self.near),
        )

    def fitted_regression(self, runs: Runs, context: LifetimeContext) -> Regressed:
        """Return the regression learned from runs.

        Once for all models of an experiment that have this one as a member.
        """
        fitted: Regressed = context.fitted_once(
            self, "lifetime", runs, lambda: self.regress(runs, context)
        )
        return fitted

    def held_out(self, runs: Runs, context: LifetimeContext) -> ndarray:
        """Return the point at each row, by a regression that has not seen its machine.

        Shape (rows,).
        """

        def made() -> ndarray:
            fold = inner_fold(runs, self.inner_folds)
            out = np.full(len(runs.data), np.nan)
            for number in range(self.inner_folds):
                mine = fold == number
                if mine.any():
                    learned = self.regress(runs.take(~mine), context)
                    out[mine[runs.run_of_row]] = learned.points(runs.take(mine))
            return out

        return context.fitted_once(self, "lifetime held out", runs, made)


def inner_fold(runs: Runs, folds: int) -> ndarray:
    """Return the inner fold of each run, shape (n,): dealt out in the order of a hash of their
    names.
    """
    order = np.argsort([hash_of(name, b"inner") for name in runs.names], kind="stable")
    fold = np.empty(runs.n, np.int64)
    fold[order] = np.arange(runs.n) % folds
    return fold


def predictable_rows(runs: Runs, context: LifetimeContext) -> ndarray:
    """Return which rows are like those at which a life may be predicted: late enough, and not the
    last one; shape (rows,).
    """
    place = np.arange(len(runs.data)) - runs.offsets[:-1][runs.run_of_row]
    seen, _ = runs.remaining_of_rows()
    late: ndarray = (place >= context.least - 1) & (seen > 0)
    return late if late.any() else seen > 0


def held_out_errors(
    points: ndarray, runs: Runs, context: LifetimeContext, near: float
) -> LocalErrors:
    """Return the law of the errors of held-out points.

    Args:
        points: At each row, shape (rows,).
        runs: Whose rows they are.
        context: Says which rows count.
        near: The share of rows that make the law around a point.
    """
    rows = predictable_rows(runs, context) & np.isfinite(points)
    seen, event = runs.remaining_of_rows()
    weight = context.weights(runs, rows)
    return LocalErrors.learn(points[rows], seen[rows], event[rows], weight, near)


def known_targets(runs: Runs, cap: float) -> tuple[ndarray, ndarray]:
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
        regressed: The regression of the capped remaining life.
        errors: By the size of the point.
    """

    regressed: Regressed
    errors: LocalErrors

    def predict(self, runs: Runs) -> Lives:
        """Return the law at the last row of each run."""
        return self.errors.lives(self.regressed.points(runs)[runs.offsets[1:] - 1])


# Landmarks: cycles of runs at which the remaining life is predicted, with covariates of the
# cycles up to them.

DURATION, FAILURE = "left", "failed"
"""The columns of durations and of whether they end in a failure."""


class LandmarkModel(LifetimeModel):
    """A survival regression of the remaining life at landmarks (van Houwelingen 2007), by what was
    measured up to them.

    Censored machines count by what is known of them: that they lasted as long as they were seen.

    Attributes:
        window: Cycles over which the mean and the slope of each sensor and principal component are
            covariates, with the age.
        landmarks: The landmarks of each run; where lives are asked for at any cycle, of a run of
            average length, and of others in proportion.
        penalizer: The penalty of squared coefficients, in the unit of the mean log likelihood.
    """

    window: Steps = 30
    landmarks: Annotated[int, Ge(1), Le(100_000), Small(8)] = 25
    penalizer: Positive = 0.01

    def landmark_table(
        self, runs: Runs, context: LifetimeContext
    ) -> tuple[Covariates, pd.DataFrame]:
        """Return what is read of runs, and a row for each landmark: covariates, `left` and
        `failed`.
        """
        covariates = Covariates.learn(runs, self.window)
        rows = landmark_rows(runs, context, self.landmarks)
        return covariates, covariates.table(runs, rows)


def landmark_rows(runs: Runs, context: LifetimeContext, landmarks: int) -> ndarray:
    """Return the places of landmarks among the rows, evenly spread over each run, shape (l,)."""
    asked = np.flatnonzero(predictable_rows(runs, context))
    run = runs.run_of_row[asked]
    counts = np.bincount(run, minlength=runs.n)
    share = counts / max(counts[counts > 0].mean(), 1.0)
    wanted = np.full(runs.n, landmarks)
    if not context.by_share:
        wanted = np.maximum(np.round(landmarks * share), 1).astype(int)
    begins = np.concatenate([[0], np.cumsum(counts)])
    places = [
        begins[i]
        + np.unique(np.linspace(0, counts[i] - 1, min(wanted[i], counts[i])).round().astype(int))
        for i in range(runs.n)
        if counts[i]
    ]
    return asked[np.concatenate(places)]


@dataclass(frozen=True, eq=False)
class Covariates(Serializable):
    """Standardised numbers of a cycle.

    Attributes:
        features: Windows with their scales.
        mean: Shape (k,).
        sd: Shape (k,); 0 for what does not change, which is left out.
    """

    features: LearnedSignalWindows
    mean: ndarray
    sd: ndarray

    @classmethod
    def learn(cls, runs: Runs, window: int) -> Self:
        """Return the covariates with the scales of runs."""
        recipe = SignalWindows(windows=(window,), statistics=("mean", "slope"), ewma=(), last=False)
        features = recipe.learn(runs)
        values = features.compute(runs)
        sd = values.std(axis=0)
        return cls(features, values.mean(axis=0), np.where(sd > 1e-9, sd, 0.0))

    @property
    def names(self) -> list[str]:
        """The columns that change."""
        return [name for name, sd in zip(self.features.names, self.sd, strict=True) if sd > 0]

    def compute(self, runs: Runs, rows: ndarray) -> ndarray:
        """Return the covariates of some rows, shape (rows, names)."""
        values = self.features.compute(runs)[rows]
        there = self.sd > 0
        return (values[:, there] - self.mean[there]) / self.sd[there]

    def table(self, runs: Runs, rows: ndarray) -> pd.DataFrame:
        """Return a row for each of some rows with how long the run was seen to go on."""
        import pandas as pd

        seen, failed = runs.remaining_of_rows()
        table = pd.DataFrame(self.compute(runs, rows), columns=self.names)
        columns: dict[str, Any] = {DURATION: seen[rows], FAILURE: failed[rows].astype(float)}
        return table.assign(**columns)

    def last(self, runs: Runs) -> ndarray:
        """Return the covariates of the last row of each run, shape (n, names)."""
        return self.compute(runs, runs.offsets[1:] - 1)
