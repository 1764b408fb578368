"""A forest as arrays of nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hwds.compiled import compiled
from hwds.frames.table import Table
from hwds.models.classify.base import Contributions
from hwds.models.classify.forest_kernel import Nodes, walk
from hwds.models.classify.inputs import Inputs, single
from hwds.stored import Stored


@dataclass(frozen=True, eq=False)
class ForestScorer(Stored):
    """The nodes of all trees one after the other; a leaf leads to itself.

    Attributes:
        inputs: What it reads.
        roots: The first node of each tree.
        column: What each node looks at.
        threshold: Rows up to it go left.
        left, right: The next node.
        missing_left: Whether a row without the number goes left.
        value: The probability at each node.
    """

    inputs: Inputs
    roots: np.ndarray
    column: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    missing_left: np.ndarray
    value: np.ndarray

    chance: ClassVar[bool] = True

    def score(self, rows: Table) -> np.ndarray:
        """The mean probability of the trees, to the bit what scikit-learn makes of them."""
        matrix = self.inputs.coded(rows)
        return self._walked(matrix, np.zeros((0, matrix.shape[1]))) / len(self.roots)

    def explain(self, rows: Table) -> Contributions:
        """What the probability changes by at each split on the way down goes to its input (Saabas 2014)."""
        matrix = self.inputs.coded(rows)
        parts = np.zeros(matrix.shape)
        self._walked(matrix, parts)
        return Contributions(self.inputs.plain, float(self.value[self.roots].mean()), parts / len(self.roots))

    def _walked(self, matrix: np.ndarray, parts: np.ndarray) -> np.ndarray:
        """The sum of the trees' probabilities, added one after the other, as scikit-learn does."""
        nodes = Nodes(self.roots, self.column, self.threshold, self.left, self.right, self.missing_left, self.value)
        total = np.zeros(len(matrix))
        compiled(walk)(single(matrix), nodes, total, parts)
        return total


def planted(inputs: Inputs, trees: Sequence[Any]) -> ForestScorer:
    """scikit-learn's trees (`tree_`) as one array of nodes."""
    counts = np.array([tree.node_count for tree in trees])
    roots = np.append(0, np.cumsum(counts)[:-1])
    parts = [_nodes(tree, root) for tree, root in zip(trees, roots.tolist(), strict=True)]
    column, threshold, left, right, missing_left, value = (np.concatenate(part) for part in zip(*parts, strict=True))
    return ForestScorer(inputs, roots, column, threshold, left, right, missing_left, value)


def _nodes(tree: Any, root: int) -> tuple[np.ndarray, ...]:
    own = np.arange(tree.node_count)
    leaf = tree.children_left < 0
    return (
        np.where(leaf, 0, tree.feature),
        tree.threshold,
        root + np.where(leaf, own, tree.children_left),
        root + np.where(leaf, own, tree.children_right),
        tree.missing_go_to_left.astype(bool),
        tree.value[:, 0, 1],
    )
