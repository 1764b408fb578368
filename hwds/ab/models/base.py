"""Comparison, the recipe of an A/B test's analysis, and Estimator, with an effect and its error."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import MinLen
from numpy import ndarray

from hwds.ab.intervals import (
    Bounds,
    BoundShape,
    critical,
    fieller_bounds,
    group_bounds,
    group_p,
    sequence_bounds,
    sequence_p,
    sequence_rate,
    t_bounds,
    t_p,
)
from hwds.ab.sample import ComparisonNeeds, Design, Finding, Rule, Sample, SampleArm, SampleRoles
from hwds.core.recipe import Once, Recipe
from hwds.stats.effects import LEAST_SURE

# Comparison: the recipe of an A/B test's analysis.


class Comparison(Recipe):
    """Compares each arm of a test with its control."""

    def needs(self, roles: SampleRoles) -> ComparisonNeeds:
        """Return the inputs that it reads of a table with these roles.

        Raises:
            ConfigError: A role that it cannot do without is not given.
        """
        return ComparisonNeeds()

    def rules_used(self) -> tuple[Rule, ...]:
        """Return the rules of its intervals, the one that it decides by first."""
        raise NotImplementedError(f"{type(self).__name__}.rules_used")

    def compare(self, sample: Sample, design: Design) -> list[Finding]:
        """Return the effects of all arms of one outcome at one look."""
        raise NotImplementedError(f"{type(self).__name__}.compare")

    def winners(self, rule: Rule, own: SampleArm, control: SampleArm, design: Design) -> ndarray:
        """Return whether a rule declares a difference at each look of the design, for moments of
        shape (..., looks).

        A rule with p-values does so where they are at most `design.level`.
        """
        raise NotImplementedError(f"{type(self).__name__}.winners")


# Estimator: a comparison that has an effect with a standard error, and any of the rules for its
# interval.

Rules = Annotated[tuple[Literal["always_valid", "fixed", "group_sequential"], ...], MinLen(1), Once]


@dataclass(frozen=True, slots=True)
class ArmEstimate:
    """Effects of one arm against the control, each field of shape B.

    Attributes:
        value: The differences.
        stderr: Their standard errors.
        df: The degrees of freedom of these, infinite for the normal.
        control: The control's mean, adjusted as the difference is.
        control_share: Its share of the squared standard error.
        shared: The squared standard error of what both means have in common, which the difference
            is free of.
    """

    value: ndarray
    stderr: ndarray
    df: ndarray
    control: ndarray
    control_share: ndarray
    shared: ndarray | float = 0.0

    @classmethod
    def of(
        cls,
        own: ndarray,
        own_error: ndarray,
        control: ndarray,
        control_error: ndarray,
        df: ndarray,
        shared: ndarray | float = 0.0,
    ) -> ArmEstimate:
        """Return the difference of two means with these squared standard errors, beside what they
        share.
        """
        both = own_error + control_error
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.where(both > 0, control_error / both, 0.0)
        return cls(own - control, np.sqrt(both), df, control, share, shared)

    def ratio_bounds(self, z: ndarray | float) -> Bounds:
        """Return the interval of the arm's mean over the control's, at a critical value in standard
        errors.
        """
        variance = self.stderr**2
        own_error, control_error = (
            variance * (1 - self.control_share),
            variance * self.control_share,
        )
        return fieller_bounds(
            self.control + self.value, own_error, self.control, control_error, z, self.shared
        )


class EffectEstimator(Comparison):
    """An effect with its standard error, under one or more rules.

    Attributes:
        rules: How intervals and p-values are made, the one to decide by first. `always_valid` holds
            however often one looks (an asymptotic confidence sequence); `group_sequential` at the
            planned looks; `fixed` once, at the registered size.
        bounds: The bounds of group-sequential looks: `pocock` or `obrien_fleming`.
    """

    fixed_without_variation: ClassVar[bool] = False
    """True where `fixed_bounds` hold even where no outcome of either arm has varied."""

    rules: Rules = ("always_valid", "fixed")
    bounds: BoundShape = "obrien_fleming"

    def estimate(self, own: SampleArm, control: SampleArm) -> ArmEstimate:
        """Return the effect of an arm; works on any shape of moments."""
        raise NotImplementedError(f"{type(self).__name__}.estimate")

    def fixed_bounds(self, own: SampleArm, control: SampleArm, alpha: float) -> Bounds:
        """Return the interval at a sample size that was fixed before.

        Student's t with Welch's degrees of freedom.
        """
        estimate = self.estimate(own, control)
        return t_bounds(estimate.value, estimate.stderr, estimate.df, alpha)

    def fixed_p(self, own: SampleArm, control: SampleArm) -> ndarray:
        """Return the p-value that agrees with `fixed_bounds`."""
        estimate = self.estimate(own, control)
        return t_p(estimate.value, estimate.stderr, estimate.df)

    def fixed_wins(self, own: SampleArm, control: SampleArm, alpha: float) -> ndarray:
        """Return whether `fixed_bounds` exclude zero."""
        low, high = self.fixed_bounds(own, control, alpha)
        return (low > 0) | (high < 0)

    def rules_used(self) -> tuple[Rule, ...]:
        """Return the rules of the config."""
        return self.rules

    def compare(self, sample: Sample, design: Design) -> list[Finding]:
        """Return each arm's effect by each rule, and the same against the control's mean."""
        compared = [(own, rule) for own in sample.others for rule in self.rules]
        effects = [self._finding(rule, own, sample.control, design) for own, rule in compared]
        return effects + [self._lift(rule, own, sample.control, design) for own, rule in compared]

    def winners(self, rule: Rule, own: SampleArm, control: SampleArm, design: Design) -> ndarray:
        """Return whether the interval of each look excludes zero."""
        if rule == "fixed":
            return self.fixed_wins(own, control, design.level) & ~few_units(own, control)
        looks = [replace(design, look=look) for look in range(len(design.fractions))]
        low, high = self._bounds(rule, own, control, looks)
        return ((low > 0) | (high < 0)) & ~few_units(own, control)

    def critical_value(self, rule: Rule, units: float, design: Design) -> float:
        """Return the critical value at the design's look, in standard errors, at so many units of
        both arms together.
        """
        if rule == "fixed":
            return critical(design.level)
        if rule == "group_sequential":
            return group_bounds(self.bounds, design.fractions, design.level)[design.look]
        one, rate = np.ones(()), sequence_rate(design.tuned_for, design.alpha)
        return float(sequence_bounds(0 * one, one, units * one, rate, design.level)[1])

    def _finding(self, rule: Rule, own: SampleArm, control: SampleArm, design: Design) -> Finding:
        estimate = self.estimate(own, control)
        value, stderr = float(estimate.value), float(estimate.stderr)
        error_known = stderr > 0 or (rule == "fixed" and self.fixed_without_variation)
        if not error_known or few_units(
            own, control
        ):  # nothing has varied yet, so that nothing is known of the error
            return Finding("effect", own.name, value, rule=rule)
        low, high = self._bounds(rule, own, control, [design])
        p = self._p(rule, own, control, design)
        ends = float(np.squeeze(low)), float(np.squeeze(high))
        return Finding("effect", own.name, value, stderr or None, *ends, float(p), rule)

    def _lift(self, rule: Rule, own: SampleArm, control: SampleArm, design: Design) -> Finding:
        """Return the effect as a share of the control's mean.

        Its ends, at the effect's critical values, exclude 0 too.
        """
        estimate = self.estimate(own, control)
        value, stderr, mean = float(estimate.value), float(estimate.stderr), float(estimate.control)
        if not mean > 0:  # a share of nothing, or of a loss, says nothing
            return Finding("lift", own.name, None, rule=rule)
        if not stderr > 0 or few_units(own, control):
            return Finding("lift", own.name, value / mean, rule=rule)
        ends = (float(np.squeeze(end)) for end in self._bounds(rule, own, control, [design]))
        below, above = (abs(end - value) / stderr for end in ends)
        low, high = (
            float(estimate.ratio_bounds(below)[0]) - 1,
            float(estimate.ratio_bounds(above)[1]) - 1,
        )
        if not np.isfinite(low) or not np.isfinite(high):
            return Finding("lift", own.name, value / mean, rule=rule)
        ratio, share = 1 + value / mean, float(estimate.control_share)
        relative = stderr**2 * (1 - share + ratio**2 * share) + (1 - ratio) ** 2 * float(
            np.squeeze(estimate.shared)
        )
        error = np.sqrt(relative) / mean  # the delta method's
        return Finding("lift", own.name, value / mean, float(error), low, high, rule=rule)

    def _bounds(
        self, rule: Rule, own: SampleArm, control: SampleArm, looks: list[Design]
    ) -> Bounds:
        """Return intervals by a rule.

        The last axis of the moments, where they have one, is that of the looks.
        """
        design, estimate = looks[0], self.estimate(own, control)
        if rule == "fixed":
            return self.fixed_bounds(own, control, design.level)
        if rule == "always_valid":
            rate = sequence_rate(design.tuned_for, design.alpha)
            return sequence_bounds(
                estimate.value, estimate.stderr, units_of_both(own, control), rate, design.level
            )
        bounds = group_bounds(self.bounds, design.fractions, design.level)
        half_width = np.array([bounds[each.look] for each in looks]) * estimate.stderr
        return estimate.value - half_width, estimate.value + half_width

    def _p(self, rule: Rule, own: SampleArm, control: SampleArm, design: Design) -> float:
        estimate = self.estimate(own, control)
        if rule == "fixed":
            return float(self.fixed_p(own, control))
        if rule == "always_valid":
            rate = sequence_rate(design.tuned_for, design.alpha)
            return float(
                sequence_p(estimate.value, estimate.stderr, units_of_both(own, control), rate)
            )
        return group_p(
            float(estimate.value / estimate.stderr), design.look, self.bounds, design.fractions
        )


def few_units(own: SampleArm, control: SampleArm) -> ndarray:
    """Return where an arm has so few units that no difference is sure: of three and three a
    permutation test has p = .1.
    """
    return np.asarray(np.minimum(own.total.n, control.total.n) < LEAST_SURE)


def units_of_both(own: SampleArm, control: SampleArm) -> ndarray:
    """Return units of both arms together."""
    return own.total.n + control.total.n
