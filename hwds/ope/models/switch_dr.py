"""The Switch doubly robust estimator."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hwds.ope.estimates import EstimatorTerms, LogEvidence
from hwds.ope.models.base import Candidates, Learner, Tuned, Weighted, weight_limits


class SwitchDR(Weighted):
    """The doubly robust estimator for small weights, the reward model alone for large weights.

    mean(sum over arms of pi q + w [w <= limit] (r - q)) (Wang, Agarwal and Dudik 2017, Optimal and
    Adaptive Off-policy Evaluation in Contextual Bandits).

    Attributes:
        reward_model: `frequency`, `ridge`, `logistic` or `xgboost`.
        limit: The largest weight that is used, or `slope`.
        candidates: Limits for `slope` to choose among; none takes quantiles of the weights.

    Example:
        python -m hwds model=ope/switch_dr dataset=price_log protocol=off_policy model.limit=5
    """

    parameter: ClassVar[str] = "limit"

    reward_model: Learner = "ridge"
    limit: Tuned = "slope"
    candidates: Candidates = ()

    def choices(self, log: LogEvidence) -> list[float]:
        """Return the candidates, or quantiles of the weights."""
        return weight_limits(self.candidates, log.weights)

    def terms_at(self, log: LogEvidence, parameter: float) -> EstimatorTerms:
        """Return a mean."""
        weights = np.where(log.weights <= parameter, log.weights, 0.0)
        return self.terms(log, weights, parameter, parameter)
