"""Isolation trees as arrays: path lengths, and the change of the expected one by each cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwds.core.serialization import Serializable

BLOCK = 4096
"""Rows that walk the trees at once: a bound on memory, which changes no bit."""


@dataclass(frozen=True, eq=False)
class Trees(Serializable):
    """The nodes of all trees, one tree after the other; a leaf is its own child.

    Attributes:
        roots: Node of each tree's root, shape (trees,).
        left, right: Of each node the child for values up to its threshold, and for larger ones.
        column: Which column it cuts.
        threshold: Where.
        length: The path length that rows of the tree's sample which reach the node have on the average, in units of that of
            a random binary tree.
        depth: Cuts at most.
    """

    roots: np.ndarray
    left: np.ndarray
    right: np.ndarray
    column: np.ndarray
    threshold: np.ndarray
    length: np.ndarray
    depth: int

    @property
    def base(self) -> float:
        """The score of which nothing is known: that of a mean row of the samples."""
        return -float(self.length[self.roots].mean())

    def score(self, matrix: np.ndarray) -> np.ndarray:
        """Return minus the mean path length of rows; scikit-learn's `score_samples` is minus 2 to its power."""
        return np.concatenate([np.zeros(0), *(self._scored(block) for block in _blocks(matrix))])

    def _scored(self, matrix: np.ndarray) -> np.ndarray:
        nodes = np.broadcast_to(self.roots, (len(matrix), len(self.roots)))
        for _ in range(self.depth):
            nodes = self._step(matrix, nodes)
        return -self.length[nodes].mean(axis=1)

    def parts(self, matrix: np.ndarray) -> np.ndarray:
        """Return the contribution of each column's cuts above `base`, shape (n, k): the sum of their changes over the path.

        A cut changes the path length that is expected of a row (Saabas 2014, "Interpreting random forests").
        """
        none = np.zeros((0, matrix.shape[1]))
        return np.concatenate([none, *(self._changes(block) for block in _blocks(matrix))])

    def _changes(self, matrix: np.ndarray) -> np.ndarray:
        n, k = matrix.shape
        nodes, changes = np.broadcast_to(self.roots, (n, len(self.roots))), np.zeros(n * k)
        for _ in range(self.depth):
            below = self._step(matrix, nodes)
            place = np.arange(n)[:, None] * k + self.column[nodes]
            changes += np.bincount(place.ravel(), (self.length[nodes] - self.length[below]).ravel(), n * k)
            nodes = below
        return changes.reshape(n, k) / len(self.roots)

    def _step(self, matrix: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        values = np.take_along_axis(matrix, self.column[nodes], axis=1)
        return np.where(values <= self.threshold[nodes], self.left[nodes], self.right[nodes])


def _blocks(matrix: np.ndarray) -> Iterator[np.ndarray]:
    return (matrix[first : first + BLOCK] for first in range(0, len(matrix), BLOCK))


def read_trees(estimators: Sequence[Any], sample: int) -> Trees:
    """Return the trees of scikit-learn's isolation forest.

    Args:
        estimators: Its trees.
        sample: Rows that each was grown on.
    """
    trees = [estimator.tree_ for estimator in estimators]
    roots = np.cumsum([0, *(tree.node_count for tree in trees)])
    node = np.arange(roots[-1])
    left, right = (
        np.concatenate([getattr(tree, side) + root for tree, root in zip(trees, roots[:-1], strict=True)])
        for side in ("children_left", "children_right")
    )
    leaf = np.concatenate([tree.children_left < 0 for tree in trees])
    column = np.concatenate([tree.feature for tree in trees])
    return Trees(
        roots[:-1],
        np.where(leaf, node, left),
        np.where(leaf, node, right),
        np.where(leaf, 0, column),
        np.where(leaf, np.inf, np.concatenate([tree.threshold for tree in trees])),
        np.concatenate([_lengths(tree) for tree in trees]) / max(float(mean_length(np.array(sample))), 1e-9),
        max(tree.max_depth for tree in trees),
    )


def mean_length(rows: np.ndarray) -> np.ndarray:
    """Return the mean path length of a random binary tree on so many rows (Liu, Ting and Zhou 2008, eq. 1)."""
    many = np.maximum(rows, 3).astype(float)
    long = 2 * (np.log(many - 1) + np.euler_gamma) - 2 * (many - 1) / many
    return np.where(rows > 2, long, np.where(rows == 2, 1.0, 0.0))


def _lengths(tree: Any) -> np.ndarray:
    """Return the mean path length below each node of the rows that reach it, counted from the root; children follow parents."""
    left, right, many = tree.children_left, tree.children_right, tree.n_node_samples
    depth = np.zeros(tree.node_count)
    inner = np.flatnonzero(left >= 0)
    for node in inner:
        depth[[left[node], right[node]]] = depth[node] + 1
    length = depth + mean_length(many)
    for node in inner[::-1]:
        below = np.array([left[node], right[node]])
        length[node] = (length[below] * many[below]).sum() / many[node]
    return length
