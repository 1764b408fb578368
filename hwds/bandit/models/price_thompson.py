"""Thompson sampling on what an arm earns."""

from __future__ import annotations

from hwds.bandit.models.kernels.base import Arms, Kernel
from hwds.bandit.models.thompson import Thompson, beta_kernel, prior_counts


class PriceThompson(Thompson):
    """Thompson sampling of revenue per customer: conversion, with a Beta prior, times price or
    margin.

    The prices are known, so only the conversion is drawn; the arm with the highest product is
    offered (Ferreira, Simchi-Levi and Wang 2018, without the inventory).
    """

    def kernel(self, arms: Arms) -> Kernel:
        """Return the kernel of exact draws by screening.

        An arm that could not win at any conversion is not drawn.
        """
        return beta_kernel(arms.values, *prior_counts(arms, self.prior, self.known))
