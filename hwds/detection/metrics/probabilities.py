"""Metrics of probabilities of a binary label: proper scores, and whether they mean what they say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from hwds.statistics.log_odds import EDGE, log_odds, sigmoid

BINS = 15
"""The bins of the expected calibration error, each of the same weight."""

LIKELY = 0.1
"""From this probability on realised positives are counted against those expected."""

STEPS = 100
"""The most steps of Newton's method."""


@dataclass(frozen=True, eq=False)
class Probabilities:
    """Proper scores and calibration of rows, as functions of sums over rows: prepared once for any number of weightings.

    The expected calibration error is the mean over bins of |mean probability - share of label 1| (Naeini, Cooper and
    Hauskrecht 2015, with bins of equal mass as Nixon et al. 2019); rows of one probability lie in one bin. Slope and intercept
    are those of a logistic regression of the label on the log odds of the probability, 1 and 0 where it is calibrated; a slope
    below 1 says that probabilities are too extreme (Cox 1958; Van Calster et al. 2019). The log loss clips at 1e-7.

    Bins are those of the base weights. The slope and the intercept under other weights are one step of Newton's method from
    those of the base weights: the usual one-step bootstrap of a maximum-likelihood estimate.

    Attributes:
        fit: Slope and intercept under the base weights.
        parts: Of each row what is summed, shape (n, columns): one, both losses, realised and expected among the likely, five
            terms of Newton's step, and probability less label in the column of its bin.
    """

    fit: np.ndarray
    parts: np.ndarray

    @classmethod
    def of(cls, label: np.ndarray, probability: np.ndarray, base: np.ndarray) -> Self:
        """Prepare the rows."""
        odds = log_odds(probability)
        fit = _fitted(odds, label, base)
        likely = probability >= LIKELY
        sums = [np.ones(len(label)), (probability - label) ** 2, _log_losses(label, probability)]
        sums += [likely * label, likely * probability, *_terms(odds, label, fit).T]
        bins = bins_of(probability, base)
        excess = np.zeros((len(label), BINS))
        excess[np.arange(len(label)), bins] = probability - label
        return cls(fit, np.column_stack([*sums, excess]))

    def values(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        """Return each metric by its name, shape (weightings,), from the weighted sums of `parts`, (weightings, columns)."""
        total, squared, logarithmic, realised, expected = sums[:, :5].T
        slope, intercept = self._step(sums[:, 5:10])
        mean = 1 / np.where(total > 0, total, np.nan)
        return {
            "brier": squared * mean,
            "log_loss": logarithmic * mean,
            "ece": np.abs(sums[:, 10:]).sum(axis=1) * mean,
            "calibration_slope": slope,
            "calibration_intercept": intercept,
            f"observed_to_expected[p>={LIKELY}]": realised / np.where(expected > 0, expected, np.nan),
        }

    def _step(self, terms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return slope and intercept one step of Newton's method on, NaN where its matrix is singular."""
        slope, intercept, twice, once, none = terms.T
        determinant = twice * none - once**2
        whole = np.where(determinant > 1e-12 * twice * none, determinant, np.nan)
        steps = (none * slope - once * intercept) / whole, (twice * intercept - once * slope) / whole
        return self.fit[0] + steps[0], self.fit[1] + steps[1]


def bins_of(probability: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the bin of each row: bins of about the same weight, cut where probabilities differ, shape (n,)."""
    if not (weight > 0).any():
        return np.zeros(len(probability), np.int64)
    inner = np.linspace(0, 1, BINS + 1)[1:-1]
    edges = np.quantile(probability, inner, weights=weight, method="inverted_cdf")
    return np.searchsorted(np.unique(edges), probability, side="left")


def _log_losses(label: np.ndarray, probability: np.ndarray) -> np.ndarray:
    held = np.clip(probability, EDGE, 1 - EDGE)
    return -(label * np.log(held) + (1 - label) * np.log1p(-held))


def _terms(odds: np.ndarray, label: np.ndarray, fit: np.ndarray) -> np.ndarray:
    """Return for each row the gradient by slope and intercept, then the three terms of the negative Hessian."""
    predicted = sigmoid(fit[0] * odds + fit[1])
    rest, spread = label - predicted, predicted * (1 - predicted)
    return np.column_stack([rest * odds, rest, spread * odds**2, spread * odds, spread])


def _fitted(odds: np.ndarray, label: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Slope and intercept by Newton's method with halved steps; NaN where the likelihood has no finite maximum."""
    nothing = np.full(2, np.nan)
    used = weight > 0
    odds, label, weight = odds[used], label[used], weight[used]
    if len(np.unique(label)) < 2 or np.ptp(odds) == 0:
        return nothing
    if odds[label == 1].min() >= odds[label == 0].max() or odds[label == 1].max() <= odds[label == 0].min():
        return nothing  # a threshold parts the classes: the slope would grow for ever
    fit, best = np.array([1.0, 0.0]), -np.inf
    step = np.zeros(2)
    for _ in range(STEPS):
        trial = fit + step
        line = trial[0] * odds + trial[1]
        likelihood = float(weight @ (label * line - np.logaddexp(0.0, line)))
        if likelihood < best - 1e-9 * abs(best):
            step = step / 2
            continue
        slope, intercept, twice, once, none = weight @ _terms(odds, label, trial)
        fit, best, before = trial, likelihood, fit
        step = np.linalg.solve(np.array([[twice, once], [once, none]]), np.array([slope, intercept]))
        if np.abs(step).max() < 1e-10 * max(1.0, float(np.abs(before).max())):
            return fit + step
    return nothing
