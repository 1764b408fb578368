"""The doubly robust estimator with optimistic shrinkage."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hwds.ope.estimates import EstimatorTerms, LogEvidence
from hwds.ope.models.base import Candidates, Learner, Tuned, Weighted, weight_limits


class DROs(Weighted):
    """The doubly robust estimator with large weights shrunk towards 0, the most where they are
    largest.

    Weights become shrinkage w / (w^2 + shrinkage), which minimises a bound of the error (Su,
    Dimakopoulou, Krishnamurthy and Dudik 2020, Doubly Robust Off-policy Evaluation with Shrinkage);
    they never exceed sqrt(shrinkage) / 2.

    Attributes:
        reward_model: `frequency`, `ridge`, `logistic` or `xgboost`.
        shrinkage: Large leaves the weights alone, 0 would leave the reward model alone; or `slope`.
        candidates: Shrinkages for `slope` to choose among; none takes squares of quantiles of the
            weights.

    Example:
        python -m hwds model=ope/dr_os dataset=price_log protocol=off_policy model.shrinkage=100
    """

    parameter: ClassVar[str] = "shrinkage"

    reward_model: Learner = "ridge"
    shrinkage: Tuned = "slope"
    candidates: Candidates = ()

    def choices(self, log: LogEvidence) -> list[float]:
        """Return candidates, least biased first: from hardly shrinking the largest weight to
        halving the median one.
        """
        if self.candidates:
            return sorted(self.candidates, reverse=True)
        squares = [limit**2 for limit in weight_limits((), log.weights)]
        return [100 * squares[0], 10 * squares[0], *squares]

    def terms_at(self, log: LogEvidence, parameter: float) -> EstimatorTerms:
        """Return a mean."""
        weights = parameter * log.weights / (log.weights**2 + parameter)
        return self.terms(log, weights, parameter, np.sqrt(parameter) / 2)
