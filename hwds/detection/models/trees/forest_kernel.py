"""The walk of rows down the trees of a forest; compiled by numba."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from hwds.core.serialization import Serializable


@Serializable.register
class Nodes(NamedTuple):
    """The nodes of all trees one after the other; a leaf leads to itself.

    Attributes:
        roots: The first node of each tree.
        column: What each node looks at.
        threshold: Rows up to it go left.
        left, right: The next node.
        missing_left: Whether a row without the number goes left.
        value: The probability at each node.
    """

    roots: np.ndarray
    column: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    missing_left: np.ndarray
    value: np.ndarray


def walk(matrix: np.ndarray, nodes: Nodes, total: np.ndarray, parts: np.ndarray) -> None:
    """Add up the values of the leaves that each row reaches, tree by tree, and what each split on the way changed.

    Args:
        matrix: What rows are read as, in single precision, shape (n, k).
        nodes: The forest.
        total: Of the leaves' values, shape (n,).
        parts: What the splits of each input changed, shape (n, k); of shape (0, k) where that is not asked.
    """
    for row in range(matrix.shape[0]):
        reached = 0.0
        for tree in range(nodes.roots.size):
            node = nodes.roots[tree]
            while nodes.left[node] != node:
                seen, column = matrix[row, nodes.column[node]], nodes.column[node]
                goes_left = seen <= nodes.threshold[node] or (math.isnan(seen) and nodes.missing_left[node])
                after = nodes.left[node] if goes_left else nodes.right[node]
                if parts.shape[0]:
                    parts[row, column] += nodes.value[after] - nodes.value[node]
                node = after
            reached += nodes.value[node]
        total[row] = reached
