"""Comparison of means within strata."""

from __future__ import annotations

import numpy as np

from hwds.ab.intervals import satterthwaite
from hwds.ab.models.base import ArmEstimate, EffectEstimator
from hwds.ab.sample import ComparisonNeeds, SampleArm, SampleRoles
from hwds.core.errors import ConfigError


class Stratified(EffectEstimator):
    """The difference of means within strata, weighted by the strata's shares of all units
    (post-stratification).

    Miratrix, Sekhon and Yu, Adjusting treatment effect estimates by post-stratification (JRSS B
    2013).
    """

    def needs(self, roles: SampleRoles) -> ComparisonNeeds:
        """Return the strata."""
        if not roles.of("stratum"):
            raise ConfigError(f"dataset.roles.stratum: must be given for '{self.name}'.")
        return ComparisonNeeds(strata=True)

    def estimate(self, own: SampleArm, control: SampleArm) -> ArmEstimate:
        """Return the weighted mean of the strata's differences."""
        if own.strata is None or control.strata is None:
            raise ConfigError(f"dataset.roles.stratum: must be given for '{self.name}'.")
        both = own.strata.n + control.strata.n
        weight = both / both.sum(axis=-1, keepdims=True)
        mean, other = (
            np.sum(weight * strata.first, axis=-1) for strata in (own.strata, control.strata)
        )
        errors = [weight**2 * strata.error for strata in (own.strata, control.strata)]
        df = satterthwaite(errors[0], own.strata.n, errors[1], control.strata.n, axis=-1)
        return ArmEstimate.of(
            mean, np.sum(errors[0], axis=-1), other, np.sum(errors[1], axis=-1), df
        )
