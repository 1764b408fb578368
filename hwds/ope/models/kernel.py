"""The kernel estimator of continuous prices."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from hwds.ope.estimates import EstimatorTerms, LogEvidence
from hwds.ope.models.base import Candidates, Tuned, Weighted

BANDWIDTHS = (0.05, 0.1, 0.2, 0.35, 0.6, 1.0)
"""Default bandwidths, in standard deviations of the logged prices."""


class Kernel(Weighted):
    """The mean reward of rows whose price lay near the policy's, for prices that vary continuously.

    Weights are sum over the policy's prices of pi K((p - price) / bandwidth) / bandwidth / density
    (Kallus and Zhou 2018, Policy Evaluation and Optimization with Continuous Treatments). The role
    `propensity` is the density of the logged price in that row. A wide kernel is steady and biased
    where the reward bends; near the ends of the logged prices half of it is lost, which normalising
    mends in part.

    Attributes:
        bandwidth: The kernel's width, in the unit of the price; or `slope`.
        shape: The kernel over prices, `epanechnikov` (nothing beyond the bandwidth) or `gaussian`.
        normalise: Divide by the sum of the weights.
        candidates: Bandwidths for `slope` to choose among; none takes six from 0.05 to 1 standard
            deviation of the prices.

    Example:
        python -m hwds model=ope/kernel dataset=price_log_continuous protocol=off_policy \
            protocol.target_policy.price=99
    """

    asks_price: ClassVar[bool] = True
    parameter: ClassVar[str] = "bandwidth"

    bandwidth: Tuned = "slope"
    shape: Literal["epanechnikov", "gaussian"] = "epanechnikov"
    normalise: bool = True
    candidates: Candidates = ()

    def weights(self, log: LogEvidence) -> np.ndarray:
        """Return the weights at the bandwidth that is used."""
        return self._weights(log, self.estimate(log).parameter or 1.0)

    def choices(self, log: LogEvidence) -> list[float]:
        """Return the narrowest first, without those in which no row lies."""
        assert log.price is not None
        spread = float(np.std(log.price)) or 1.0
        widths = sorted(self.candidates) or [width * spread for width in BANDWIDTHS]
        return [width for width in widths if np.any(self._weights(log, width) > 0)] or widths[-1:]

    def _weights(self, log: LogEvidence, bandwidth: float) -> np.ndarray:
        assert log.price is not None
        assert log.target_price is not None
        assert log.propensity is not None
        distance = (log.price[:, None] - log.target_price) / bandwidth
        if self.shape == "gaussian":
            near = np.exp(-0.5 * distance**2) / np.sqrt(2 * np.pi)
        else:
            near = 0.75 * np.maximum(1 - distance**2, 0.0)
        return np.sum(log.target * near, axis=1) / bandwidth / log.propensity

    def terms_at(self, log: LogEvidence, parameter: float) -> EstimatorTerms:
        """Return a ratio of sums, or a mean."""
        weights = self._weights(log, parameter)
        bottom = weights if self.normalise else np.ones(len(weights))
        limit = float(np.max(weights))
        return EstimatorTerms(
            None, weights * log.reward, bottom, limit, False, parameter, biased=True
        )
