"""The doubly robust estimator with optimistic shrinkage."""

from __future__ import annotations

import numpy as np

from hwds.ope.estimates import EstimatorTerms, LogEvidence, tune_by_slope
from hwds.ope.models.base import Candidates, Estimator, Learner, Tuned, weight_limit, weight_limits


class DROs(Estimator):
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

    reward_model: Learner = "ridge"
    shrinkage: Tuned = "slope"
    candidates: Candidates = ()

    def estimate(self, log: LogEvidence) -> EstimatorTerms:
        """Return a mean."""
        if self.shrinkage == "slope":
            return tune_by_slope(self._candidates(log), lambda shrinkage: _terms_at(log, shrinkage))
        return _terms_at(log, self.shrinkage)

    def _candidates(self, log: LogEvidence) -> list[float]:
        """Return candidates, least biased first: from hardly shrinking the largest weight to
        halving the median one.
        """
        if self.candidates:
            return sorted(self.candidates, reverse=True)
        squares = [limit**2 for limit in weight_limits((), log.weights)]
        return [100 * squares[0], 10 * squares[0], *squares]


def _terms_at(log: LogEvidence, shrinkage: float) -> EstimatorTerms:
    weights = shrinkage * log.weights / (log.weights**2 + shrinkage)
    limit = weight_limit(log, weights, np.sqrt(shrinkage) / 2)
    return EstimatorTerms(
        log.expected,
        weights * log.errors,
        np.ones(len(weights)),
        *limit,
        shrinkage,
        biased=True,
        learned=True,
    )
