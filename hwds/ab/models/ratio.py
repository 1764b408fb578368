"""Comparison of ratios of means."""

from __future__ import annotations

import numpy as np

from hwds.ab.metrics.intervals import satterthwaite
from hwds.ab.metrics.sample import Arm, Moments, Needs, SampleRoles
from hwds.ab.models.rules.estimator import ArmEstimate, Estimator


class Ratio(Estimator):
    """The difference of ratios such as revenue per session where units are customers, by the delta method.

    Deng, Knoblich and Lu, Applying the delta method in metric analytics (KDD 2018), eq. 5.

    Attributes:
        denominator: The column under the outcome, a number of each unit (`sessions`).
    """

    denominator: str

    def needs(self, roles: SampleRoles) -> Needs:
        """Return the denominator."""
        return Needs(inputs=(self.denominator,), plain=True)

    def estimate(self, own: Arm, control: Arm) -> ArmEstimate:
        """Return the difference of the ratios of means."""
        (ratio, error), (other, other_error) = _ratio(own.total), _ratio(control.total)
        df = satterthwaite(error, own.total.n, other_error, control.total.n)
        return ArmEstimate.of(ratio, error, other, other_error, df)


def _ratio(arm: Moments) -> tuple[np.ndarray, np.ndarray]:
    """Return the ratio and its squared standard error."""
    under = arm.mean[..., 1]
    ratio = arm.first / under
    variance = arm.variance - 2 * ratio * arm.cov[..., 0, 1] + ratio**2 * arm.cov[..., 1, 1]
    return ratio, variance / (arm.n * under**2)
