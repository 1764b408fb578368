"""The isolation forest on normal departures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy import ndarray

from hwds.core.recipe import PositiveInt, Small, Width
from hwds.core.serialization import Serializable
from hwds.evaluation.trees import IsolationTrees, read_isolation_trees
from hwds.sensors.models.base import NormalRows, SensorContext, SensorModel


class IsolationForest(SensorModel):
    """The number of random cuts that set a row apart from normal ones (Liu, Ting and Zhou 2008):
    fewer are more anomalous.

    The score is 2 to the power of minus the mean path length, divided by the mean path length of a
    random binary tree. A feature's contribution is the fall of the score if the feature is set back
    to its value at the run's beginning.

    Attributes:
        trees: The number of trees.
        sample: Normal rows that each tree is grown on.
    """

    imports = ("sklearn",)
    search_space: ClassVar = {"sample": {"choice": [64, 128, 256, 512, 1024]}}

    trees: Annotated[Width, Small(20)] = 100
    sample: PositiveInt = 256

    def learn_normal(self, normal: NormalRows, context: SensorContext, part: int) -> Forest:
        """Grow the trees."""
        from sklearn.ensemble import IsolationForest as Isolation

        values = normal.departures[normal.rows].astype(np.float32)
        sample = min(self.sample, len(values))
        forest: Any = Isolation(
            n_estimators=self.trees,
            max_samples=sample,
            random_state=context.seed_for("isolation forest", part),
            n_jobs=1,
        )
        return Forest(read_isolation_trees(forest.fit(values).estimators_, sample))


@dataclass(frozen=True, eq=False)
class Forest(Serializable):
    """Grown trees.

    Attributes:
        trees: Their cuts.
    """

    trees: IsolationTrees

    past = 0

    def statistics(self, departures: ndarray, begins: ndarray) -> ndarray:
        """Return the score of each row, shape (rows, 1)."""
        values = departures.astype(np.float32).astype(float)  # as scikit-learn's trees compare them
        return (2.0 ** self.trees.score(values))[:, None]

    def parts(self, departures: ndarray, begins: ndarray, rows: ndarray) -> ndarray:
        """Return by how much the score falls where a feature alone is as it was when the run
        began.
        """
        values = departures[rows]
        score = self.statistics(values, begins[rows])[:, 0]
        out = np.zeros(values.shape)
        for feature in range(values.shape[1]):
            back = values.copy()
            back[:, feature] = 0.0
            out[:, feature] = np.maximum(score - self.statistics(back, begins[rows])[:, 0], 0.0)
        return out
