"""The base of estimators that weigh rows by propensities and may clip the weights."""

from __future__ import annotations

import numpy as np

from hwds.ope.metrics.estimates import EstimatorTerms
from hwds.ope.metrics.evidence import LogEvidence
from hwds.ope.metrics.slope import tuned
from hwds.ope.models.base import Candidates, Clip, Estimator, limit_of, limits


class Clipped(Estimator):
    """An estimate of weighted rows: each says what a row gives, `terms`.

    Attributes:
        clip: Larger weights become this; null leaves them, `slope` chooses among the candidates.
        candidates: Clips for `slope` to choose among; none takes quantiles of the weights.
    """

    clip: Clip = None
    candidates: Candidates = ()

    def terms(self, log: LogEvidence, weights: np.ndarray) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
        """Return `base`, `top` and `bottom` of `EstimatorTerms`, shape (n,) each."""
        raise NotImplementedError(f"{type(self).__name__}.terms")

    def estimate(self, log: LogEvidence) -> EstimatorTerms:
        """Return the terms under the clip that is given, or that SLOPE chooses."""
        if self.clip == "slope":
            return tuned(limits(self.candidates, log.weights), lambda clip: self._at(log, clip))
        return self._at(log, self.clip)

    def _at(self, log: LogEvidence, clip: float | None) -> EstimatorTerms:
        weights = log.weights if clip is None else np.minimum(log.weights, clip)
        return EstimatorTerms(*self.terms(log, weights), *limit_of(log, weights, clip), clip, clip is not None)
