"""The doubly robust estimator."""

from __future__ import annotations

import numpy as np

from hwds.metrics.ope import Parts
from hwds.metrics.ope_evidence import Evidence
from hwds.metrics.ope_slope import tuned
from hwds.models.ope.base import Candidates, Clip, Estimator, Learner, limit_of, limits


class DR(Estimator):
    """A reward model corrected by its weighted errors: right where either the model or the propensities are.

    mean(sum over arms of pi q + w (r - q)) (Dudik, Langford and Li 2011, Doubly Robust Policy Evaluation and Learning); q is
    fitted without the row, so that the errors are honest (Chernozhukov et al. 2018).

    Attributes:
        reward_model: `frequency`, `ridge`, `logistic` or `xgboost`.
        clip: Larger weights become this; null leaves them, `slope` chooses among the candidates.
        candidates: Clips for `slope` to choose among; none takes quantiles of the weights.

    Example:
        python -m hwds model=ope/dr dataset=price_log protocol=off_policy rivals=[ope/ipw,ope/snipw]
    """

    reward_model: Learner = "ridge"
    clip: Clip = None
    candidates: Candidates = ()

    def estimate(self, log: Evidence) -> Parts:
        """A mean."""
        if self.clip == "slope":
            return tuned(limits(self.candidates, log.weights), lambda clip: _at(log, clip))
        return _at(log, self.clip)


def _at(log: Evidence, clip: float | None) -> Parts:
    weights = log.weights if clip is None else np.minimum(log.weights, clip)
    return Parts(
        log.expected, weights * log.errors, np.ones(len(weights)), *limit_of(log, weights, clip), clip, clip is not None
    )
