"""A weighted mean of classifiers' log odds, weighed on a window that none of them learned from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import MinLen
from numpy import ndarray
from pydantic import AfterValidator

from hwds.core.errors import DataError
from hwds.core.recipe import Positive, label_with
from hwds.core.serialization import Serializable
from hwds.detection.models.base import (
    Classifier,
    Contributions,
    FittedClassifier,
    check_member,
    normal_rows,
    scores_are_probabilities,
)
from hwds.detection.rows import RowContext, both_kinds, labelled_rows, labels_of, split_halves
from hwds.detection.rules import Rule
from hwds.frames.table import RowReader, Table
from hwds.stats.binary_labels import (
    Calibrator,
    cross_entropy,
    fit_calibrator,
    identity_calibrator,
    logit_fit,
)
from hwds.stats.distributions import sigmoid
from hwds.stats.estimates import least_on_simplex

# Weights of classifiers from their log odds on rows with labels.


def shrunk_weights(odds: ndarray, label: ndarray, pull: float) -> ndarray:
    """Return weights of least log loss, at least 0 and of sum 1, shrunk to equal ones.

    The loss is the sum over rows, with an intercept of its own, and `pull` times the squared
    distance from equal weights.

    Args:
        odds: Shape (n, members).
        label: 1.0 or 0.0, of both kinds, shape (n,).
        pull: The strength of the shrinkage, more than 0.
    """
    n, k = odds.shape
    equal = np.full(k, 1 / k)

    def loss(x: ndarray) -> tuple[float, ndarray]:
        weights, off = x[:-1], x[:-1] - equal
        total = odds @ weights + x[-1]
        slope = sigmoid(total) - label
        value = cross_entropy(total, label) + pull * float(off @ off)
        return value / n, np.append(odds.T @ slope + 2 * pull * off, slope.sum()) / n

    weights, _ = least_on_simplex(loss, k, [intercept_of(odds @ equal, label)])
    return weights


def best_classifier_weights(odds: ndarray, label: ndarray) -> ndarray:
    """Return all weight on the member of least log loss, each with an intercept of its own."""
    losses = [cross_entropy(column + intercept_of(column, label), label) for column in odds.T]
    return np.eye(odds.shape[1])[int(np.argmin(losses))]


def intercept_of(odds: ndarray, label: ndarray) -> float:
    """Return the shift of log odds under which as many positives are expected as there are."""
    return float(logit_fit(np.zeros((len(odds), 0)), label, odds)[0])


# The fitted stack of classifiers.

NEAR = 1e-9
"""Scores that are nearer than this are at one place of a curve."""


@dataclass(frozen=True, eq=False)
class StackMember(Serializable):
    """A scorer, and the map from its scores to log odds.

    Attributes:
        scorer: The scorer, which orders rows.
        scale: The map from scores to log odds.
    """

    scorer: Any
    scale: Calibrator

    def odds(self, rows: RowReader) -> ndarray:
        """Return log odds, shape (n,)."""
        return self.scale.odds(self.scorer.score(rows))

    def explain(self, rows: RowReader) -> Contributions:
        """Return the contribution of each input to the log odds.

        Where these are no line in the score, its inputs' parts are stretched alike, so that they
        add up (the rescale rule of Shrikumar, Greenside and Kundaje 2017).
        """
        raw: Contributions = self.scorer.explain(rows)
        score = raw.base + raw.values.sum(axis=1)
        base, nearby = self.scale.odds(np.array([raw.base, raw.base + NEAR]))
        far = np.abs(score - raw.base) > NEAR
        moved = np.where(far, score - raw.base, NEAR)
        stretch = np.where(far, self.scale.odds(score) - base, nearby - base) / moved
        return replace(raw, base=float(base), values=raw.values * stretch[:, None])


@dataclass(frozen=True, eq=False)
class StackScorer(Serializable):
    """Members and their weights.

    Attributes:
        members: The members in the order of the weights.
        weights: The weights, at least 0 and of sum 1.
        shift: Added to the weighted sum.
    """

    members: tuple[StackMember, ...]
    weights: ndarray
    shift: float

    def score(self, rows: RowReader) -> ndarray:
        """Return the weighted sum of log odds."""
        total = np.full(rows.height, self.shift)
        for member, weight in self._weighted_members():
            total = total + weight * member.odds(rows)
        return total

    def explain(self, rows: RowReader) -> Contributions:
        """Return the weighted sum of the contributions of the members' inputs, by the name of the
        input.
        """
        base, parts, records = self.shift, dict[str, ndarray](), dict[str, str]()
        for member, weight in self._weighted_members():
            contributions = member.explain(rows)
            base += weight * contributions.base
            records |= contributions.records
            for name, values in zip(contributions.names, contributions.values.T, strict=True):
                parts[name] = parts.get(name, 0.0) + weight * values
        values = np.column_stack(list(parts.values())) if parts else np.zeros((rows.height, 0))
        return Contributions(tuple(parts), base, values, records)

    def _weighted_members(self) -> list[tuple[StackMember, float]]:
        """Return the members of a positive weight."""
        return [
            pair for pair in zip(self.members, self.weights.tolist(), strict=True) if pair[1] > 0
        ]


# A weighted mean of several classifiers' log odds, weighed on a window that none of them
# learned from.

Combine = Literal["shrunk", "equal", "best"]


def _check_members(members: tuple[Classifier, ...]) -> tuple[Classifier, ...]:
    return tuple(check_member(member, "stack") for member in members)


class Stack(Classifier):
    """Combine classifiers: their log odds are averaged with weights learned on a later window.

    Members learn from the training window and stop by the stopping window. The earlier half of the
    calibration window gives the weights, by logistic regression with weights of at least 0 and sum
    1, shrunk to equal weights (a few positives cannot tell more). The later half calibrates the
    sum. Without `calibration` all of it weighs. Other scores become log odds first: a forest's mean
    by itself, a detector's score by a line that is fitted on the rows for the weights. The equal
    mean and the best single member are always scored, too.

    Attributes:
        members: Classifiers or detectors, at least two, without calibration of their own.
        combine: `shrunk`, `equal`, or the `best` member (of least log loss on the rows that weigh).
        pull: How strongly weights are drawn to equal ones: so much log loss for a squared distance
            of 1 from them. With many positives it matters little.
    """

    search_space: ClassVar = {
        "combine": {"choice": ["shrunk", "equal", "best"]},
        "pull": {"loguniform": [1.0, 100.0]},
    }

    members: Annotated[tuple[Classifier, ...], MinLen(2), AfterValidator(_check_members)]
    combine: Combine = "shrunk"
    pull: Positive = 10.0

    def companions(self) -> tuple[Stack, ...]:
        """Return the equal mean and the best member, where weights are learned."""
        if self.combine != "shrunk":
            return ()
        names: dict[Combine, Any] = {
            kind: {"name": label_with(self.name, f"combine={kind}")} for kind in ("equal", "best")
        }
        return tuple(replace(self, combine=kind, **name) for kind, name in names.items())

    @property
    def written_rules(self) -> tuple[Rule, ...]:
        """The rules of its members."""
        return tuple(rule for member in self.members for rule in member.written_rules)

    def needs_calibration(self) -> bool:
        """Return True: members are weighted there."""
        return True

    def learn(self, train: Table, *, stop: Table, context: RowContext) -> StackScorer:
        """Learn the equal mean of the members, which is what a stack inside of another model is.

        Raises:
            DataError: A member is a detector.
        """
        if any(not member.supervised for member in self.members):
            raise DataError(
                "model.members: a detector in a stack within another model has no window to be "
                "put on one scale by."
            )
        scorers = self._learn_members(train, stop, context)
        members = tuple(
            StackMember(scorer, identity_calibrator(scores_are_probabilities(scorer)))
            for scorer in scorers
        )
        return StackScorer(members, self._equal_weights(), 0.0)

    def fit_windows(
        self, train: Table, *, stop: Table, calibrate: Table, context: RowContext
    ) -> FittedClassifier:
        """Fit the members, then their weights, then the calibration of the weighted sum: no rows
        are used twice.

        Raises:
            DataError: The calibration window has not labels of both kinds, in each half that is
                asked.
        """
        weigh, rest = (
            split_halves(labelled_rows(calibrate))
            if self.calibration != "none"
            else (labelled_rows(calibrate), calibrate)
        )
        if not both_kinds(weigh):
            raise DataError(
                f"protocol.calibrate_days: a stack is weighed by rows of 0 and of 1 in the "
                f"{len(weigh.data)} of that window"
                " that are not for calibration, and they are of one kind; take more days."
            )
        members = tuple(
            StackMember(scorer, _scale(recipe, scorer, weigh))
            for recipe, scorer in zip(
                self.members, self._learn_members(train, stop, context), strict=True
            )
        )
        odds, label = np.column_stack([member.odds(weigh) for member in members]), labels_of(weigh)
        weights = self._weights(odds, label)
        scorer = StackScorer(members, weights, intercept_of(odds @ weights, label))
        return FittedClassifier(scorer, self.calibrated(scorer, rest), True, np.zeros(0))

    def _learn_members(self, train: Table, stop: Table, context: RowContext) -> list[Any]:
        """Learn the members, detectors from normal rows alone."""
        plain, odd = (train, stop), (normal_rows(train), normal_rows(stop))
        given = [plain if member.supervised else odd for member in self.members]
        return [
            context.learned(member, rows, late)
            for member, (rows, late) in zip(self.members, given, strict=True)
        ]

    def _weights(self, odds: ndarray, label: ndarray) -> ndarray:
        if self.combine == "equal":
            return self._equal_weights()
        return (
            best_classifier_weights(odds, label)
            if self.combine == "best"
            else shrunk_weights(odds, label, self.pull)
        )

    def _equal_weights(self) -> ndarray:
        return np.full(len(self.members), 1 / len(self.members))


def _scale(recipe: Classifier, scorer: Any, weigh: Table) -> Calibrator:
    """Return the map from a member's scores to log odds."""
    if recipe.supervised:
        return identity_calibrator(scores_are_probabilities(scorer))
    return fit_calibrator("platt", scorer.score(weigh), labels_of(weigh))
