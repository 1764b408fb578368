"""KL-UCB on the conversion, times the price."""

from __future__ import annotations

import numpy as np

from hwds.models.bandit import screened_kl
from hwds.models.bandit.base import Arms, Exploration, Policy
from hwds.models.bandit.kernel import Kernel


class PriceKLUCB(Policy):
    """The most that an arm may earn: its price or margin times the highest conversion that the data do not refute.

    KL-UCB (Garivier and Cappe 2011) of the conversion times the known value; once tried, an arm whose value is below the
    index of another costs nothing more.

    Attributes:
        exploration: The c in ln t + c ln ln t.

    Example:
        python -m hwds +experiment=price_bandit model=bandit/price_kl_ucb
    """

    exploration: Exploration = 0.0

    def kernel(self, arms: Arms) -> Kernel:
        """The index by lazy screening; of an arm that earns less than nothing the refusals are hoped for."""
        below = arms.values < 0
        base = np.where(below, arms.values, 0.0)
        return screened_kl.kernel(base, np.abs(arms.values), 1.0 - below, 1.0 * below, self.exploration)
