"""A weighted mean of several classifiers' log odds, weighed on a window that none of them learned from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import MinLen
from pydantic import AfterValidator

from hwds.core.errors import DataError
from hwds.core.recipe import Positive, labelled
from hwds.detection.context import RowContext
from hwds.detection.models.anomaly.base import normal
from hwds.detection.models.calibration.calibrators import Calibrator, calibrator, uncalibrated
from hwds.detection.models.classify.base import Classifier, FittedClassifier, plain_member, scores_are_probabilities
from hwds.detection.models.inputs.labels import both_kinds, halves, known, labels_of
from hwds.detection.models.rules.conditions import Rule
from hwds.detection.models.stacking.scorer import Member, StackScorer
from hwds.detection.models.stacking.weights import best_weights, intercept_of, shrunk_weights
from hwds.frames.table import Table

Combine = Literal["shrunk", "equal", "best"]


def _plain(members: tuple[Classifier, ...]) -> tuple[Classifier, ...]:
    return tuple(plain_member(member, "stack") for member in members)


class Stack(Classifier):
    """Combine classifiers: their log odds are averaged with weights learned on a later window.

    Members learn from the training window and stop by the stopping window. Of the calibration window the earlier half weighs
    them, by logistic regression with weights that are at least 0 and sum to 1, drawn to equal ones (a few positives cannot tell
    more); the later half calibrates the sum. Without `calibration` all of it weighs. What is no log odds becomes them first: a
    forest's mean by itself, a detector's score by a line that is fitted on the rows that weigh. The equal mean and the best
    member alone are always scored beside it.

    Attributes:
        members: Classifiers or detectors, at least two, without calibration of their own.
        combine: `shrunk`, `equal`, or the `best` member (of least log loss on the rows that weigh).
        pull: How strongly weights are drawn to equal ones: so much log loss for a squared distance of 1 from them. Where there
            are many positives it matters little.
    """

    search_space: ClassVar[Mapping[str, Any]] = {
        "combine": {"choice": ["shrunk", "equal", "best"]},
        "pull": {"loguniform": [1.0, 100.0]},
    }

    members: Annotated[tuple[Classifier, ...], MinLen(2), AfterValidator(_plain)]
    combine: Combine = "shrunk"
    pull: Positive = 10.0

    def companions(self) -> tuple[Stack, ...]:
        """Return the equal mean and the best member, where weights are learned."""
        if self.combine != "shrunk":
            return ()
        names: dict[Combine, Any] = {kind: {"name": labelled(self.name, f"combine={kind}")} for kind in ("equal", "best")}
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
                "model.members: a detector in a stack within another model has no window to be put on one scale by."
            )
        scorers = self._learned(train, stop, context)
        members = tuple(Member(scorer, uncalibrated(scores_are_probabilities(scorer))) for scorer in scorers)
        return StackScorer(members, self._equal(), 0.0)

    def fit_windows(self, train: Table, *, stop: Table, calibrate: Table, context: RowContext) -> FittedClassifier:
        """Fit the members, then their weights, then the calibration of the weighted sum: no rows are used twice.

        Raises:
            DataError: The calibration window has not labels of both kinds, in each half that is asked.
        """
        weigh, rest = halves(known(calibrate)) if self.calibration != "none" else (known(calibrate), calibrate)
        if not both_kinds(weigh):
            raise DataError(
                f"protocol.calibrate_days: a stack is weighed by rows of 0 and of 1 in the {len(weigh.data)} of that window"
                " that are not for calibration, and they are of one kind; take more days."
            )
        members = tuple(
            Member(scorer, _scale(recipe, scorer, weigh))
            for recipe, scorer in zip(self.members, self._learned(train, stop, context), strict=True)
        )
        odds, label = np.column_stack([member.odds(weigh) for member in members]), labels_of(weigh)
        weights = self._weights(odds, label)
        scorer = StackScorer(members, weights, intercept_of(odds @ weights, label))
        return FittedClassifier(scorer, self.calibrated(scorer, rest), True, np.zeros(0))

    def _learned(self, train: Table, stop: Table, context: RowContext) -> list[Any]:
        """Learn the members, detectors from normal rows alone."""
        plain, odd = (train, stop), (normal(train), normal(stop))
        given = [plain if member.supervised else odd for member in self.members]
        return [context.learned(member, rows, late) for member, (rows, late) in zip(self.members, given, strict=True)]

    def _weights(self, odds: np.ndarray, label: np.ndarray) -> np.ndarray:
        if self.combine == "equal":
            return self._equal()
        return best_weights(odds, label) if self.combine == "best" else shrunk_weights(odds, label, self.pull)

    def _equal(self) -> np.ndarray:
        return np.full(len(self.members), 1 / len(self.members))


def _scale(recipe: Classifier, scorer: Any, weigh: Table) -> Calibrator:
    """Return the map from a member's scores to log odds."""
    if recipe.supervised:
        return uncalibrated(scores_are_probabilities(scorer))
    return calibrator("platt", scorer.score(weigh), labels_of(weigh))
