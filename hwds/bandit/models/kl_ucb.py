"""KL-UCB on the reward, or on the conversion times the price."""

from __future__ import annotations

import numpy as np

from hwds.bandit.arms import Arms
from hwds.bandit.models.base import Exploration, Policy
from hwds.bandit.models.kernels import kl_bounds
from hwds.bandit.models.kernels.base import Kernel


class KLUCB(Policy):
    """The highest mean reward that the data do not refute, by the Bernoulli divergence: KL-UCB.

    Garivier and Cappe (2011): each arm once, then the greatest q with pulls x kl(mean, q) <= ln t + exploration ln ln t.
    Asymptotically optimal where arms earn 0 or 1; where they have prices, `price_kl_ucb` knows more.

    Attributes:
        exploration: The c of the paper; 0 is what it advises in practice, 3 what its proof needs.
        priced: Whether q is the conversion, times the known price or margin; once tried, an arm whose value is below the index
            of another costs nothing more. False takes q of the reward as a share of its declared range.
    """

    exploration: Exploration = 0.0
    priced: bool = False

    def kernel(self, arms: Arms) -> Kernel:
        """Return the index by lazy screening; without prices the range of the reward must be declared."""
        if self.priced:
            below = arms.values < 0  # of an arm that earns less than nothing the refusals are hoped for
            base = np.where(below, arms.values, 0.0)
            return kl_bounds.kernel(base, np.abs(arms.values), 1.0 - below, 1.0 * below, self.exploration)
        low, high = self.needs_range(arms)
        ones, shares = np.ones(arms.count), (arms.values - low) / (high - low)
        return kl_bounds.kernel(low * ones, (high - low) * ones, shares, -low / (high - low) * ones, self.exploration)
