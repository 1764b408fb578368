"""Comparison of ratios of means."""

from __future__ import annotations

import numpy as np

from hwds.metrics.ab import satterthwaite
from hwds.metrics.ab_sample import Arm, Moments, Needs, Roles
from hwds.models.ab.estimating import Estimate, Estimator


class Ratio(Estimator):
    """The difference of ratios such as revenue per session where units are customers, by the delta method.

    Deng, Knoblich and Lu, Applying the delta method in metric analytics (KDD 2018), eq. 5.

    Attributes:
        denominator: The column under the outcome, a number of each unit (`sessions`).

    Example:
        python -m hwds +experiment=ab_price_test model=ab/ratio model.denominator=visits
    """

    denominator: str

    def needs(self, roles: Roles) -> Needs:
        """The denominator."""
        return Needs(inputs=(self.denominator,))

    def estimate(self, own: Arm, control: Arm) -> Estimate:
        """The difference of the ratios of means."""
        (ratio, error), (other, other_error) = _ratio(own.total), _ratio(control.total)
        df = satterthwaite(error, own.total.n, other_error, control.total.n)
        return Estimate(ratio - other, np.sqrt(error + other_error), df)


def _ratio(arm: Moments) -> tuple[np.ndarray, np.ndarray]:
    """The ratio and its squared standard error."""
    under = arm.mean[..., 1]
    ratio = arm.first / under
    variance = arm.variance - 2 * ratio * arm.cov[..., 0, 1] + ratio**2 * arm.cov[..., 1, 1]
    return ratio, variance / (arm.n * under**2)
