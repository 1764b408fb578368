"""The self-normalised doubly robust estimator."""

from __future__ import annotations

from typing import ClassVar

from hwds.ope.models.base import Clipped, Learner


class SNDR(Clipped):
    """The doubly robust estimator with the correction divided by the sum of its weights.

    mean(sum over arms of pi q) + sum(w (r - q)) / sum(w) (Thomas and Brunskill 2016, Data-Efficient
    Off-Policy Policy Evaluation, their weighted doubly robust estimator for one step).

    Attributes:
        reward_model: `frequency`, `ridge`, `logistic` or `xgboost`.
    """

    normalised: ClassVar[bool] = True

    reward_model: Learner = "ridge"
