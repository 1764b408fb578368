"""Estimators with sub-Gaussian tails."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np

from hwds.core.recipe import Level, Once
from hwds.ope.estimates import EstimatorTerms, LogEvidence, tune_by_slope
from hwds.ope.models.base import Estimator, Learner, TunedLevel, weight_limit

SHRINKAGES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)


class SubGaussian(Estimator):
    """Inverse propensity weighting, or the doubly robust estimator, with weights tamed so that
    large errors are rare.

    Weights become w / (1 - strength + strength w), the weighted harmonic mean of w and 1 (Metelli,
    Russo and Restelli 2021, Subgaussian and Differentiable Importance Sampling for Off-Policy
    Evaluation and Learning); they never exceed 1 / strength.

    Attributes:
        form: `dr`, or `ipw`, which has no reward model.
        reward_model: `frequency`, `ridge`, `logistic` or `xgboost`; for the form `dr`.
        strength: Between 0, which would leave the weights, and 1, which would make all of them 1;
            or `slope`.
        candidates: Strengths for `slope` to choose among; none takes six from 0.001 to 0.3.

    Example:
        python -m hwds model=ope/sub_gaussian dataset=price_log protocol=off_policy \
            model.form=ipw model.strength=0.01
    """

    form: Literal["dr", "ipw"] = "dr"
    reward_model: Learner = "ridge"
    strength: TunedLevel = "slope"
    candidates: Annotated[tuple[Level, ...], Once] = ()

    @property
    def learner(self) -> Learner | None:
        """The reward model; None for the form without one."""
        return self.reward_model if self.form == "dr" else None

    def estimate(self, log: LogEvidence) -> EstimatorTerms:
        """Return a mean."""
        if self.strength == "slope":
            return tune_by_slope(
                sorted(self.candidates or SHRINKAGES), lambda strength: self._at(log, strength)
            )
        return self._at(log, self.strength)

    def _at(self, log: LogEvidence, strength: float) -> EstimatorTerms:
        weights = log.weights / (1 - strength + strength * log.weights)
        limit = weight_limit(log, weights, 1 / strength)
        if self.form == "ipw":
            return EstimatorTerms(
                None, weights * log.reward, np.ones(len(weights)), *limit, strength, biased=True
            )
        return EstimatorTerms(
            log.expected,
            weights * log.errors,
            np.ones(len(weights)),
            *limit,
            strength,
            biased=True,
            learned=True,
        )
