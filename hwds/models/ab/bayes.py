"""Bayesian comparison of arms."""

from __future__ import annotations

import numpy as np

from hwds.metrics.ab_bayes import Normal, Posterior, ScaledBeta, difference_bounds, expected_loss, probability_best
from hwds.metrics.ab_sample import Arm, Design, Finding, Rule, Sample
from hwds.models.ab.base import Comparison
from hwds.recipe import Level, Positive


class Bayes(Comparison):
    """The probability of each arm to be the best, what choosing it loses on average, and the posterior of its effect.

    Conversions, and conversions at one price an arm, have Beta posteriors (exact); other outcomes a normal with a flat prior.
    To stop when an arm is probably best is no protection against looking often: the simulated rate of false winners is shown.

    Attributes:
        prior_successes: The first parameter of the Beta prior.
        prior_failures: The second.
        winner_at: An arm wins against the control where it is the better with this probability, or loses so.

    Example:
        python -m hwds +experiment=ab_price_test model=ab/bayes rivals=[]
    """

    prior_successes: Positive = 1.0
    prior_failures: Positive = 1.0
    winner_at: Level = 0.95

    def rules_used(self) -> tuple[Rule, ...]:
        """The posterior."""
        return ("bayes",)

    def compare(self, sample: Sample, design: Design) -> list[Finding]:
        """Effects, probabilities and losses."""
        known = [self._posterior(arm, sample.binary) for arm in sample.arms]
        pairs = list(zip(sample.others, known[1:], strict=True))
        found = [self._effect(arm.name, own, known[0], design.alpha) for arm, own in pairs]
        for arm, own in pairs:
            better = probability_best([known[0], own])[1] if _varied(known[0], own) else None
            found.append(Finding("probability_better", arm.name, better, rule="bayes"))
        every = _varied(*known)
        best = probability_best(known) if every else [None] * len(known)
        loss = [max(lost, 0.0) for lost in expected_loss(known)] if every else [None] * len(known)
        for arm, share, lost in zip(sample.arms, best, loss, strict=True):
            found.append(Finding("probability_best", arm.name, share, rule="bayes"))
            found.append(Finding("expected_loss", arm.name, lost, rule="bayes"))
        return found

    def winners(self, rule: Rule, own: Arm, control: Arm, design: Design) -> np.ndarray:
        """Where one of the two is the better with probability `winner_at`, by the normal that has the posteriors' moments."""
        from scipy.special import ndtr

        (mean, variance), (other, other_variance) = self._moments(own), self._moments(control)
        with np.errstate(invalid="ignore"):  # nothing varies and nothing differs: no winner
            better = ndtr((mean - other) / np.sqrt(variance + other_variance))
        return (better >= self.winner_at) | (better <= 1 - self.winner_at)

    def _posterior(self, arm: Arm, binary: bool) -> Posterior:
        n, mean = float(arm.total.n), float(arm.total.first)
        if not binary:
            return Normal(mean, float(np.sqrt(arm.total.error)))
        price = 1.0 if arm.price is None else arm.price
        successes = mean * n / price
        return ScaledBeta(self.prior_successes + successes, self.prior_failures + n - successes, price)

    def _effect(self, name: str, own: Posterior, control: Posterior, alpha: float) -> Finding:
        if not _varied(own, control):
            return Finding("posterior_effect", name, own.mean - control.mean, rule="bayes")
        low, high = difference_bounds(own, control, 1 - alpha)
        stderr = float(np.hypot(own.deviation, control.deviation))
        return Finding("posterior_effect", name, own.mean - control.mean, stderr, low, high, rule="bayes")

    def _moments(self, arm: Arm) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of the posterior, for any shape; an arm without a price has a flat prior."""
        if arm.price is None:
            return arm.total.first, arm.total.error
        prior = self.prior_successes + self.prior_failures
        mean = (self.prior_successes + arm.total.first / arm.price * arm.total.n) / (prior + arm.total.n)
        return arm.price * mean, arm.price**2 * mean * (1 - mean) / (prior + arm.total.n + 1)


def _varied(*known: Posterior) -> bool:
    """Whether each arm has varied: of one that has not, nothing is known of the error."""
    return all(each.deviation > 0 for each in known)
