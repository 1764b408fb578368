"""Thompson sampling on what an arm earns."""

from __future__ import annotations

from hwds.models.bandit.base import Arms, Policy
from hwds.models.bandit.kernel import Kernel
from hwds.models.bandit.thompson import Prior, beta_kernel


class PriceThompson(Policy):
    """Thompson sampling of what a customer earns: conversion, with a Beta prior, times price or margin.

    The prices are known, so only the conversion is drawn; the arm with the highest product is offered (Ferreira, Simchi-Levi
    and Wang 2018, without the inventory).

    Attributes:
        prior: Conversions and refusals of the Beta prior of each arm; (1, 1) is uniform.

    Example:
        python -m hwds +experiment=price_bandit model=bandit/price_thompson
    """

    prior: Prior = (1.0, 1.0)

    def kernel(self, arms: Arms) -> Kernel:
        """Exact draws by screening; an arm that could not win at any conversion is not drawn."""
        return beta_kernel(arms.values, self.prior)
