"""Weibull's accelerated failure times of the remaining life."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy import ndarray

from hwds.core.serialization import Serializable
from hwds.frames.runs import Runs
from hwds.lifetime.laws import LIFE_LEVELS, Lives
from hwds.lifetime.models.base import Covariates, LandmarkModel, LifetimeContext

STEPS = 200
"""Parts of the cap over which the mean of min(life, cap) is summed."""


FARTHEST = 50.0
"""The log scale beyond which, on either side, nothing changes."""


class WeibullAFT(LandmarkModel):
    """Accelerated failure times of the remaining life at landmarks, Weibull's law with a scale by
    covariates (lifelines).

    Needs the extra `survival`.
    """

    imports = ("lifelines",)

    def learn(self, runs: Runs, context: LifetimeContext) -> FittedWeibull:
        """Fit the law at the landmarks of runs, censored ones too."""
        covariates, table = self.landmark_table(runs, context)
        from lifelines import WeibullAFTFitter

        fitter = WeibullAFTFitter(penalizer=self.penalizer).fit(table, "left", "failed")
        return FittedWeibull(covariates, WeibullLaw.of(fitter, covariates.names), context.cap)


@dataclass(frozen=True, eq=False)
class WeibullLaw(Serializable):
    """Weibull laws whose log scale is linear in covariates.

    Attributes:
        intercept: The intercept of the log scale.
        beta: The coefficients of the log scale, shape (k,).
        shape: The same for all.
    """

    intercept: float
    beta: ndarray
    shape: float

    @classmethod
    def of(cls, fitter: Any, names: list[str]) -> Self:
        """Return what a fitter of lifelines came to, for covariates in this order."""
        scale = fitter.params_["lambda_"]
        return cls(
            float(scale["Intercept"]),
            scale[names].to_numpy(),
            float(np.exp(fitter.params_["rho_"]["Intercept"])),
        )

    def scale(self, covariates: ndarray) -> ndarray:
        """Return the scale of each row, shape (n,)."""
        return np.exp(
            np.clip(self.intercept + (covariates * self.beta).sum(axis=1), -FARTHEST, FARTHEST)
        )

    def survival(self, covariates: ndarray, times: ndarray) -> ndarray:
        """Return the chance to last longer than each time, shape (n, t)."""
        return np.exp(-((times / self.scale(covariates)[:, None]) ** self.shape))

    def restricted_mean(self, covariates: ndarray, cap: float) -> ndarray:
        """Return E[min(life, cap)], the area under survival up to the cap by the rule of midpoints.

        Shape (n,).
        """
        middles = (np.arange(STEPS) + 0.5) * cap / STEPS
        return self.survival(covariates, middles).mean(axis=1) * cap

    def quantiles(self, covariates: ndarray) -> ndarray:
        """Return the quantiles at `LEVELS`, shape (n, levels)."""
        return self.scale(covariates)[:, None] * (-np.log1p(-LIFE_LEVELS)) ** (1 / self.shape)


@dataclass(frozen=True, eq=False)
class FittedWeibull(Serializable):
    """Laws, and what they are read from.

    Attributes:
        covariates: The covariates of runs.
        law: By them.
        cap: Of points.
    """

    covariates: Covariates
    law: WeibullLaw
    cap: float

    def predict(self, runs: Runs) -> Lives:
        """Return the law at the last row of each run."""
        values = self.covariates.last(runs)
        return Lives.of(self.law.restricted_mean(values, self.cap), self.law.quantiles(values))
