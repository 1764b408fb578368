"""Bayesian comparison of arms."""

from __future__ import annotations

import numpy as np
from numpy import ndarray

from hwds.ab.models.base import Comparison
from hwds.ab.sample import Design, Finding, Rule, Sample, SampleArm
from hwds.core.recipe import Level, Positive
from hwds.stats.distributions import (
    NormalPosterior,
    Posterior,
    ScaledBeta,
    difference_bounds,
    expected_loss,
    probability_best,
    ratio_bounds,
)


class Bayes(Comparison):
    """The probability that each arm is best, the expected loss of choosing it, and the posterior of
    its effect.

    Conversions, and conversions at one price an arm, have Beta posteriors (exact); other outcomes a
    normal with a flat prior. To stop when an arm is probably best is no protection against looking
    often: the simulated rate of false winners is shown.

    Attributes:
        prior_successes: The first parameter of the Beta prior.
        prior_failures: The second parameter of the Beta prior.
        winner_at: An arm wins against the control where it is the better with this probability, or
            loses so.
    """

    prior_successes: Positive = 1.0
    prior_failures: Positive = 1.0
    winner_at: Level = 0.95

    def rules_used(self) -> tuple[Rule, ...]:
        """Return the posterior."""
        return ("bayes",)

    def compare(self, sample: Sample, design: Design) -> list[Finding]:
        """Return effects, probabilities and losses."""
        posteriors = [self._posterior(arm, sample.binary) for arm in sample.arms]
        pairs = list(zip(sample.others, posteriors[1:], strict=True))
        findings = [self._effect(arm.name, own, posteriors[0], design.alpha) for arm, own in pairs]
        findings += [self._lift(arm.name, own, posteriors[0], design.alpha) for arm, own in pairs]
        for arm, own in pairs:
            better = (
                probability_best([posteriors[0], own])[1]
                if _has_varied(posteriors[0], own)
                else None
            )
            findings.append(Finding("probability_better", arm.name, better, rule="bayes"))
        every = _has_varied(*posteriors)
        best = probability_best(posteriors) if every else [None] * len(posteriors)
        losses = (
            [max(loss, 0.0) for loss in expected_loss(posteriors)]
            if every
            else [None] * len(posteriors)
        )
        for arm, share, loss in zip(sample.arms, best, losses, strict=True):
            findings.append(Finding("probability_best", arm.name, share, rule="bayes"))
            findings.append(Finding("expected_loss", arm.name, loss, rule="bayes"))
        return findings

    def winners(self, rule: Rule, own: SampleArm, control: SampleArm, design: Design) -> ndarray:
        """Return where one of the two is better with probability `winner_at`, by the normal with
        the posteriors' moments.
        """
        from scipy.special import ndtr

        (mean, variance), (other, other_variance) = self._moments(own), self._moments(control)
        with np.errstate(invalid="ignore"):  # nothing varies and nothing differs: no winner
            better = ndtr((mean - other) / np.sqrt(variance + other_variance))
        return (better >= self.winner_at) | (better <= 1 - self.winner_at)

    def _posterior(self, arm: SampleArm, binary: bool) -> Posterior:
        n, mean = float(arm.total.n), float(arm.total.first)
        if not binary:
            return NormalPosterior(mean, float(np.sqrt(arm.total.error)))
        price = 1.0 if arm.price is None else arm.price
        successes = mean * n / price
        return ScaledBeta(
            self.prior_successes + successes, self.prior_failures + n - successes, price
        )

    def _effect(self, name: str, own: Posterior, control: Posterior, alpha: float) -> Finding:
        if not _has_varied(own, control):
            return Finding("posterior_effect", name, own.mean - control.mean, rule="bayes")
        low, high = difference_bounds(own, control, 1 - alpha)
        stderr = float(np.hypot(own.deviation, control.deviation))
        return Finding(
            "posterior_effect", name, own.mean - control.mean, stderr, low, high, rule="bayes"
        )

    def _lift(self, name: str, own: Posterior, control: Posterior, alpha: float) -> Finding:
        """Return the ratio of the posterior means less 1, with the credible interval of the ratio
        of the means.
        """
        bounds = ratio_bounds(own, control, 1 - alpha) if _has_varied(own, control) else None
        value = own.mean / control.mean - 1 if control.mean > 0 else None
        if bounds is None or value is None:
            return Finding("posterior_lift", name, value, rule="bayes")
        return Finding(
            "posterior_lift", name, value, None, bounds[0] - 1, bounds[1] - 1, rule="bayes"
        )

    def _moments(self, arm: SampleArm) -> tuple[ndarray, ndarray]:
        """Return mean and variance of the posterior, for any shape.

        An arm without a price has a flat prior.
        """
        if arm.price is None:
            return arm.total.first, arm.total.error
        prior = self.prior_successes + self.prior_failures
        mean = (self.prior_successes + arm.total.first / arm.price * arm.total.n) / (
            prior + arm.total.n
        )
        return arm.price * mean, arm.price**2 * mean * (1 - mean) / (prior + arm.total.n + 1)


def _has_varied(*posteriors: Posterior) -> bool:
    """Return whether each arm has varied: the error of one that has not is unknown."""
    return all(each.deviation > 0 for each in posteriors)
