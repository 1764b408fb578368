"""Comparison of two conversions."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hwds.ab.intervals import Bounds, pooled_p, score_bounds
from hwds.ab.models.base import ArmEstimate, EffectEstimator
from hwds.ab.sample import ComparisonNeeds, SampleArm, SampleRoles


class Proportions(EffectEstimator):
    """The difference of conversions of 0 or 1, with the score test and its interval (Mee 1984).

    The fixed p-value comes from Pearson's chi-square test without a continuity correction. Under a
    price the conversion is compared all the same; revenue has its own comparison.
    """

    fixed_without_variation: ClassVar[bool] = True

    def needs(self, roles: SampleRoles) -> ComparisonNeeds:
        """Return outcomes of 0 and 1."""
        return ComparisonNeeds(binary=True, plain=True)

    def estimate(self, own: SampleArm, control: SampleArm) -> ArmEstimate:
        """Return the difference of conversions, with unpooled variances p (1 - p) / n."""
        mean, other = own.total.first, control.total.first
        error, other_error = mean * (1 - mean) / own.total.n, other * (1 - other) / control.total.n
        return ArmEstimate.of(mean, error, other, other_error, np.full_like(error, np.inf))

    def fixed_bounds(self, own: SampleArm, control: SampleArm, alpha: float) -> Bounds:
        """Return the score interval."""
        return score_bounds(
            own.total.first, own.total.n, control.total.first, control.total.n, alpha
        )

    def fixed_p(self, own: SampleArm, control: SampleArm) -> np.ndarray:
        """Return the score test."""
        return pooled_p(own.total.first, own.total.n, control.total.first, control.total.n)

    def fixed_wins(self, own: SampleArm, control: SampleArm, alpha: float) -> np.ndarray:
        """Return whether the score test finds a difference, which agrees with its interval and is
        cheaper.
        """
        return self.fixed_p(own, control) < alpha
