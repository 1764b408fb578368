"""Thompson sampling on what an arm earns."""

from __future__ import annotations

from hwds.models.bandit.base import Arms
from hwds.models.bandit.kernel import Kernel
from hwds.models.bandit.thompson import Thompson, beta_kernel, counts_of


class PriceThompson(Thompson):
    """Thompson sampling of what a customer earns: conversion, with a Beta prior, times price or margin.

    The prices are known, so only the conversion is drawn; the arm with the highest product is offered (Ferreira, Simchi-Levi
    and Wang 2018, without the inventory).

    Example:
        python -m hwds +experiment=price_bandit model=bandit/price_thompson
    """

    def kernel(self, arms: Arms) -> Kernel:
        """Exact draws by screening; an arm that could not win at any conversion is not drawn."""
        return beta_kernel(arms.values, *counts_of(arms, self.prior, self.known))
