"""The doubly robust estimator."""

from __future__ import annotations

from hwds.ope.models.base import Clipped, Learner


class DR(Clipped):
    """A reward model corrected by its weighted errors: right if either the model or the
    propensities are right.

    mean(sum over arms of pi q + w (r - q)) (Dudik, Langford and Li 2011, Doubly Robust Policy
    Evaluation and Learning); q is fitted without the row, so that the errors are honest
    (Chernozhukov et al. 2018).

    Attributes:
        reward_model: `frequency`, `ridge`, `logistic` or `xgboost`.
    """

    reward_model: Learner = "ridge"
