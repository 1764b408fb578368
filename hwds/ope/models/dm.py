"""The direct method."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hwds.ope.estimates import EstimatorTerms, LogEvidence
from hwds.ope.models.base import Estimator, Learner


class DM(Estimator):
    """The reward that a model expects of the policy, without weights: as right as the model's form
    is.

    mean over rows of sum over arms of pi q (Beygelzimer and Langford 2009, The Offset Tree); q is
    fitted without the row. The model's own error is in the interval, which leaves out parts of the
    rows; the value of a form that cannot fit is not.

    Attributes:
        reward_model: `frequency`, `ridge`, `logistic` or `xgboost`.
    """

    needs_propensity: ClassVar[bool] = False
    weighs: ClassVar[bool] = False

    reward_model: Learner = "ridge"

    def estimate(self, log: LogEvidence) -> EstimatorTerms:
        """Return a mean of predictions."""
        n = len(log.reward)
        return EstimatorTerms(log.expected, np.zeros(n), np.ones(n), biased=True, learned=True)
