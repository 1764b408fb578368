"""Self-normalised inverse propensity weighting."""

from __future__ import annotations

import numpy as np

from hwds.metrics.ope import Parts
from hwds.metrics.ope_evidence import Evidence
from hwds.metrics.ope_slope import tuned
from hwds.models.ope.base import Candidates, Clip, Estimator, limit_of, limits


class SNIPW(Estimator):
    """Inverse propensity weighting divided by the sum of its weights: a little biased, much steadier.

    sum(w r) / sum(w) (Swaminathan and Joachims 2015, The Self-Normalized Estimator for Counterfactual Learning). It does not
    change when all rewards are shifted, and never leaves the range of the rewards.

    Attributes:
        clip: Larger weights become this; null leaves them, `slope` chooses among the candidates.
        candidates: Clips for `slope` to choose among; none takes quantiles of the weights.

    Example:
        python -m hwds model=ope/snipw dataset=price_log protocol=off_policy
    """

    clip: Clip = None
    candidates: Candidates = ()

    def estimate(self, log: Evidence) -> Parts:
        """A ratio of sums."""
        if self.clip == "slope":
            return tuned(limits(self.candidates, log.weights), lambda clip: _at(log, clip))
        return _at(log, self.clip)


def _at(log: Evidence, clip: float | None) -> Parts:
    weights = log.weights if clip is None else np.minimum(log.weights, clip)
    return Parts(None, weights * log.reward, weights, *limit_of(log, weights, clip), clip, clip is not None)
