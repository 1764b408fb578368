"""Metrics of scores that order rows of a rare binary label: average precision, the ROC, precision and recall at a point."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

CLOSE = 1 - 1e-12
"""Sums of weights differ in their last bits: a recall that is asked for counts as reached from here on."""


@dataclass(frozen=True, eq=False)
class Curves:
    """Sums of weights at every threshold where there is a row of label 1, from the highest on: all that the metrics need.

    Attributes:
        hits: Of rows with label 1 at or above the threshold, shape (weightings, thresholds); the last is all of them.
        misses: Of rows with label 0 at or above it.
        above: Of rows with label 0 above it.
        total: Of all rows with label 0, shape (weightings,).
    """

    hits: np.ndarray
    misses: np.ndarray
    above: np.ndarray
    total: np.ndarray

    @cached_property
    def positive(self) -> np.ndarray:
        """The weight of all rows of label 1, NaN where they have none, shape (weightings,)."""
        if not self.hits.shape[1]:
            return np.full(len(self.hits), np.nan)
        return np.where(self.hits[:, -1] > 0, self.hits[:, -1], np.nan)

    @cached_property
    def gained(self) -> np.ndarray:
        """The weight of the rows of label 1 at each threshold."""
        return np.diff(self.hits, prepend=0.0, axis=1)

    @cached_property
    def precision(self) -> np.ndarray:
        """The share of label 1 at or above each threshold, 0 where no weight lies there."""
        flagged = self.hits + self.misses
        return np.divide(self.hits, flagged, out=np.zeros(flagged.shape), where=flagged > 0)

    @property
    def average_precision(self) -> np.ndarray:
        """The sum over thresholds of precision times the recall gained there; NaN without label 1."""
        return np.einsum("ij,ij->i", self.gained, self.precision) / self.positive

    @property
    def auroc(self) -> np.ndarray:
        """The chance that a row of label 1 has a higher score than one of label 0, ties half; NaN with one class."""
        below = self.total[:, None] - (self.misses + self.above) / 2
        total = np.where(self.total > 0, self.total, np.nan)
        return np.einsum("ij,ij->i", self.gained, below) / (self.positive * total)

    def precision_at_recall(self, recall: float) -> np.ndarray:
        """Return the highest precision among thresholds whose recall is at least so much; NaN without label 1."""
        reached = self.hits >= CLOSE * recall * np.nan_to_num(self.positive)[:, None]
        best = np.where(reached, self.precision, 0.0).max(axis=1, initial=0.0)
        return np.where(np.isnan(self.positive), np.nan, best)

    def recall_at_precision(self, precision: float) -> np.ndarray:
        """Return the highest recall among thresholds of at least a precision, 0 where none is; NaN without label 1."""
        return np.where(self.precision >= CLOSE * precision, self.hits, 0.0).max(axis=1, initial=0.0) / self.positive


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

    @cached_property
    def _sorted(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Rows of either label from the highest on, and how many of them are at or above each of their places."""
        ordered = (
            rows[np.argsort(at, kind="stable")] for rows, at in ((self.positives, self.level), (self.negatives, self.place))
        )
        positives, negatives = ordered
        hits, misses = np.bincount(self.level, minlength=self.levels), np.bincount(self.place, minlength=2 * self.levels + 1)
        return positives, np.cumsum(hits), negatives, np.cumsum(misses)

    def curves(self, weight: np.ndarray) -> Curves:
        """Return the sums at each threshold under weightings of the rows, in their order, shape (weightings, n)."""
        positives, at_level, negatives, at_place = self._sorted
        hits = np.cumsum(group_sums(weight[:, positives], at_level), axis=1)
        misses = np.cumsum(group_sums(weight[:, negatives], at_place), axis=1)
        return Curves(hits, misses[:, 1::2], misses[:, :-1:2], misses[:, -1])


def group_sums(values: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return the sums of neighbouring columns, shape (rows, groups).

    Args:
        values: Shape (rows, columns).
        ends: Where each group ends, the last at the number of columns; a group may be empty.
    """
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
    filled = ends > starts
    sums = np.zeros((len(values), len(ends)))
    if filled.any():
        sums[:, filled] = np.add.reduceat(values, starts[filled], axis=1)
    return sums


def average_precision(label: np.ndarray, score: np.ndarray) -> float:
    """Return the area under precision against recall: the mean over positives of the precision at the score of each.

    Rows of one score count together. As scikit-learn's `average_precision_score`.

    Args:
        label: 1.0 or 0.0, shape (n,).
        score: The higher the more suspicious, shape (n,).
    """
    return float(Ranking.of(label, score).curves(np.ones((1, len(label)))).average_precision[0])
