"""The robust z-score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwds.core.recipe import PositiveInt
from hwds.core.serialization import Serializable
from hwds.detection.inputs import ColumnScaling, NumberColumns
from hwds.detection.models.base import Contributions, Detector
from hwds.detection.rows import RowContext
from hwds.frames.table import RowReader, Table

FARTHEST = 1e6
"""Deviations at which an input is cut."""


class RobustZ(Detector):
    """The distance of a row from the median of the normals in robust standard deviations, in the
    inputs where it is largest.

    Median and median absolute deviation are those of the training normals, after a logarithm where
    an input is skewed. The score is the root mean square of the largest deviations; what is missing
    deviates by nothing.

    Attributes:
        top: Inputs, those with the largest deviations, that count; 1 takes the largest alone.
    """

    search_space: ClassVar = {"top": {"randint": [1, 9]}}

    top: PositiveInt = 2

    def learn(self, train: Table, *, stop: Table, context: RowContext) -> DeviationScorer:
        """Learn the median and the deviation of each input."""
        columns = NumberColumns.learn(train)
        scaling = ColumnScaling.learn(columns.matrix(train), "robust", least=columns.least_spread)
        return DeviationScorer(columns, scaling, self.top)


@dataclass(frozen=True, eq=False)
class DeviationScorer(Serializable):
    """The largest deviations of a row.

    Attributes:
        columns: The inputs that are read.
        scaling: Medians and deviations.
        top: The number of deviations that count.
    """

    columns: NumberColumns
    scaling: ColumnScaling
    top: int

    def score(self, rows: RowReader) -> np.ndarray:
        """Return the root mean square of the largest deviations."""
        return np.sqrt(self._squares(rows).sum(axis=1))

    def explain(self, rows: RowReader) -> Contributions:
        """Return the score shared out as the squares of the deviations are."""
        squares = self._squares(rows)
        score = np.sqrt(squares.sum(axis=1))
        return Contributions(self.columns.names, 0.0, squares / np.maximum(score, 1e-300)[:, None])

    def _squares(self, rows: RowReader) -> np.ndarray:
        """Squared deviations over `top`, of the largest ones alone, shape (n, k)."""
        squares = np.nan_to_num(self.scaling.of(self.columns.matrix(rows), FARTHEST)) ** 2
        top = min(self.top, squares.shape[1])
        rest = np.argsort(-squares, axis=1, kind="stable")[:, top:]
        np.put_along_axis(squares, rest, 0.0, axis=1)
        return squares / top
