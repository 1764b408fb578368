"""Boosted trees and forests as arrays: their margins to the bit, and what each input adds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy import ndarray

from hwds.core.compiling import compiled
from hwds.core.serialization import Serializable
from hwds.detection.inputs import ModelInputs, single_precision
from hwds.detection.kernels.dense import gauss_legendre
from hwds.detection.kernels.trees import (
    BoosterNodes,
    ForestNodes,
    LeafPaths,
    PathPoints,
    add_forest_leaves,
    add_leaves,
    add_shares,
    fill_paths,
)
from hwds.detection.models.base import Contributions
from hwds.frames.table import RowReader

# XGBoost's trees as arrays: margins to the bit of its own, and exact Shapley values.


@dataclass(frozen=True, eq=False)
class BoosterTrees:
    """A booster of one margin.

    The margin of a row is the base plus the leaves that it reaches, added tree by tree in single
    precision as XGBoost adds them.

    The contribution of an input is its Shapley value (Lundberg et al. 2020, path dependent). An
    unknown input takes both branches, each as often as training rows did. Take a leaf of value v.
    On its path, condition i was met by a share z_i of the training rows that came so far, and this
    row meets it (o_i = 1) or not (o_i = 0). The leaf then gives input i

        v (o_i - z_i) times the integral over t from 0 to 1 of the product over the others of (1 -
        t) z_j + t o_j

    by the multilinear form of Owen (1972). The rule of Gauss and Legendre is exact for it at half
    as many points as inputs.

    Attributes:
        base: The margin before the first tree.
        nodes: The nodes of all trees.
        paths: The paths to all leaves.
        points: The points where integrals are taken.
        rest: The expected sum of the leaves for a row of which nothing is known.
    """

    base: np.float32
    nodes: BoosterNodes
    paths: LeafPaths
    points: PathPoints
    rest: float

    @classmethod
    def of(cls, booster: Any, codes: int) -> BoosterTrees:
        """Return the trees of a booster (xgboost's `Booster`) of the log loss.

        Args:
            booster: It.
            codes: The most codes of a text.
        """
        learner = json.loads(booster.save_raw("json"))["learner"]
        trees = learner["gradient_booster"]["model"]["trees"]
        chance = np.float32(json.loads(learner["learner_model_param"]["base_score"])[0])
        nodes, parent = _booster_nodes(trees, codes)
        paths = _leaf_paths(nodes, parent, _concatenate(trees, "sum_hessian", float))
        shares = [
            float(paths.share[begin:end].prod()) for begin, end in pairwise(paths.begin.tolist())
        ]
        rest = float(nodes.value[paths.leaf].astype(float) @ shares)
        return cls(
            -np.log(np.float32(1) / chance - np.float32(1)),
            nodes,
            paths,
            _integration_points(paths),
            rest,
        )

    def margins(self, matrix: ndarray) -> ndarray:
        """Return the log odds of numbers and codes, in single precision, shape (n,)."""
        total = np.full(len(matrix), self.base, np.float32)
        compiled(add_leaves)(single_precision(matrix), self.nodes, total)
        return total

    def shares(self, matrix: ndarray) -> ndarray:
        """Return the contribution of each column to the margin above `base + rest`, shape (n,
        k).
        """
        parts = np.zeros(matrix.shape)
        room = (
            np.zeros(int(np.diff(self.paths.begin).max(initial=0)), np.int64),
            np.zeros(len(self.points.weight)),
        )
        compiled(add_shares)(
            single_precision(matrix), self.nodes.value, self.paths, self.points, *room, parts
        )
        return parts


def _booster_nodes(trees: list[dict[str, Any]], codes: int) -> tuple[BoosterNodes, ndarray]:
    """Return the nodes of all trees from XGBoost's JSON, and the parent of each.

    Leaf values stand where thresholds do.
    """
    counts = [len(tree["left_children"]) for tree in trees]
    roots = np.cumsum([0, *counts])[:-1]
    root, node = np.repeat(roots, counts), np.arange(sum(counts))
    left = _concatenate(trees, "left_children", int)
    right = _concatenate(trees, "right_children", int)
    inner = left >= 0
    left, right = np.where(inner, root + left, node), np.where(inner, root + right, node)
    parent = np.full(len(node), -1)
    parent[left[inner]] = parent[right[inner]] = node[inner]
    chosen = np.full(len(node), -1)
    of_texts = np.concatenate(
        [
            at + np.array(tree["categories_nodes"], int)
            for at, tree in zip(roots, trees, strict=True)
        ]
    )
    chosen[of_texts] = np.arange(len(of_texts)) * codes
    right_codes = np.zeros(len(of_texts) * codes, bool)
    sizes = _concatenate(trees, "categories_sizes", int)
    right_codes[np.repeat(chosen[of_texts], sizes) + _concatenate(trees, "categories", int)] = True
    below = np.full(len(node), -1)
    under = np.concatenate([left[of_texts], right[of_texts]])
    below[under] = np.arange(len(under)) * codes
    threshold = _concatenate(trees, "split_conditions", np.float32)
    column = _concatenate(trees, "split_indices", int)
    missing_left = _concatenate(trees, "default_left", bool)
    return BoosterNodes(
        roots,
        column,
        threshold,
        chosen,
        left,
        right,
        missing_left,
        threshold,
        right_codes,
        below,
        codes,
    ), parent


def _concatenate(trees: list[dict[str, Any]], name: str, kind: Any) -> ndarray:
    return np.concatenate([np.array(tree[name], kind) for tree in trees])


def _leaf_paths(nodes: BoosterNodes, parent: ndarray, cover: ndarray) -> LeafPaths:
    """Return the paths to all leaves."""
    leaf = np.flatnonzero(nodes.left == np.arange(len(nodes.left)))
    most, above = 0, parent[leaf]
    while (above >= 0).any():
        most += int((above >= 0).sum())
        above = np.where(above >= 0, parent[above], -1)
    begin, column, codes = np.zeros(len(leaf) + 1, int), np.zeros(most, int), np.zeros(most, int)
    low, high = np.zeros(most, np.float32), np.zeros(most, np.float32)
    met_codes = np.ones(
        int(nodes.below.max()) + nodes.codes if (nodes.below >= 0).any() else 0, bool
    )
    paths = LeafPaths(
        leaf, begin, column, low, high, np.zeros(most, bool), codes, np.zeros(most), met_codes
    )
    compiled(fill_paths)(nodes, parent, cover, paths)
    filled = {
        name: getattr(paths, name)[: begin[-1]]
        for name in ("column", "low", "high", "missing", "codes", "share")
    }
    return paths._replace(**filled)


def _integration_points(paths: LeafPaths) -> PathPoints:
    """Return as many points as are exact for the longest path."""
    share, met = paths.share.reshape(-1, 1, 1), np.arange(2.0)[:, None]
    at, weight = gauss_legendre(max(1, (int(np.diff(paths.begin).max()) + 1) // 2))
    factor = (1 - at) * share + at * met
    slope = np.divide(met - share, factor, out=np.zeros_like(factor), where=factor > 0)
    return PathPoints(weight, factor, slope)


# A forest as arrays of nodes.


@dataclass(frozen=True, eq=False)
class ForestScorer(Serializable):
    """A forest that scores rows.

    Attributes:
        inputs: The inputs that the trees read.
        nodes: The nodes of all trees.
    """

    inputs: ModelInputs
    nodes: ForestNodes

    chance = True

    def score(self, rows: RowReader) -> ndarray:
        """Return the mean probability of the trees, to the bit what scikit-learn makes of them."""
        matrix = self.inputs.coded(rows)
        return self._sum_leaves(matrix, np.zeros((0, matrix.shape[1]))) / len(self.nodes.roots)

    def explain(self, rows: RowReader) -> Contributions:
        """Return contributions by which each split on the way down changes the probability (Saabas
        2014).
        """
        matrix = self.inputs.coded(rows)
        parts = np.zeros(matrix.shape)
        self._sum_leaves(matrix, parts)
        return Contributions(
            self.inputs.plain,
            float(self.nodes.value[self.nodes.roots].mean()),
            parts / len(self.nodes.roots),
        )

    def _sum_leaves(self, matrix: ndarray, parts: ndarray) -> ndarray:
        """Return the sum of the trees' probabilities, added one after the other, as scikit-learn
        does.
        """
        total = np.zeros(len(matrix))
        compiled(add_forest_leaves)(single_precision(matrix), self.nodes, total, parts)
        return total


def forest_scorer(inputs: ModelInputs, trees: Sequence[Any]) -> ForestScorer:
    """Return the scorer of scikit-learn's trees (`tree_`) as one array of nodes."""
    counts = np.array([tree.node_count for tree in trees])
    roots = np.append(0, np.cumsum(counts)[:-1])
    parts = [_forest_nodes(tree, root) for tree, root in zip(trees, roots.tolist(), strict=True)]
    return ForestScorer(
        inputs, ForestNodes(roots, *(np.concatenate(part) for part in zip(*parts, strict=True)))
    )


def _forest_nodes(tree: Any, root: int) -> tuple[ndarray, ...]:
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
