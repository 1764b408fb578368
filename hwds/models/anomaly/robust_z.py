"""The robust z-score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hwds.context import Context
from hwds.frames.table import Table
from hwds.models.anomaly.base import Detector
from hwds.models.anomaly.columns import Columns
from hwds.models.classify.base import Contributions
from hwds.models.classify.scaling import Scaling
from hwds.recipe import Count
from hwds.stored import Stored

FARTHEST = 1e6
"""Deviations beyond which an input is no odder still."""


class RobustZ(Detector):
    """How many robust standard deviations a row lies off the median of the normals, in the inputs where it is the most.

    Median and median absolute deviation are those of the training normals, after a logarithm where an input is skewed. The
    score is the root mean square of the largest deviations; what is missing deviates by nothing.

    Attributes:
        top: Inputs, those with the largest deviations, that count; 1 takes the largest alone.

    Example:
        python -m hwds dataset=fraud_handbook model=anomaly/robust_z protocol=prequential_handbook
    """

    search_space: ClassVar[Mapping[str, Any]] = {"top": {"randint": [1, 9]}}

    top: Count = 2

    def learn(self, train: Table, *, stop: Table, context: Context) -> DeviationScorer:
        """Median and deviation of each input."""
        columns = Columns.learn(train)
        scaling = Scaling.learn(columns.matrix(train), "robust", least=columns.least_spread)
        return DeviationScorer(columns, scaling, self.top)


@dataclass(frozen=True, eq=False)
class DeviationScorer(Stored):
    """The largest deviations of a row.

    Attributes:
        columns: What it reads.
        scaling: Medians and deviations.
        top: How many deviations count.
    """

    columns: Columns
    scaling: Scaling
    top: int

    def score(self, rows: Table) -> np.ndarray:
        """The root mean square of the largest deviations."""
        return np.sqrt(self._squares(rows).sum(axis=1))

    def explain(self, rows: Table) -> Contributions:
        """The score shared out as the squares of the deviations are."""
        squares = self._squares(rows)
        score = np.sqrt(squares.sum(axis=1))
        return Contributions(self.columns.names, 0.0, squares / np.maximum(score, 1e-300)[:, None])

    def _squares(self, rows: Table) -> np.ndarray:
        """Squared deviations over `top`, of the largest ones alone, shape (n, k)."""
        squares = np.nan_to_num(self.scaling.of(self.columns.matrix(rows), FARTHEST)) ** 2
        top = min(self.top, squares.shape[1])
        rest = np.argsort(-squares, axis=1, kind="stable")[:, top:]
        np.put_along_axis(squares, rest, 0.0, axis=1)
        return squares / top
