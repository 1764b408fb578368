"""Metrics of scores that order rows of a rare binary label: average precision, the ROC, precision and recall at a point."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

CLOSE = 1 - 1e-12
"""Sums of weights differ in their last bits: a recall that is asked for counts as reached from here on."""


@dataclass(frozen=True, eq=False)
class Curve:
    """Sums of weights at every threshold where there is a row of label 1, from the highest on: all that the metrics need.

    Attributes:
        hits: Of rows with label 1 at or above the threshold, shape (thresholds,); the last is all of them.
        misses: Of rows with label 0 at or above it.
        above: Of rows with label 0 above it.
        total: Of all rows with label 0.
    """

    hits: np.ndarray
    misses: np.ndarray
    above: np.ndarray
    total: float

    @property
    def empty(self) -> bool:
        """True where no row of label 1 has any weight."""
        return not len(self.hits) or not self.hits[-1] > 0

    @cached_property
    def precision(self) -> np.ndarray:
        """The share of label 1 at or above each threshold, 0 where no weight lies there."""
        flagged = self.hits + self.misses
        return np.divide(self.hits, flagged, out=np.zeros(len(flagged)), where=flagged > 0)

    @property
    def average_precision(self) -> float:
        """The sum over thresholds of precision times the recall gained there; NaN without label 1."""
        return np.nan if self.empty else float(np.diff(self.hits, prepend=0.0) @ self.precision / self.hits[-1])

    @property
    def auroc(self) -> float:
        """The chance that a row of label 1 has a higher score than one of label 0, ties half; NaN with one class."""
        if self.empty or not self.total > 0:
            return np.nan
        below = self.total - (self.misses + self.above) / 2
        return float(np.diff(self.hits, prepend=0.0) @ below / (self.hits[-1] * self.total))

    def precision_at_recall(self, recall: float) -> float:
        """Return the highest precision among thresholds whose recall is at least so much; NaN without label 1."""
        return np.nan if self.empty else float(self.precision[self.hits >= CLOSE * recall * self.hits[-1]].max())

    def recall_at_precision(self, precision: float) -> float:
        """Return the highest recall among thresholds of at least a precision, 0 where none is; NaN without label 1."""
        if self.empty:
            return np.nan
        return float(self.hits[self.precision >= CLOSE * precision].max(initial=0.0) / self.hits[-1])


@dataclass(frozen=True, eq=False)
class Ranking:
    """Rows by the thresholds that they lie at or between, put in order once for any number of weightings.

    Only scores of rows with label 1 are thresholds: between two of them recall stands still and precision falls.

    Attributes:
        positives, negatives: The rows of each label.
        level: Of each positive row its threshold, 0 for the highest.
        place: Of each negative row 2t + 1 where it ties with threshold t, 2t where it lies right above.
        levels: How many thresholds there are.
    """

    positives: np.ndarray
    negatives: np.ndarray
    level: np.ndarray
    place: np.ndarray
    levels: int

    @classmethod
    def of(cls, label: np.ndarray, score: np.ndarray) -> Self:
        """Return the ranking of rows by their scores, shape (n,) each."""
        positives, negatives = np.flatnonzero(label > 0), np.flatnonzero(label <= 0)
        thresholds, level = np.unique(-score[positives], return_inverse=True)
        between = np.searchsorted(thresholds, -score[negatives], side="left")
        tied = between < len(thresholds)
        tied[tied] = thresholds[between[tied]] == -score[negatives][tied]
        return cls(positives, negatives, level, 2 * between + tied, len(thresholds))

    def curve(self, weight: np.ndarray) -> Curve:
        """Return the sums at each threshold under a weight for each row, in the order of the rows."""
        hits = np.cumsum(np.bincount(self.level, weight[self.positives], minlength=self.levels))
        misses = np.cumsum(np.bincount(self.place, weight[self.negatives], minlength=2 * self.levels + 1))
        return Curve(hits, misses[1::2], misses[:-1:2], float(misses[-1]))


def average_precision(label: np.ndarray, score: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Return the area under precision against recall: the mean over positives of the precision at the score of each.

    Rows of one score count together. As scikit-learn's `average_precision_score`.

    Args:
        label: 1.0 or 0.0, shape (n,).
        score: The higher the more suspicious, shape (n,).
        weight: How many rows each stands for, 1 where None.
    """
    return _curve(label, score, weight).average_precision


def auroc(label: np.ndarray, score: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Return the area under the ROC: the chance that a positive row has a higher score than a negative one, ties half.

    Args:
        label: 1.0 or 0.0, shape (n,).
        score: The higher the more suspicious, shape (n,).
        weight: How many rows each stands for, 1 where None.
    """
    return _curve(label, score, weight).auroc


def precision_at_recall(label: np.ndarray, score: np.ndarray, recall: float, weight: np.ndarray | None = None) -> float:
    """Return the highest precision of a threshold that reaches a recall; see `average_precision` for the arguments."""
    return _curve(label, score, weight).precision_at_recall(recall)


def recall_at_precision(label: np.ndarray, score: np.ndarray, precision: float, weight: np.ndarray | None = None) -> float:
    """Return the highest recall of a threshold that holds a precision, 0 where none does; see `average_precision`."""
    return _curve(label, score, weight).recall_at_precision(precision)


def _curve(label: np.ndarray, score: np.ndarray, weight: np.ndarray | None) -> Curve:
    return Ranking.of(label, score).curve(weights_of(label, weight))


def weights_of(label: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Return how many rows each row stands for: 1 where no weights are given, shape (n,)."""
    return np.ones(len(label)) if weight is None else weight
