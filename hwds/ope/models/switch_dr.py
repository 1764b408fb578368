"""The Switch doubly robust estimator."""

from __future__ import annotations

import numpy as np

from hwds.ope.estimates import EstimatorTerms, LogEvidence, tune_by_slope
from hwds.ope.models.base import Candidates, Estimator, Learner, Tuned, weight_limit, weight_limits


class SwitchDR(Estimator):
    """The doubly robust estimator where weights are small, the reward model alone where they are
    large.

    mean(sum over arms of pi q + w [w <= limit] (r - q)) (Wang, Agarwal and Dudik 2017, Optimal and
    Adaptive Off-policy Evaluation in Contextual Bandits).

    Attributes:
        reward_model: `frequency`, `ridge`, `logistic` or `xgboost`.
        limit: The largest weight that is used, or `slope`.
        candidates: Limits for `slope` to choose among; none takes quantiles of the weights.

    Example:
        python -m hwds model=ope/switch_dr dataset=price_log protocol=off_policy model.limit=5
    """

    reward_model: Learner = "ridge"
    limit: Tuned = "slope"
    candidates: Candidates = ()

    def estimate(self, log: LogEvidence) -> EstimatorTerms:
        """Return a mean."""
        if self.limit == "slope":
            return tune_by_slope(
                weight_limits(self.candidates, log.weights), lambda limit: _terms_at(log, limit)
            )
        return _terms_at(log, self.limit)


def _terms_at(log: LogEvidence, limit: float) -> EstimatorTerms:
    weights = np.where(log.weights <= limit, log.weights, 0.0)
    return EstimatorTerms(
        log.expected,
        weights * log.errors,
        np.ones(len(weights)),
        *weight_limit(log, weights, limit),
        limit,
        biased=True,
        learned=True,
    )
