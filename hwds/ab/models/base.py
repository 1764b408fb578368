"""Comparison: the recipe of an A/B test's analysis."""

from __future__ import annotations

import numpy as np

from hwds.ab.metrics.sample import Arm, Design, Finding, Needs, Rule, Sample, SampleRoles
from hwds.core.recipe import Recipe


class Comparison(Recipe):
    """Compares each arm of a test with its control."""

    def needs(self, roles: SampleRoles) -> Needs:
        """Return the inputs that it reads of a table with these roles.

        Raises:
            ConfigError: A role that it cannot do without is not given.
        """
        return Needs()

    def rules_used(self) -> tuple[Rule, ...]:
        """Return the rules of its intervals, the one that it decides by first."""
        raise NotImplementedError(f"{type(self).__name__}.rules_used")

    def compare(self, sample: Sample, design: Design) -> list[Finding]:
        """Return the effects of all arms of one outcome at one look."""
        raise NotImplementedError(f"{type(self).__name__}.compare")

    def winners(self, rule: Rule, own: Arm, control: Arm, design: Design) -> np.ndarray:
        """Return whether a rule declares a difference at each look of the design, for moments of shape (..., looks).

        A rule with p-values does so where they are at most `design.level`.
        """
        raise NotImplementedError(f"{type(self).__name__}.winners")
