"""The isolation forest on normal departures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np

from hwds.core.recipe import PositiveInt, Small, Width
from hwds.core.serialization import Serializable
from hwds.sensors.context import SensorContext
from hwds.sensors.models.base import NormalRows, SensorModel


class IsolationForest(SensorModel):
    """The number of random cuts that set a row apart from normal ones (Liu, Ting and Zhou 2008): fewer are more anomalous.

    The score is 2 to the minus mean path length over that of a random binary tree. What a feature adds is by how much the score
    falls where it is put back to what it was when the run began.

    Attributes:
        trees: The number of trees.
        sample: Normal rows that each tree is grown on.

    Example:
        python -m hwds dataset=skab model=sensors/isolation_forest protocol=runs_in_time
    """

    search_space: ClassVar[Mapping[str, Any]] = {"sample": {"choice": [64, 128, 256, 512, 1024]}}

    trees: Annotated[Width, Small(20)] = 100
    sample: PositiveInt = 256

    def learn_normal(self, normal: NormalRows, context: SensorContext, part: int) -> Forest:
        """Grow the trees."""
        from sklearn.ensemble import IsolationForest as Isolation

        values = normal.departures[normal.rows].astype(np.float32)
        forest: Any = Isolation(
            n_estimators=self.trees,
            max_samples=min(self.sample, len(values)),
            random_state=context.seed_for("isolation forest", part),
            n_jobs=1,
        )
        return Forest.of(forest.fit(values), min(self.sample, len(values)))


@dataclass(frozen=True, eq=False)
class Forest(Serializable):
    """Grown trees as arrays, one tree after the other.

    Attributes:
        feature: That a node cuts, -1 of a leaf; shape (nodes,).
        cut: Values up to it go left.
        left: The node to the left, counted over all trees; `right` that to the right.
        right: See above.
        path: The path length of a leaf, that of a random tree of its rows added.
        roots: The first node of each tree.
        usual: The path length of a random tree of a sample.
    """

    feature: np.ndarray
    cut: np.ndarray
    left: np.ndarray
    right: np.ndarray
    path: np.ndarray
    roots: np.ndarray
    usual: float

    @classmethod
    def of(cls, forest: Any, sample: int) -> Forest:
        """Return the trees of scikit-learn's forest."""
        trees = [each.tree_ for each in forest.estimators_]
        roots = np.concatenate([[0], np.cumsum([tree.node_count for tree in trees])])[:-1]
        pairs = list(zip(trees, roots, strict=True))
        return cls(
            np.concatenate([tree.feature for tree in trees]).astype(np.int64),
            np.concatenate([tree.threshold for tree in trees]),
            np.concatenate([tree.children_left + root for tree, root in pairs]).astype(np.int64),
            np.concatenate([tree.children_right + root for tree, root in pairs]).astype(np.int64),
            np.concatenate([_depths(tree) + random_path(tree.n_node_samples) for tree in trees]),
            roots.astype(np.int64),
            float(random_path(np.array([sample]))[0]),
        )

    def statistics(self, departures: np.ndarray, begins: np.ndarray) -> np.ndarray:
        """Return the score of each row, shape (rows, 1)."""
        values = departures.astype(np.float32).astype(float)
        total = np.zeros(len(values))
        for root in self.roots.tolist():
            node = np.full(len(values), root)
            inner = np.flatnonzero(self.feature[node] >= 0)
            while len(inner):
                at = node[inner]
                goes_left = values[inner, self.feature[at]] <= self.cut[at]
                node[inner] = np.where(goes_left, self.left[at], self.right[at])
                inner = inner[self.feature[node[inner]] >= 0]
            total += self.path[node]
        return np.asarray(2.0 ** (-total / len(self.roots) / self.usual))[:, None]

    def parts(self, departures: np.ndarray, begins: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return by how much the score falls where a feature alone is as it was when the run began."""
        values = departures[rows]
        score = self.statistics(values, begins[rows])[:, 0]
        out = np.zeros(values.shape)
        for feature in range(values.shape[1]):
            back = values.copy()
            back[:, feature] = 0.0
            out[:, feature] = np.maximum(score - self.statistics(back, begins[rows])[:, 0], 0.0)
        return out


def random_path(rows: np.ndarray) -> np.ndarray:
    """Return the mean path length of an unsuccessful search in a random binary tree of so many rows (Liu et al. 2008)."""
    n = np.maximum(rows.astype(float), 2.0)
    long = 2.0 * (np.log(n - 1.0) + np.euler_gamma) - 2.0 * (n - 1.0) / n
    return np.where(rows <= 1, 0.0, np.where(rows == 2, 1.0, long))


def _depths(tree: Any) -> np.ndarray:
    """Return the depth of each node of a tree of scikit-learn, 0 of its root."""
    out = np.zeros(tree.node_count)
    for node in range(tree.node_count):  # a child stands behind its parent
        for child in (tree.children_left[node], tree.children_right[node]):
            if child >= 0:
                out[child] = out[node] + 1
    return out
