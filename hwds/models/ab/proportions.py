"""Comparison of two conversions."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hwds.metrics.ab import Bounds, pooled_p, score_bounds
from hwds.metrics.ab_sample import Arm, Needs, Roles
from hwds.models.ab.estimating import Estimate, Estimator


class Proportions(Estimator):
    """The difference of conversions of 0 or 1, with the score test and its interval (Mee 1984).

    The fixed p-value is that of Pearson's chi-square without a continuity correction. Under a price the conversion is
    compared all the same; revenue has its own comparison.

    Example:
        python -m hwds +experiment=ab_price_test model=ab/proportions
    """

    fixed_without_variation: ClassVar[bool] = True

    def needs(self, roles: Roles) -> Needs:
        """Outcomes of 0 and 1."""
        return Needs(binary=True)

    def estimate(self, own: Arm, control: Arm) -> Estimate:
        """The difference of conversions, with unpooled variances p (1 - p) / n."""
        mean, other = own.total.first, control.total.first
        variance = mean * (1 - mean) / own.total.n + other * (1 - other) / control.total.n
        return Estimate(mean - other, np.sqrt(variance), np.full_like(variance, np.inf))

    def fixed_bounds(self, own: Arm, control: Arm, alpha: float) -> Bounds:
        """The score interval."""
        return score_bounds(own.total.first, own.total.n, control.total.first, control.total.n, alpha)

    def fixed_p(self, own: Arm, control: Arm) -> np.ndarray:
        """The score test."""
        return pooled_p(own.total.first, own.total.n, control.total.first, control.total.n)

    def fixed_wins(self, own: Arm, control: Arm, alpha: float) -> np.ndarray:
        """Whether the score test finds a difference: as its interval does, without the cost of inverting it."""
        return self.fixed_p(own, control) < alpha
