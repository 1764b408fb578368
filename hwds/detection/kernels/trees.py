"""Rows down boosted trees and forests, and what each input adds on the way; compiled by numba."""

from __future__ import annotations

import math
from typing import NamedTuple

from numpy import ndarray

from hwds.core.compiling import helper
from hwds.core.serialization import Serializable

# The margin of a row from boosted trees, and the contribution of each input to it; compiled by
# numba.


class BoosterNodes(NamedTuple):
    """The nodes of all trees one after the other; a leaf leads to itself.

    Attributes:
        roots: The first node of each tree.
        column: The column that each node tests.
        threshold: Rows below it go left.
        chosen: The place in `right_codes` where the codes of a node of texts begin; -1 of a node of
            numbers.
        left, right: The next node.
        missing_left: Whether a row without the number goes left.
        value: The value of a leaf, in single precision.
        right_codes: A flag for each code of a node of texts: it goes right.
        below: The place in `met_codes` where the codes that reach a node begin, for a node below
            one of texts; -1 of others.
        codes: The most codes of a text.
    """

    roots: ndarray
    column: ndarray
    threshold: ndarray
    chosen: ndarray
    left: ndarray
    right: ndarray
    missing_left: ndarray
    value: ndarray
    right_codes: ndarray
    below: ndarray
    codes: int


class LeafPaths(NamedTuple):
    """The path from a root to each leaf, the inputs that it asks one after the other, each once.

    Attributes:
        leaf: The leaf at the end of each path.
        begin: The first input of each path, and the end of the last, shape (paths + 1,).
        column: The column of each condition, shape (conditions,).
        low, high: The bounds of a condition: from `low` to below `high`; NaN where there is no such
            bound.
        missing: Whether a row without the number meets it.
        codes: The place in `met_codes` where the codes of a condition begin; -1 of numbers.
        share: The share of the training rows at a condition that met it.
        met_codes: A flag for each code: it goes on to the node below.
    """

    leaf: ndarray
    begin: ndarray
    column: ndarray
    low: ndarray
    high: ndarray
    missing: ndarray
    codes: ndarray
    share: ndarray
    met_codes: ndarray


class PathPoints(NamedTuple):
    """The product over what a path asks of (1 - t) share + t met, at the points t where an integral
    is taken.

    Attributes:
        weight: The weight of each point.
        factor: The factor of each condition, not met and met, shape (conditions, 2, points).
        slope: (met - share) / factor, shape (asked, 2, points).
    """

    weight: ndarray
    factor: ndarray
    slope: ndarray


def fill_paths(nodes: BoosterNodes, parent: ndarray, cover: ndarray, paths: LeafPaths) -> None:
    """Fill in the conditions on the paths to the leaves, from the leaf up.

    Args:
        nodes: The trees.
        parent: The parent of each node, -1 of a root.
        cover: The number of training rows that reached each node.
        paths: `leaf` is there, and room for what is asked at most; of `codes` a place for each
            node, `met_codes` all true.
    """
    count = 0
    for path in range(paths.leaf.size):
        first, node = count, paths.leaf[path]
        while parent[node] >= 0:
            above = parent[node]
            here = first
            while here < count and paths.column[here] != nodes.column[above]:
                here += 1
            if here == count:
                count += 1
                paths.column[here] = nodes.column[above]
                paths.low[here] = math.nan
                paths.high[here] = math.nan
                paths.missing[here], paths.codes[here], paths.share[here] = True, -1, 1.0
                if nodes.chosen[above] >= 0:
                    paths.codes[here] = nodes.below[node]
            # A path may test an input several times: its conditions make one, its shares a product.
            narrow_condition(nodes, above, nodes.left[above] == node, paths, here)
            whole = cover[nodes.left[above]] + cover[nodes.right[above]]
            paths.share[here] *= cover[node] / whole if whole > 0 else 0.5
            node = above
        paths.begin[path + 1] = count


@helper
def narrow_condition(
    nodes: BoosterNodes, above: int, left: bool, paths: LeafPaths, here: int
) -> None:
    """Narrow the condition on a node's column to one side of its split."""
    paths.missing[here] &= nodes.missing_left[above] == left
    if nodes.chosen[above] >= 0:
        for code in range(nodes.codes):
            right = nodes.right_codes[nodes.chosen[above] + code]
            paths.met_codes[paths.codes[here] + code] &= right != left
    elif left and not paths.high[here] <= nodes.threshold[above]:
        paths.high[here] = nodes.threshold[above]
    elif not left and not paths.low[here] >= nodes.threshold[above]:
        paths.low[here] = nodes.threshold[above]


def add_leaves(matrix: ndarray, nodes: BoosterNodes, total: ndarray) -> None:
    """Add the leaf that each row reaches, tree by tree.

    Args:
        matrix: The inputs of the rows in single precision, shape (n, k).
        nodes: The trees.
        total: The margins in single precision, shape (n,).
    """
    for row in range(matrix.shape[0]):
        for tree in range(nodes.roots.size):
            node = nodes.roots[tree]
            while nodes.left[node] != node:
                seen = matrix[row, nodes.column[node]]
                if math.isnan(seen):
                    goes_left = nodes.missing_left[node]
                elif nodes.chosen[node] >= 0:
                    goes_left = not nodes.right_codes[nodes.chosen[node] + int(seen)]
                else:
                    goes_left = seen < nodes.threshold[node]
                node = nodes.left[node] if goes_left else nodes.right[node]
            total[row] += nodes.value[node]


def add_shares(
    matrix: ndarray,
    value: ndarray,
    paths: LeafPaths,
    points: PathPoints,
    met: ndarray,
    product: ndarray,
    parts: ndarray,
) -> None:
    """Add the contribution of each input to the sum of the leaves.

    Args:
        matrix: The inputs of the rows in single precision, shape (n, k).
        value: The value of each node.
        paths: The paths to all leaves.
        points: The points where integrals are taken.
        met: Room for as many inputs as a path asks at most.
        product: Room for each point.
        parts: The contributions in double precision, shape (n, k).
    """
    for row in range(matrix.shape[0]):
        for path in range(paths.leaf.size):
            begin, end = paths.begin[path], paths.begin[path + 1]
            for point in range(product.size):
                product[point] = value[paths.leaf[path]] * points.weight[point]
            for condition in range(begin, end):
                seen = matrix[row, paths.column[condition]]
                if math.isnan(seen):
                    is_met = paths.missing[condition]
                elif paths.codes[condition] >= 0:
                    is_met = paths.met_codes[paths.codes[condition] + int(seen)]
                else:
                    is_met = not (seen < paths.low[condition] or seen >= paths.high[condition])
                met[condition - begin] = is_met
                for point in range(product.size):
                    product[point] *= points.factor[condition, int(is_met), point]
            # The slope divides the condition's own factor out: what is left is that of the others.
            for condition in range(begin, end):
                adds = 0.0
                for point in range(product.size):
                    adds += product[point] * points.slope[condition, met[condition - begin], point]
                parts[row, paths.column[condition]] += adds


# The walk of rows down the trees of a forest; compiled by numba.


@Serializable.register
class ForestNodes(NamedTuple):
    """The nodes of all trees one after the other; a leaf leads to itself.

    Attributes:
        roots: The first node of each tree.
        column: The column that each node tests.
        threshold: Rows up to it go left.
        left, right: The next node.
        missing_left: Whether a row without the number goes left.
        value: The probability at each node.
    """

    roots: ndarray
    column: ndarray
    threshold: ndarray
    left: ndarray
    right: ndarray
    missing_left: ndarray
    value: ndarray


def add_forest_leaves(matrix: ndarray, nodes: ForestNodes, total: ndarray, parts: ndarray) -> None:
    """Add up the values of the leaves that each row reaches, tree by tree, and what each split on
    the way changed.

    Args:
        matrix: The inputs of the rows in single precision, shape (n, k).
        nodes: The forest.
        total: The total of the leaves' values, shape (n,).
        parts: The changes at the splits of each input, shape (n, k); of shape (0, k) where they are
            not asked.
    """
    for row in range(matrix.shape[0]):
        reached = 0.0
        for tree in range(nodes.roots.size):
            node = nodes.roots[tree]
            while nodes.left[node] != node:
                seen, column = matrix[row, nodes.column[node]], nodes.column[node]
                goes_left = seen <= nodes.threshold[node] or (
                    math.isnan(seen) and nodes.missing_left[node]
                )
                after = nodes.left[node] if goes_left else nodes.right[node]
                if parts.shape[0]:
                    parts[row, column] += nodes.value[after] - nodes.value[node]
                node = after
            reached += nodes.value[node]
        total[row] = reached
