"""Inverse propensity weighting."""

from __future__ import annotations

import numpy as np

from hwds.metrics.ope import Parts
from hwds.metrics.ope_evidence import Evidence
from hwds.metrics.ope_slope import tuned
from hwds.models.ope.base import Candidates, Clip, Estimator, limit_of, limits


class IPW(Estimator):
    """The mean reward of the log, each row weighted by how much likelier the policy makes its arm than the log did.

    mean(w r), w = pi / propensity (Horvitz and Thompson 1952): unbiased where the log can show all that the policy does,
    but its variance grows with the weights; `clip` takes bias for variance (Bottou et al. 2013, section 4.4).

    Attributes:
        clip: Larger weights become this; null leaves them, `slope` chooses among the candidates.
        candidates: Clips for `slope` to choose among; none takes quantiles of the weights.

    Example:
        python -m hwds model=ope/ipw dataset=price_log protocol=off_policy model.clip=10
    """

    clip: Clip = None
    candidates: Candidates = ()

    def estimate(self, log: Evidence) -> Parts:
        """A mean."""
        if self.clip == "slope":
            return tuned(limits(self.candidates, log.weights), lambda clip: _at(log, clip))
        return _at(log, self.clip)


def _at(log: Evidence, clip: float | None) -> Parts:
    weights = log.weights if clip is None else np.minimum(log.weights, clip)
    return Parts(None, weights * log.reward, np.ones(len(weights)), *limit_of(log, weights, clip), clip, clip is not None)
