"""The self-normalised doubly robust estimator."""

from __future__ import annotations

import numpy as np

from hwds.ope.estimates import LogEvidence
from hwds.ope.models.base import Clipped, Learner


class SNDR(Clipped):
    """The doubly robust estimator with the correction divided by the sum of its weights.

    mean(sum over arms of pi q) + sum(w (r - q)) / sum(w) (Thomas and Brunskill 2016, Data-Efficient
    Off-Policy Policy Evaluation, their weighted doubly robust estimator for one step).

    Attributes:
        reward_model: `frequency`, `ridge`, `logistic` or `xgboost`.
    """

    reward_model: Learner = "ridge"

    def terms(
        self, log: LogEvidence, weights: np.ndarray
    ) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
        """Return the model's mean, and the weighted mean of its errors."""
        return log.expected, weights * log.errors, weights
