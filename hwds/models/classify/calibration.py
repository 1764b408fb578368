"""From scores to probabilities: a line in the log odds, the beta map, or a rising step function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hwds.stored import Stored

Kind = Literal["none", "platt", "beta", "isotonic"]

EDGE = 1e-7
"""Probabilities are held this far from 0 and 1, where their log odds are infinite."""


@dataclass(frozen=True, eq=False)
class Calibrator(Stored):
    """A rising map from scores (log odds) to probabilities.

    Attributes:
        kind: Which.
        told: Its numbers: of `platt` slope and intercept; of `beta` those of log p, -log(1 - p) and 1; of `isotonic`
            none.
        knots: Scores and their probabilities between which `isotonic` goes in straight lines, shape (2, knots).
    """

    kind: Kind
    told: np.ndarray
    knots: np.ndarray

    def probability(self, score: np.ndarray) -> np.ndarray:
        """Of the label being 1, shape (n,)."""
        if self.kind == "isotonic":
            return np.interp(score, self.knots[0], self.knots[1])
        if self.kind == "platt":
            return sigmoid(self.told[0] * score + self.told[1])
        plain = sigmoid(score)
        if self.kind == "none":
            return plain
        held = np.clip(plain, EDGE, 1 - EDGE)
        return sigmoid(self.told[0] * np.log(held) - self.told[1] * np.log1p(-held) + self.told[2])


def calibrator(kind: Kind, score: Any = None, label: Any = None) -> Calibrator:
    """The map that fits the labels best (`none` needs none).

    Args:
        kind: Which map.
        score: Log odds, shape (n,).
        label: 1.0 or 0.0, shape (n,).
    """
    nothing = np.zeros((2, 0))
    if kind == "none":
        return Calibrator(kind, np.zeros(0), nothing)
    raise NotImplementedError(kind)


def sigmoid(odds: np.ndarray) -> np.ndarray:
    """The probability of log odds."""
    return 0.5 * (1 + np.tanh(0.5 * odds))
