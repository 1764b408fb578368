"""From scores to probabilities: a line in the log odds, the beta map, or a rising step function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from hwds.core.errors import DataError
from hwds.core.serialization import Serializable
from hwds.detection.models.calibration.line_posterior import drawn_lines, interval_of, mean_probability
from hwds.detection.models.calibration.logit import rising_fit
from hwds.statistics.log_odds import EDGE, log_odds, sigmoid

Kind = Literal["none", "platt", "bayes", "beta", "isotonic"]

ROUNDS = 200
SETTLED = 1e-9


@dataclass(frozen=True, eq=False)
class Calibrator(Serializable):
    """A rising map from scores to probabilities.

    Attributes:
        kind: Which.
        coefficients: Of `platt` slope and intercept; of `bayes` those of many lines, shape (lines, 2); of `beta` slopes of
            log p and -log(1 - p), and the intercept; of others none.
        knots: Scores and their probabilities between which `isotonic` goes in straight lines, shape (2, knots).
        chance: Whether the scores are probabilities, not log odds.
        sensitivity: The chance that a positive row bears its label, by which a map to the label is divided; 1 where the map is
            one to being positive.
    """

    kind: Kind
    coefficients: np.ndarray
    knots: np.ndarray
    chance: bool = False
    sensitivity: float = 1.0

    renamed: ClassVar[Mapping[str, str]] = {"told": "coefficients", "found": "sensitivity"}

    def probability(self, score: np.ndarray) -> np.ndarray:
        """Return the probability of a row being positive, shape (n,)."""
        return np.minimum(self._labelled(score) / self.sensitivity, 1.0)

    def interval(self, score: np.ndarray) -> np.ndarray | None:
        """Return the 95 % interval of probability over the lines of `bayes`, shape (2, n); None for the other maps."""
        return interval_of(self.coefficients, self._own_odds(score)) if self.kind == "bayes" else None

    def odds(self, score: np.ndarray) -> np.ndarray:
        """Return the log odds of a row being positive, shape (n,); those of a line are not cut at the edges."""
        if self.sensitivity == 1.0 and self.kind in ("none", "platt"):
            return self._line(self._own_odds(score))
        return log_odds(self.probability(score))

    def _own_odds(self, score: np.ndarray) -> np.ndarray:
        return log_odds(score) if self.chance else score

    def _line(self, odds: np.ndarray) -> np.ndarray:
        return self.coefficients[0] * odds + self.coefficients[1] if self.kind == "platt" else odds

    def _labelled(self, score: np.ndarray) -> np.ndarray:
        """Return the probability of the label being 1."""
        if self.kind == "isotonic":
            return np.interp(score, self.knots[0], self.knots[1])
        odds = self._own_odds(score)
        if self.kind == "beta":
            below, above = _beta_inputs(odds).T  # no matrix product, whose last bits depend on the number of rows
            return sigmoid(self.coefficients[0] * below + self.coefficients[1] * above + self.coefficients[2])
        return mean_probability(self.coefficients, odds) if self.kind == "bayes" else sigmoid(self._line(odds))


def uncalibrated(chance: bool, sensitivity: float = 1.0) -> Calibrator:
    """Return the map that takes scores for log odds, or for probabilities, of the label."""
    return Calibrator("none", np.zeros(0), np.zeros((2, 0)), chance, sensitivity)


def calibrator(
    kind: Kind,
    score: np.ndarray,
    label: np.ndarray,
    *,
    chance: bool = False,
    weight: np.ndarray | None = None,
    sensitivity: float = 1.0,
) -> Calibrator:
    """Return the rising map of a kind that fits the labels best.

    `platt` is the line in the log odds with Platt's targets, (N1 + 1) / (N1 + 2) and 1 / (N0 + 2), for labels that may be wrong
    either way (Platt 1999; with a `sensitivity` below 1, which says how they are wrong, the labels themselves); `beta` has
    slopes of log p and of -log(1 - p), each at least 0 (Kull, Silva Filho and Flach 2017): what is negative is left out and the
    rest fitted anew. Where high scores go with 0 the map is flat. `bayes` is the mean of many lines, as far apart as few labels
    leave them (`line_posterior`), around that of half a row of the other label in each kind (Krichevsky and Trofimov 1981):
    what is expected of a choice under it is not too good because the one fitted line happened to be a good one.

    Args:
        kind: Which map.
        score: Shape (n,).
        label: 1.0 or 0.0, shape (n,).
        chance: Whether scores are probabilities, not log odds.
        weight: How often each row counts, shape (n,), 1 on the average; None is once.
        sensitivity: The share of positive rows whose label is 1; those of label 0 are taken for positive as far as it and the
            map say, and the map is one to being positive (Magder and Hughes 1997, "Logistic regression when the outcome is
            measured with uncertainty"). The chances of `none` and `isotonic`, which are maps to the label, are divided by it.

    Raises:
        DataError: The labels are of one kind.
    """
    nothing = np.zeros((2, 0))
    if kind == "none":
        return uncalibrated(chance, sensitivity)
    positives = int(label.sum())
    if not 0 < positives < len(label):
        raise DataError(
            f"model.calibration: '{kind}' needs rows of 0 and of 1 in the window to calibrate by,"
            f" it has {len(label) - positives} and {positives}; take more protocol.calibrate_days."
        )
    if kind == "isotonic":
        return Calibrator(kind, np.zeros(0), _steps(score, label, weight), chance, sensitivity)
    odds = log_odds(score) if chance else score
    if kind == "platt":
        target = _softened(label, 1.0) if sensitivity == 1 else label
        return Calibrator(kind, _line_of(odds[:, None], label, target, weight, sensitivity), nothing, chance)
    if kind == "bayes":
        line = _line_of(odds[:, None], label, _softened(label, 0.5), weight, sensitivity)
        return Calibrator(kind, drawn_lines(line, odds, weight, sensitivity), nothing, chance)
    return Calibrator(kind, _line_of(_beta_inputs(odds), label, label, weight, sensitivity), nothing, chance)


def _softened(label: np.ndarray, rows: float) -> np.ndarray:
    """Return labels as if so many rows of each class bore the other one."""
    positives = float(label.sum())
    return np.where(label == 1, (positives + rows) / (positives + 2 * rows), rows / (len(label) - positives + 2 * rows))


def _line_of(
    inputs: np.ndarray, label: np.ndarray, target: np.ndarray, weight: np.ndarray | None, sensitivity: float
) -> np.ndarray:
    """Return the fit of least cross-entropy; where labels miss positives, by EM: a 0 counts as 1 by its chance."""
    fit = rising_fit(inputs, target, weight)
    for _ in range(ROUNDS if sensitivity < 1 else 0):
        before, likely = fit, sigmoid(inputs @ fit[:-1] + fit[-1])
        missed = np.where(label == 1, 0.0, likely * (1 - sensitivity) / (1 - likely * sensitivity))
        fit = rising_fit(inputs, target + (1 - target) * missed, weight)
        if np.abs(fit - before).max() <= SETTLED * (1 + np.abs(fit).max()):
            break
    return fit


def _beta_inputs(odds: np.ndarray) -> np.ndarray:
    held = np.clip(sigmoid(odds), EDGE, 1 - EDGE)
    return np.column_stack([np.log(held), -np.log1p(-held)])


def _steps(score: np.ndarray, label: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    from sklearn.isotonic import IsotonicRegression

    regression = IsotonicRegression(out_of_bounds="clip", y_min=0.0, y_max=1.0).fit(score, label, sample_weight=weight)
    return np.stack([regression.X_thresholds_, regression.y_thresholds_])
