"""A weighted mean of several classifiers' log odds, weighed on a window that none of them learned from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import MinLen
from pydantic import AfterValidator

from hwds.context import Context
from hwds.errors import DataError
from hwds.frames.table import Table
from hwds.models.anomaly.base import normal
from hwds.models.classify.base import Classifier, FittedClassifier, bare, says_chance
from hwds.models.classify.calibration import Calibrator, calibrator, uncalibrated
from hwds.models.classify.labels import both_kinds, halves, known, labels_of
from hwds.models.classify.stack_scorer import Member, StackScorer
from hwds.models.classify.stack_weights import best_weights, intercept_of, shrunk_weights
from hwds.models.forecast.stack import labelled
from hwds.recipe import Positive

Combine = Literal["shrunk", "equal", "best"]


def _plain(members: tuple[Classifier, ...]) -> tuple[Classifier, ...]:
    return tuple(bare(member, "stack") for member in members)


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

    Example:
        python -m hwds dataset=handbook_simulator model=classify/stack protocol=prequential
    """

    search_space: ClassVar[Mapping[str, Any]] = {
        "combine": {"choice": ["shrunk", "equal", "best"]},
        "pull": {"loguniform": [1.0, 100.0]},
    }

    members: Annotated[tuple[Classifier, ...], MinLen(2), AfterValidator(_plain)]
    combine: Combine = "shrunk"
    pull: Positive = 10.0

    def beside(self) -> tuple[Stack, ...]:
        """The equal mean and the best member, where weights are learned."""
        if self.combine != "shrunk":
            return ()
        names: dict[Combine, Any] = {kind: {"name": labelled(self.name, f"combine={kind}")} for kind in ("equal", "best")}
        return tuple(replace(self, combine=kind, **name) for kind, name in names.items())

    def asks_calibration(self) -> bool:
        """Always: members are weighed there."""
        return True

    def learn(self, train: Table, *, stop: Table, context: Context) -> StackScorer:
        """The equal mean of the members: what a stack inside of another model is.

        Raises:
            DataError: A member is a detector.
        """
        if any(not member.supervised for member in self.members):
            raise DataError(
                "model.members: a detector in a stack within another model has no window to be put on one scale by."
            )
        scorers = self._learned(train, stop, context)
        members = tuple(Member(scorer, uncalibrated(says_chance(scorer))) for scorer in scorers)
        return StackScorer(members, self._equal(), 0.0)

    def fit(self, train: Table, *, stop: Table, calibrate: Table, context: Context) -> FittedClassifier:
        """Members, then their weights, then what the weighted sum means: no rows are used twice.

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

    def _learned(self, train: Table, stop: Table, context: Context) -> list[Any]:
        """Detectors learn from normal rows alone."""
        plain, odd = (train, stop), (normal(train), normal(stop))
        given = [plain if member.supervised else odd for member in self.members]
        return [context.learned(member, own, late) for member, (own, late) in zip(self.members, given, strict=True)]

    def _weights(self, odds: np.ndarray, label: np.ndarray) -> np.ndarray:
        if self.combine == "equal":
            return self._equal()
        return best_weights(odds, label) if self.combine == "best" else shrunk_weights(odds, label, self.pull)

    def _equal(self) -> np.ndarray:
        return np.full(len(self.members), 1 / len(self.members))


def _scale(recipe: Classifier, scorer: Any, weigh: Table) -> Calibrator:
    """From a member's scores to log odds."""
    if recipe.supervised:
        return uncalibrated(says_chance(scorer))
    return calibrator("platt", scorer.score(weigh), labels_of(weigh))
