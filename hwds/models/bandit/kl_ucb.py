"""KL-UCB on the reward."""

from __future__ import annotations

import numpy as np

from hwds.models.bandit import screened_kl
from hwds.models.bandit.base import Arms, Exploration, Policy
from hwds.models.bandit.kernel import Kernel


class KLUCB(Policy):
    """The highest mean reward that the data do not refute, by the Bernoulli divergence on the reward's range: KL-UCB.

    Garivier and Cappe (2011): each arm once, then the greatest q with pulls x kl(mean, q) <= ln t + exploration ln ln t.
    Asymptotically optimal where arms earn 0 or 1; where they have prices, `price_kl_ucb` knows more.

    Attributes:
        exploration: The c of the paper; 0 is what it advises in practice, 3 what its proof needs.

    Example:
        python -m hwds +experiment=bandit_regret model=bandit/kl_ucb
    """

    exploration: Exploration = 0.0

    def kernel(self, arms: Arms) -> Kernel:
        """The index by lazy screening; the range of the reward must be declared."""
        low, high = self.needs_range(arms)
        ones, shares = np.ones(arms.count), (arms.values - low) / (high - low)
        return screened_kl.kernel(low * ones, (high - low) * ones, shares, -low / (high - low) * ones, self.exploration)
