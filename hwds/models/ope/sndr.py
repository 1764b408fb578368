"""The self-normalised doubly robust estimator."""

from __future__ import annotations

import numpy as np

from hwds.metrics.ope import Parts
from hwds.metrics.ope_evidence import Evidence
from hwds.metrics.ope_slope import tuned
from hwds.models.ope.base import Candidates, Clip, Estimator, Learner, limit_of, limits


class SNDR(Estimator):
    """The doubly robust estimator with the correction divided by the sum of its weights.

    mean(sum over arms of pi q) + sum(w (r - q)) / sum(w) (Thomas and Brunskill 2016, Data-Efficient Off-Policy Policy
    Evaluation, their weighted doubly robust estimator for one step).

    Attributes:
        reward_model: `frequency`, `ridge`, `logistic` or `xgboost`.
        clip: Larger weights become this; null leaves them, `slope` chooses among the candidates.
        candidates: Clips for `slope` to choose among; none takes quantiles of the weights.

    Example:
        python -m hwds model=ope/sndr dataset=price_log protocol=off_policy
    """

    reward_model: Learner = "ridge"
    clip: Clip = None
    candidates: Candidates = ()

    def estimate(self, log: Evidence) -> Parts:
        """A mean of predictions and a ratio of sums."""
        if self.clip == "slope":
            return tuned(limits(self.candidates, log.weights), lambda clip: _at(log, clip))
        return _at(log, self.clip)


def _at(log: Evidence, clip: float | None) -> Parts:
    weights = log.weights if clip is None else np.minimum(log.weights, clip)
    return Parts(log.expected, weights * log.errors, weights, *limit_of(log, weights, clip), clip, clip is not None)
