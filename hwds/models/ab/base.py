"""Comparison: the recipe of an A/B test's analysis."""

from __future__ import annotations

import numpy as np

from hwds.metrics.ab_sample import Arm, Design, Finding, Needs, Roles, Rule, Sample
from hwds.recipe import Recipe


class Comparison(Recipe):
    """Compares each arm of a test with its control."""

    def needs(self, roles: Roles) -> Needs:
        """What it reads of a table with these roles.

        Raises:
            ConfigError: A role that it cannot do without is not given.
        """
        return Needs()

    def rules_used(self) -> tuple[Rule, ...]:
        """How its intervals are made, the one that it decides by first."""
        raise NotImplementedError(f"{type(self).__name__}.rules_used")

    def compare(self, sample: Sample, design: Design) -> list[Finding]:
        """The effects of all arms of one outcome at one look."""
        raise NotImplementedError(f"{type(self).__name__}.compare")

    def winners(self, rule: Rule, own: Arm, control: Arm, design: Design) -> np.ndarray:
        """Whether a rule declares a difference, for arms whose moments have the shape (..., looks): the looks of the design.

        A rule with p-values does so where they are at most `design.level`.
        """
        raise NotImplementedError(f"{type(self).__name__}.winners")
