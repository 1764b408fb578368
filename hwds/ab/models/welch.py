"""Welch's comparison of means."""

from __future__ import annotations

from hwds.ab.intervals import satterthwaite
from hwds.ab.models.base import ArmEstimate, EffectEstimator
from hwds.ab.sample import SampleArm


class Welch(EffectEstimator):
    """The difference of means, each arm with its own variance (Welch 1947)."""

    def estimate(self, own: SampleArm, control: SampleArm) -> ArmEstimate:
        """Return the difference of means; its variance is the sum of the two."""
        error, other = own.total.error, control.total.error
        df = satterthwaite(error, own.total.n, other, control.total.n)
        return ArmEstimate.of(own.total.first, error, control.total.first, other, df)
