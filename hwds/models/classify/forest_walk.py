"""A forest as arrays of nodes, and the walk down all its trees at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hwds.frames.table import Table
from hwds.models.classify.base import Contributions
from hwds.models.classify.inputs import Inputs
from hwds.stored import Stored

ROWS = 512
"""Rows that walk together: their places in all trees stay in the cache."""


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
        matrix = self.inputs.coded(rows)[0].astype(np.float32)
        found = np.zeros(len(matrix))
        for begin in range(0, len(matrix), ROWS):
            part = matrix[begin : begin + ROWS]
            value = np.tile(self.value[self.roots], len(part))
            for walkers, _, after in self._steps(part):
                value[walkers] = self.value[after]
            for tree in range(len(self.roots)):  # one after the other, as scikit-learn adds them
                found[begin : begin + ROWS] += value[tree :: len(self.roots)]
        return found / len(self.roots)

    def explain(self, rows: Table) -> Contributions:
        """What the probability changes by at each split on the way down goes to its input (Saabas 2014)."""
        matrix, names = self.inputs.coded(rows)
        matrix, values = matrix.astype(np.float32), np.zeros((len(matrix), len(names)))
        for begin in range(0, len(matrix), ROWS):
            part = matrix[begin : begin + ROWS]
            for walkers, before, after in self._steps(part):
                place = walkers // len(self.roots) * len(names) + self.column[before]
                changed = np.bincount(place, self.value[after] - self.value[before], part.size)
                values[begin : begin + ROWS] += changed.reshape(part.shape)
        return Contributions(names, float(self.value[self.roots].mean()), values / len(self.roots))

    def _steps(self, matrix: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Every row walks down every tree: who still walks (row by row, tree by tree), from which node, to which."""
        n, trees = len(matrix), len(self.roots)
        walkers, before = np.arange(n * trees), np.tile(self.roots, n)
        row, flat = np.repeat(np.arange(n) * matrix.shape[1], trees), matrix.ravel()
        missing = np.isnan(matrix).any()
        while True:
            walking = self.left[before] != before
            walkers, before, row = walkers[walking], before[walking], row[walking]
            if not len(walkers):
                return
            value = flat[row + self.column[before]]
            left = value <= self.threshold[before]
            if missing:
                left |= np.isnan(value) & self.missing_left[before]
            after = np.where(left, self.left[before], self.right[before])
            yield walkers, before, after
            before = after


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
