"""Landmarks: cycles of runs at which the remaining life is predicted, with covariates of the cycles up to them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, Self

import numpy as np
from annotated_types import Ge, Le

from hwds.core.errors import ConfigError
from hwds.core.recipe import Positive, Small, Steps
from hwds.core.serialization import Serializable
from hwds.features.signal_windows import LearnedSignalWindows, SignalWindows
from hwds.frames.runs import Runs
from hwds.lifetime.context import LifetimeContext
from hwds.lifetime.models.base import LifetimeModel, asked_rows

if TYPE_CHECKING:
    import pandas as pd

LEFT, FAILED = "left", "failed"
"""The columns of durations and of whether they end in a failure."""


class LandmarkModel(LifetimeModel):
    """A survival regression of the remaining life at landmarks (van Houwelingen 2007), by what was measured up to them.

    Censored machines count by what is known of them: that they lasted as long as they were seen.

    Attributes:
        window: Cycles over which the mean and the slope of each sensor and principal component are covariates, with the age.
        landmarks: The landmarks of each run; where lives are asked for at any cycle, of a run of average length, and of
            others in proportion.
        penalizer: The penalty of squared coefficients, in the unit of the mean log likelihood.
    """

    window: Steps = 30
    landmarks: Annotated[int, Ge(1), Le(100_000), Small(8)] = 25
    penalizer: Positive = 0.01

    def check_installed(self) -> None:
        """Refuse a machine without lifelines.

        Raises:
            ConfigError: With the command that installs it.
        """
        if find_spec("lifelines") is None:
            name = self.name or type(self).__name__
            raise ConfigError(f"model: '{name}' needs lifelines: pip install 'hwds[survival]'.")

    def landmark_table(self, runs: Runs, context: LifetimeContext) -> tuple[Covariates, pd.DataFrame]:
        """Return what is read of runs, and a row for each landmark: covariates, `left` and `failed`."""
        self.check_installed()
        covariates = Covariates.learn(runs, self.window)
        rows = landmark_rows(runs, context, self.landmarks)
        return covariates, covariates.table(runs, rows)


def landmark_rows(runs: Runs, context: LifetimeContext, landmarks: int) -> np.ndarray:
    """Return the places of landmarks among the rows, evenly spread over each run, shape (l,)."""
    asked = np.flatnonzero(asked_rows(runs, context))
    run = runs.run_of_row[asked]
    counts = np.bincount(run, minlength=runs.n)
    share = counts / max(counts[counts > 0].mean(), 1.0)
    wanted = np.full(runs.n, landmarks) if context.by_share else np.maximum(np.round(landmarks * share), 1).astype(int)
    begins = np.concatenate([[0], np.cumsum(counts)])
    places = [
        begins[i] + np.unique(np.linspace(0, counts[i] - 1, min(wanted[i], counts[i])).round().astype(int))
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
    mean: np.ndarray
    sd: np.ndarray

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

    def compute(self, runs: Runs, rows: np.ndarray) -> np.ndarray:
        """Return the covariates of some rows, shape (rows, names)."""
        values = self.features.compute(runs)[rows]
        there = self.sd > 0
        return np.asarray((values[:, there] - self.mean[there]) / self.sd[there])

    def table(self, runs: Runs, rows: np.ndarray) -> pd.DataFrame:
        """Return a row for each of some rows with how long the run was seen to go on."""
        import pandas as pd

        seen, failed = runs.remaining_of_rows()
        table = pd.DataFrame(self.compute(runs, rows), columns=self.names)
        columns: dict[str, Any] = {LEFT: seen[rows], FAILED: failed[rows].astype(float)}
        return table.assign(**columns)

    def last(self, runs: Runs) -> np.ndarray:
        """Return the covariates of the last row of each run, shape (n, names)."""
        return self.compute(runs, runs.offsets[1:] - 1)
