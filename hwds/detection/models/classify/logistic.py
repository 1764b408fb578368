"""Logistic regression."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy import ndarray

from hwds.core.recipe import Positive
from hwds.core.serialization import Serializable
from hwds.detection.inputs import ModelInputs
from hwds.detection.models.base import Classifier, Contributions
from hwds.detection.rows import RowContext, labels_of, learnable
from hwds.frames.table import RowReader, Table


class Logistic(Classifier):
    """A line in the log odds, on standardised inputs with a ridge penalty.

    Numbers are standardised by the training window; what is missing there is its mean. Texts have
    one column a value.

    Attributes:
        strength: The weight of the data against the penalty (the inverse of its weight), as
            scikit-learn's `C`.
    """

    imports = ("sklearn",)
    search_space: ClassVar = {"strength": {"loguniform": [0.001, 1000.0]}}

    strength: Positive = 1.0

    def learn(self, train: Table, *, stop: Table, context: RowContext) -> LinearScorer:
        """Fit on the rows of known labels."""
        from sklearn.linear_model import LogisticRegression

        rows = learnable(train)
        inputs = ModelInputs.learn(rows)
        matrix = inputs.one_hot(rows)
        centre, spread = _moments(matrix)
        regression = LogisticRegression(C=self.strength, max_iter=1000).fit(
            _standard(matrix, centre, spread), labels_of(rows)
        )
        return LinearScorer(
            inputs, centre, spread, regression.coef_[0], float(regression.intercept_[0])
        )


@dataclass(frozen=True, eq=False)
class LinearScorer(Serializable):
    """A weighted sum of standardised inputs.

    Attributes:
        inputs: The inputs that are read.
        centre, spread: The mean and the standard deviation of each column in the training window:
            numbers, then one column for each coded value of each text.
        weights: The weights of each standardised column.
        base: The score of the mean row.
    """

    inputs: ModelInputs
    centre: ndarray
    spread: ndarray
    weights: ndarray
    base: float

    def score(self, rows: RowReader) -> ndarray:
        """Return the log odds."""
        return self.base + self._parts(rows).sum(axis=1)

    def explain(self, rows: RowReader) -> Contributions:
        """Return each input's part of the sum; that of a text is that of all its columns."""
        return Contributions(self.inputs.plain, self.base, self._parts(rows))

    def _parts(self, rows: RowReader) -> ndarray:
        k, codes = len(self.inputs.numbers), self.inputs.codes(rows)
        numbers = (
            _standard(self.inputs.matrix(rows), self.centre[:k], self.spread[:k]) * self.weights[:k]
        )
        return np.hstack(
            [numbers, *(parts[codes[:, [i]]] for i, parts in enumerate(self._by_code))]
        )

    @cached_property
    def _by_code(self) -> list[ndarray]:
        """The contribution of each text's columns to the sum, by code."""
        k, many = len(self.inputs.numbers), [len(known) for known in self.inputs.values]
        cuts = np.cumsum(many, dtype=int)[:-1]
        columns = (
            [np.split(part[k:], cuts) for part in (self.centre, self.spread, self.weights)]
            if many
            else [[], [], []]
        )
        return [
            (_standard(np.eye(len(weights) + 1, len(weights), -1), centre, spread) * weights).sum(
                axis=1
            )
            for centre, spread, weights in zip(*columns, strict=True)
        ]


def _moments(matrix: ndarray) -> tuple[ndarray, ndarray]:
    """Return mean and standard deviation of the known numbers.

    0 and 1 for a column without a number or with one value.
    """
    there = np.isfinite(matrix)
    n = np.maximum(there.sum(axis=0), 1)
    centre = np.where(there, matrix, 0.0).sum(axis=0) / n
    spread = np.sqrt((np.where(there, matrix - centre, 0.0) ** 2).sum(axis=0) / n)
    return centre, np.where(spread > 0, spread, 1.0)


def _standard(matrix: ndarray, centre: ndarray, spread: ndarray) -> ndarray:
    """Return standardised columns; a missing number is the mean."""
    return np.nan_to_num((matrix - centre) / spread)
