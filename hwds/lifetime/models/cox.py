"""Cox's proportional hazards of the remaining life."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy import ndarray

from hwds.core.serialization import Serializable
from hwds.frames.runs import Runs
from hwds.lifetime.laws import Lives, lives_of_curves, tail_hazard
from hwds.lifetime.models.base import Covariates, LandmarkModel, LifetimeContext

FARTHEST = 50.0
"""The log hazard beyond which, on either side, nothing changes: what lies there fails at once, or
never.
"""


class Cox(LandmarkModel):
    """Proportional hazards (Cox 1972) of the remaining life at landmarks, fitted by lifelines with
    Efron's ties.

    The baseline is Breslow's; beyond the longest remaining life seen it goes on at its mean hazard.
    Needs the extra `survival`.
    """

    imports = ("lifelines",)

    def learn(self, runs: Runs, context: LifetimeContext) -> FittedHazards:
        """Fit the hazards at the landmarks of runs, censored ones too."""
        covariates, table = self.landmark_table(runs, context)
        from lifelines import CoxPHFitter

        fitter = CoxPHFitter(penalizer=self.penalizer).fit(table, "left", "failed")
        return FittedHazards(covariates, Hazards.of(fitter), context.cap)


@dataclass(frozen=True, eq=False)
class Hazards(Serializable):
    """Hazards that are proportional to a baseline.

    Attributes:
        beta: The coefficients of the log hazard, shape (k,).
        centre: The covariates of the baseline, shape (k,).
        times: At which a remaining life ended or was censored, rising, shape (t,).
        hazard: The baseline's cumulative hazard at each.
    """

    beta: ndarray
    centre: ndarray
    times: ndarray
    hazard: ndarray

    @classmethod
    def of(cls, fitter: Any) -> Self:
        """Return what a fitter of lifelines came to."""
        baseline = fitter.baseline_cumulative_hazard_.iloc[:, 0]
        later = baseline.index.to_numpy() > 0
        centre = (
            fitter._norm_mean.to_numpy()
            if hasattr(fitter, "_norm_mean")
            else fitter._central_values.to_numpy()[0]
        )
        return cls(
            fitter.params_.to_numpy(),
            centre,
            baseline.index.to_numpy(float)[later],
            baseline.to_numpy(float)[later],
        )

    def survival(self, covariates: ndarray) -> ndarray:
        """Return the chance to last longer than each time, shape (n, t)."""
        risk = np.exp(
            np.clip(((covariates - self.centre) * self.beta).sum(axis=1), -FARTHEST, FARTHEST)
        )
        return np.exp(-risk[:, None] * self.hazard)

    def lives(self, covariates: ndarray, cap: float) -> Lives:
        """Return the laws of rows.

        Beyond the longest time seen a curve is exponential, of its mean hazard up to there.
        """
        survival, longest = self.survival(covariates), float(self.times[-1])
        return lives_of_curves(
            self.times, survival, tail_hazard(survival[:, -1], longest), longest, cap
        )


@dataclass(frozen=True, eq=False)
class FittedHazards(Serializable):
    """Hazards, and what they are read from.

    Attributes:
        covariates: The covariates of runs.
        hazards: By them.
        cap: Of points.
    """

    covariates: Covariates
    hazards: Hazards
    cap: float

    def predict(self, runs: Runs) -> Lives:
        """Return the law at the last row of each run."""
        return self.hazards.lives(self.covariates.last(runs), self.cap)
