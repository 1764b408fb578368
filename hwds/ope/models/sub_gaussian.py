"""Estimators with sub-Gaussian tails."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from hwds.core.recipe import Level, Once
from hwds.ope.estimates import EstimatorTerms, LogEvidence
from hwds.ope.models.base import Learner, TunedLevel, Weighted

SHRINKAGES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)


class SubGaussian(Weighted):
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

    parameter: ClassVar[str] = "strength"

    form: Literal["dr", "ipw"] = "dr"
    reward_model: Learner = "ridge"
    strength: TunedLevel = "slope"
    candidates: Annotated[tuple[Level, ...], Once] = ()

    @property
    def learner(self) -> Learner | None:
        """The reward model; None for the form without one."""
        return self.reward_model if self.form == "dr" else None

    def choices(self, log: LogEvidence) -> list[float]:
        """Return the strengths, the weakest first."""
        return sorted(self.candidates or SHRINKAGES)

    def terms_at(self, log: LogEvidence, parameter: float) -> EstimatorTerms:
        """Return a mean."""
        weights = log.weights / (1 - parameter + parameter * log.weights)
        return self.terms(log, weights, parameter, 1 / parameter)
