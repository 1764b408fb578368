"""What the estimators share that weigh rows by propensities and may clip the weights."""

from __future__ import annotations

import numpy as np

from hwds.metrics.ope import Parts
from hwds.metrics.ope_evidence import Evidence
from hwds.metrics.ope_slope import tuned
from hwds.models.ope.base import Candidates, Clip, Estimator, limit_of, limits


class Clipped(Estimator):
    """An estimate of weighted rows: each says what a row gives, `terms`.

    Attributes:
        clip: Larger weights become this; null leaves them, `slope` chooses among the candidates.
        candidates: Clips for `slope` to choose among; none takes quantiles of the weights.
    """

    clip: Clip = None
    candidates: Candidates = ()

    def terms(self, log: Evidence, weights: np.ndarray) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
        """What `Parts` begins with: a mean, and a numerator and a denominator whose sums are divided; shape (n,) each."""
        raise NotImplementedError(f"{type(self).__name__}.terms")

    def estimate(self, log: Evidence) -> Parts:
        """The terms under the clip that is given, or that SLOPE chooses."""
        if self.clip == "slope":
            return tuned(limits(self.candidates, log.weights), lambda clip: self._at(log, clip))
        return self._at(log, self.clip)

    def _at(self, log: Evidence, clip: float | None) -> Parts:
        weights = log.weights if clip is None else np.minimum(log.weights, clip)
        return Parts(*self.terms(log, weights), *limit_of(log, weights, clip), clip, clip is not None)
