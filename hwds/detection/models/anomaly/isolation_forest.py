"""The isolation forest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy import ndarray

from hwds.core.recipe import PositiveInt, Small, Width
from hwds.core.serialization import Serializable
from hwds.detection.inputs import NumberColumns, single_precision
from hwds.detection.models.base import Contributions, Detector
from hwds.detection.rows import RowContext
from hwds.evaluation.trees import IsolationTrees, read_isolation_trees
from hwds.frames.table import RowReader, Table


class IsolationForest(Detector):
    """The number of random cuts that set a row apart from the normals (Liu, Ting and Zhou 2008):
    fewer are more anomalous.

    The score is the logarithm to base 2 of the paper's: minus the mean path length divided by the
    mean path length of a random binary tree. It orders rows as the paper's does, and path lengths
    add up over the inputs that are cut.

    Attributes:
        trees: The number of trees.
        sample: Normal rows that each tree is grown on.
    """

    imports = ("sklearn",)
    search_space: ClassVar = {"sample": {"choice": [64, 128, 256, 512, 1024]}}

    trees: Annotated[Width, Small(20)] = 200
    sample: PositiveInt = 256

    def learn(self, train: Table, *, stop: Table, context: RowContext) -> IsolationScorer:
        """Grow the trees; a missing number is the median."""
        from sklearn.ensemble import IsolationForest as Forest

        columns = NumberColumns.learn(train)
        matrix = columns.matrix(train)
        middle = np.array(
            [
                np.median(known) if len(known := column[np.isfinite(column)]) else 0.0
                for column in matrix.T
            ]
        )
        sample = min(self.sample, len(matrix))
        forest: Any = Forest(
            n_estimators=self.trees,
            max_samples=sample,
            random_state=context.seed_for("isolation forest"),
            n_jobs=1,
        )
        return IsolationScorer(
            columns,
            middle,
            read_isolation_trees(forest.fit(fill_medians(matrix, middle)).estimators_, sample),
        )


@dataclass(frozen=True, eq=False)
class IsolationScorer(Serializable):
    """Trees that rows are cut apart by.

    Attributes:
        columns: The inputs that the trees read.
        middle: The median of each column.
        trees: The cuts.
    """

    columns: NumberColumns
    middle: ndarray
    trees: IsolationTrees

    def score(self, rows: RowReader) -> ndarray:
        """Return minus the mean path length, in units of a random tree's."""
        return self.trees.score(fill_medians(self.columns.matrix(rows), self.middle))

    def explain(self, rows: RowReader) -> Contributions:
        """Return by how much each input's cuts changed the expected path length."""
        parts = self.trees.parts(fill_medians(self.columns.matrix(rows), self.middle))
        return Contributions(self.columns.names, self.trees.base, parts)


def fill_medians(matrix: ndarray, middle: ndarray) -> ndarray:
    """Return the matrix as scikit-learn's trees compare it: single precision, medians for missing
    numbers.
    """
    return single_precision(np.where(np.isnan(matrix), middle, matrix))
