"""A forest as arrays of nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hwds.core.numba_cache import compiled
from hwds.core.serialization import Serializable
from hwds.detection.models.classify.base import Contributions
from hwds.detection.models.inputs.matrix import Inputs, single
from hwds.detection.models.trees.forest_kernel import Nodes, walk
from hwds.frames.base import RowReader


@dataclass(frozen=True, eq=False)
class ForestScorer(Serializable):
    """A forest that scores rows.

    Attributes:
        inputs: What it reads.
        nodes: The nodes of all trees.
    """

    inputs: Inputs
    nodes: Nodes

    chance: ClassVar[bool] = True

    def score(self, rows: RowReader) -> np.ndarray:
        """Return the mean probability of the trees, to the bit what scikit-learn makes of them."""
        matrix = self.inputs.coded(rows)
        return self._walked(matrix, np.zeros((0, matrix.shape[1]))) / len(self.nodes.roots)

    def explain(self, rows: RowReader) -> Contributions:
        """Return contributions by which each split on the way down changes the probability (Saabas 2014)."""
        matrix = self.inputs.coded(rows)
        parts = np.zeros(matrix.shape)
        self._walked(matrix, parts)
        return Contributions(self.inputs.plain, float(self.nodes.value[self.nodes.roots].mean()), parts / len(self.nodes.roots))

    def _walked(self, matrix: np.ndarray, parts: np.ndarray) -> np.ndarray:
        """Return the sum of the trees' probabilities, added one after the other, as scikit-learn does."""
        total = np.zeros(len(matrix))
        compiled(walk)(single(matrix), self.nodes, total, parts)
        return total


def forest_scorer(inputs: Inputs, trees: Sequence[Any]) -> ForestScorer:
    """Return the scorer of scikit-learn's trees (`tree_`) as one array of nodes."""
    counts = np.array([tree.node_count for tree in trees])
    roots = np.append(0, np.cumsum(counts)[:-1])
    parts = [_nodes(tree, root) for tree, root in zip(trees, roots.tolist(), strict=True)]
    return ForestScorer(inputs, Nodes(roots, *(np.concatenate(part) for part in zip(*parts, strict=True))))


def _nodes(tree: Any, root: int) -> tuple[np.ndarray, ...]:
    node = np.arange(tree.node_count)
    leaf = tree.children_left < 0
    return (
        np.where(leaf, 0, tree.feature),
        tree.threshold,
        root + np.where(leaf, node, tree.children_left),
        root + np.where(leaf, node, tree.children_right),
        tree.missing_go_to_left.astype(bool),
        tree.value[:, 0, 1],
    )
