"""Thompson sampling on what an arm earns."""

from __future__ import annotations

from dataclasses import field

from hwds.models.bandit.base import Arms, Policy
from hwds.models.bandit.kernel import Kernel
from hwds.models.bandit.thompson import Known, Prior, beta_kernel, counts_of


class PriceThompson(Policy):
    """Thompson sampling of what a customer earns: conversion, with a Beta prior, times price or margin.

    The prices are known, so only the conversion is drawn; the arm with the highest product is offered (Ferreira, Simchi-Levi
    and Wang 2018, without the inventory).

    Attributes:
        prior: Conversions and refusals of the Beta prior of each arm; (1, 1) is uniform.
        known: By arm, conversions and refusals seen before, which are added to the prior: an A/B run's `prior.yaml`.

    Example:
        python -m hwds +experiment=price_bandit model=bandit/price_thompson
    """

    prior: Prior = (1.0, 1.0)
    known: Known = field(default_factory=dict)

    def kernel(self, arms: Arms) -> Kernel:
        """Exact draws by screening; an arm that could not win at any conversion is not drawn."""
        return beta_kernel(arms.values, *counts_of(arms, self.prior, self.known))
