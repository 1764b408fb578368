"""Welch's comparison of means."""

from __future__ import annotations

from hwds.ab.metrics.intervals import satterthwaite
from hwds.ab.metrics.sample import Arm
from hwds.ab.models.rules.estimator import ArmEstimate, Estimator


class Welch(Estimator):
    """The difference of means, each arm with its own variance (Welch 1947)."""

    def estimate(self, own: Arm, control: Arm) -> ArmEstimate:
        """Return the difference of means; its variance is the sum of the two."""
        error, other = own.total.error, control.total.error
        df = satterthwaite(error, own.total.n, other, control.total.n)
        return ArmEstimate.of(own.total.first, error, control.total.first, other, df)
