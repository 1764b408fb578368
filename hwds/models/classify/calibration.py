"""From scores to probabilities: a line in the log odds, the beta map, or a rising step function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hwds.errors import DataError
from hwds.metrics.log_odds import EDGE, log_odds, sigmoid
from hwds.models.classify.logit import rising_fit
from hwds.stored import Stored

Kind = Literal["none", "platt", "beta", "isotonic"]


@dataclass(frozen=True, eq=False)
class Calibrator(Stored):
    """A rising map from scores to probabilities.

    Attributes:
        kind: Which.
        told: Its numbers: of `platt` slope and intercept; of `beta` those of log p, -log(1 - p) and 1; of others none.
        knots: Scores and their probabilities between which `isotonic` goes in straight lines, shape (2, knots).
        chance: Whether the scores are probabilities, not log odds.
        found: The chance that a positive row bears its label; what is said of the label is divided by it.
    """

    kind: Kind
    told: np.ndarray
    knots: np.ndarray
    chance: bool = False
    found: float = 1.0

    def probability(self, score: np.ndarray) -> np.ndarray:
        """Of a row being positive, shape (n,)."""
        return np.minimum(self._labelled(score) / self.found, 1.0)

    def odds(self, score: np.ndarray) -> np.ndarray:
        """The log odds of it, shape (n,); those of a line are not cut at the edges."""
        if self.found == 1.0 and self.kind in ("none", "platt"):
            return self._line(self._own_odds(score))
        return log_odds(self.probability(score))

    def _own_odds(self, score: np.ndarray) -> np.ndarray:
        return log_odds(score) if self.chance else score

    def _line(self, odds: np.ndarray) -> np.ndarray:
        return self.told[0] * odds + self.told[1] if self.kind == "platt" else odds

    def _labelled(self, score: np.ndarray) -> np.ndarray:
        """The probability of the label being 1."""
        if self.kind == "isotonic":
            return np.interp(score, self.knots[0], self.knots[1])
        odds = self._own_odds(score)
        if self.kind == "beta":
            return sigmoid(_beta_inputs(odds) @ self.told[:2] + self.told[2])
        return sigmoid(self._line(odds))


def uncalibrated(chance: bool) -> Calibrator:
    """Scores taken for what they say they are: log odds, or probabilities."""
    return Calibrator("none", np.zeros(0), np.zeros((2, 0)), chance)


def calibrator(
    kind: Kind, score: np.ndarray, label: np.ndarray, *, chance: bool = False, weight: np.ndarray | None = None
) -> Calibrator:
    """The rising map of a kind that fits the labels best.

    `platt` is the line in the log odds with Platt's targets, (N1 + 1) / (N1 + 2) and 1 / (N0 + 2) (Platt 1999); `beta` has
    slopes of log p and of -log(1 - p), each at least 0 (Kull, Silva Filho and Flach 2017): what is negative is left out and the
    rest fitted anew. Where high scores go with 0 the map is flat.

    Args:
        kind: Which map.
        score: Shape (n,).
        label: 1.0 or 0.0, shape (n,).
        chance: Whether scores are probabilities, not log odds.
        weight: How often each row counts, shape (n,), 1 on the average; None is once.

    Raises:
        DataError: The labels are of one kind.
    """
    nothing, plain = np.zeros((2, 0)), uncalibrated(chance)
    if kind == "none":
        return plain
    positives = int(label.sum())
    if not 0 < positives < len(label):
        raise DataError(
            f"model.calibration: '{kind}' needs rows of 0 and of 1 in the window to calibrate by,"
            f" it has {len(label) - positives} and {positives}; take more protocol.calibrate_days."
        )
    if kind == "isotonic":
        return Calibrator(kind, np.zeros(0), _steps(score, label, weight), chance)
    odds = log_odds(score) if chance else score
    if kind == "platt":
        target = np.where(label == 1, (positives + 1) / (positives + 2), 1 / (len(label) - positives + 2))
        return Calibrator(kind, rising_fit(odds[:, None], target, weight), nothing, chance)
    return Calibrator(kind, rising_fit(_beta_inputs(odds), label, weight), nothing, chance)


def _beta_inputs(odds: np.ndarray) -> np.ndarray:
    held = np.clip(sigmoid(odds), EDGE, 1 - EDGE)
    return np.column_stack([np.log(held), -np.log1p(-held)])


def _steps(score: np.ndarray, label: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    from sklearn.isotonic import IsotonicRegression

    found = IsotonicRegression(out_of_bounds="clip", y_min=0.0, y_max=1.0).fit(score, label, sample_weight=weight)
    return np.stack([found.X_thresholds_, found.y_thresholds_])
