"""A classifier whose zeros are unlabelled rows, positives among them."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import numpy as np
import polars as pl
from annotated_types import Ge, Le
from pydantic import AfterValidator

from hwds.core.errors import DataError
from hwds.detection.models.base import Classifier, FittedClassifier, check_member
from hwds.detection.rows import RowContext, labels_of, split_halves, with_labels
from hwds.frames.table import Table

LEAST = 1e-6
"""The least chance of being found."""


def _check_learner(member: Classifier) -> Classifier:
    if not member.supervised:
        raise ValueError("must be a classifier that learns from labels")
    return check_member(member, "wrapper")


class PositiveUnlabelled(Classifier):
    """Corrects a classifier's probabilities for positives that were never looked for (Elkan and
    Noto 2008).

    Rows without a label are learned as 0, together with the rows that have label 0. If positives
    are found by chance alone, whatever they look like, what is learned is the probability of being
    positive times the chance of being found. That chance is the mean probability of found positives
    that were not learned from, and probabilities are divided by it. It is too low if positives look
    like others, and probabilities are then too high. If investigators choose by appearance, the
    method is not valid: use a random review stream and `label_propensity`. The model must be able
    to level off at that chance: trees do, a line in the log odds only with `calibration: isotonic`.
    The order of rows stays the member's.

    With `calibration`, the first half of the window calibrates the chance of a found positive, the
    second estimates the chance of being found; without, all of it does.

    Attributes:
        member: Any classifier that learns from labels.
        sensitivity: 1: it is what is estimated here.
    """

    member: Annotated[Classifier, AfterValidator(_check_learner)]
    sensitivity: Annotated[float, Ge(1), Le(1)] = 1.0

    def needs_calibration(self) -> bool:
        """Return True: confirmed positives are held out there."""
        return True

    def learn(self, train: Table, *, stop: Table, context: RowContext) -> Any:
        """Learn the member with label 0 for all rows that are not known to be 1."""
        return self.member.learn(_fill_labels(train), stop=_fill_labels(stop), context=context)

    def fit_windows(
        self, train: Table, *, stop: Table, calibrate: Table, context: RowContext
    ) -> FittedClassifier:
        """Learn which positives are found, and then which share of all positives is found.

        Raises:
            DataError: No positive is held out to tell it by.
        """
        scorer = self.learn(train, stop=stop, context=context)
        rows = _fill_labels(calibrate)
        first, second = split_halves(rows) if self.calibration != "none" else (rows, rows)
        plain = self.calibrated(scorer, first)
        positives = second.filter(labels_of(second) == 1)
        if positives.data.is_empty():
            raise DataError(
                "protocol.calibrate_days: 'positive_unlabelled' needs found positives that were "
                "not learned from,"
                f" the window has none in {len(second.data)} rows."
            )
        chance = float(plain.probability(scorer.score(positives)).mean())
        return FittedClassifier(
            scorer, replace(plain, sensitivity=max(chance, LEAST)), True, np.zeros(0)
        )


def _fill_labels(rows: Table) -> Table:
    """Return the rows with label 0 where there is none, whatever the chance that one was looked
    for.
    """
    labels = rows.column("label").cast(pl.Float64).fill_null(0.0)
    return replace(with_labels(rows, labels), roles=rows.roles.without("label_propensity"))
