"""Comparison of ratios of means."""

from __future__ import annotations

from numpy import ndarray

from hwds.ab.intervals import satterthwaite
from hwds.ab.models.base import ArmEstimate, EffectEstimator
from hwds.ab.sample import ComparisonNeeds, SampleArm, SampleRoles, UnitMoments


class Ratio(EffectEstimator):
    """The difference of ratios such as revenue per session where units are customers, by the delta
    method.

    Deng, Knoblich and Lu, Applying the delta method in metric analytics (KDD 2018), eq. 5.

    Attributes:
        denominator: The column under the outcome, a number of each unit (`sessions`).
    """

    denominator: str

    def needs(self, roles: SampleRoles) -> ComparisonNeeds:
        """Return the denominator."""
        return ComparisonNeeds(inputs=(self.denominator,), plain=True)

    def estimate(self, own: SampleArm, control: SampleArm) -> ArmEstimate:
        """Return the difference of the ratios of means."""
        (ratio, error), (other, other_error) = (
            _ratio_of_means(own.total),
            _ratio_of_means(control.total),
        )
        df = satterthwaite(error, own.total.n, other_error, control.total.n)
        return ArmEstimate.of(ratio, error, other, other_error, df)


def _ratio_of_means(arm: UnitMoments) -> tuple[ndarray, ndarray]:
    """Return the ratio and its squared standard error."""
    under = arm.mean[..., 1]
    ratio = arm.first / under
    variance = arm.variance - 2 * ratio * arm.cov[..., 0, 1] + ratio**2 * arm.cov[..., 1, 1]
    return ratio, variance / (arm.n * under**2)
