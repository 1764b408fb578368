"""Replay: the rows in which the log did what the policy would have done."""

from __future__ import annotations

from typing import ClassVar

from numpy import ndarray

from hwds.ope.estimates import EstimatorTerms, LogEvidence
from hwds.ope.models.base import Estimator


class Replay(Estimator):
    """The mean reward of the rows in which a uniform log chose the policy's arm; it needs no
    propensities.

    sum(pi r) / sum(pi), pi being the policy's probability of the logged arm: the expectation of Li,
    Chu, Langford and Wang 2011 (Unbiased Offline Evaluation of Contextual-bandit-based News Article
    Recommendation Algorithms) over the policy's draws. It is right only where every arm was as
    likely in every row, so that unequal propensities are refused.

    Example:
        python -m hwds model=ope/replay dataset=price_log dataset.exploration=1 protocol=off_policy
    """

    needs_propensity: ClassVar[bool] = False

    def estimate(self, log: LogEvidence) -> EstimatorTerms:
        """Return a ratio of sums."""
        match = log.target_logged
        return EstimatorTerms(None, match * log.reward, match, 1.0)

    def weights(self, log: LogEvidence) -> ndarray:
        """Return the target policy's probability of the logged arm, shape (n,)."""
        return log.target_logged
