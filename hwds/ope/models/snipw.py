"""Self-normalised inverse propensity weighting."""

from __future__ import annotations

from typing import ClassVar

from hwds.ope.models.base import Clipped


class SNIPW(Clipped):
    """Inverse propensity weighting divided by the sum of its weights: a little biased, much
    steadier.

    sum(w r) / sum(w) (Swaminathan and Joachims 2015, The Self-Normalized Estimator for
    Counterfactual Learning). It does not change when all rewards are shifted, and never leaves the
    range of the rewards.
    """

    normalised: ClassVar[bool] = True
