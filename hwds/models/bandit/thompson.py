"""Thompson sampling on the conversion."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Len

from hwds.models.bandit import beta_chances, screened
from hwds.models.bandit.base import Arms, Policy
from hwds.models.bandit.kernel import Kernel
from hwds.recipe import Positive

Prior = Annotated[tuple[Positive, ...], Len(2, 2)]


class Thompson(Policy):
    """Thompson sampling of the conversion with a Beta prior; prices are not looked at.

    Thompson (1933); asymptotically optimal for Bernoulli rewards (Kaufmann, Korda and Munos 2012). Where arms have
    prices, `price_thompson` is what earns.

    Attributes:
        prior: Conversions and refusals of the Beta prior of each arm; (1, 1) is uniform.

    Example:
        python -m hwds +experiment=bandit_regret model=bandit/thompson
    """

    prior: Prior = (1.0, 1.0)

    def kernel(self, arms: Arms) -> Kernel:
        """Exact draws by screening."""
        return beta_kernel(np.ones(arms.count), self.prior)


def beta_kernel(values: np.ndarray, prior: tuple[float, ...]) -> Kernel:
    """The kernel that ranks conversion x value."""
    settings = beta_settings(values, prior)
    law = screened.init, screened.select, screened.update, beta_chances.propensity
    return Kernel(settings, beta_chances.size(len(values)), *law)


def beta_settings(values: np.ndarray, prior: tuple[float, ...]) -> screened.BetaArms:
    """What the screened kernel reads of arms with these values."""
    alpha, beta = prior
    alike = bool(values[0] > 0 and np.all(values == values[0]))
    whole = float(alpha).is_integer() and float(beta).is_integer()
    return screened.BetaArms(values, float(alpha), float(beta), alike, whole)
