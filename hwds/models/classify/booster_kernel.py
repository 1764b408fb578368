"""What a row gets from boosted trees, and what each input adds to it; compiled by numba."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from hwds.compiled import helper


class Nodes(NamedTuple):
    """The nodes of all trees one after the other; a leaf leads to itself.

    Attributes:
        roots: The first node of each tree.
        column: What each node looks at.
        threshold: Rows below it go left.
        chosen: Where the codes of a node of texts begin in `right_codes`; -1 of a node of numbers.
        left, right: The next node.
        missing_left: Whether a row without the number goes left.
        value: What a leaf adds, in single precision.
        right_codes: Which codes go right.
        below: Of a node below one of texts where the codes that come to it begin in `met_codes`.
        codes: How many a text has at most.
    """

    roots: np.ndarray
    column: np.ndarray
    threshold: np.ndarray
    chosen: np.ndarray
    left: np.ndarray
    right: np.ndarray
    missing_left: np.ndarray
    value: np.ndarray
    right_codes: np.ndarray
    below: np.ndarray
    codes: int


class Ways(NamedTuple):
    """The way from a root to each leaf, the inputs that it asks one after the other, each once.

    Attributes:
        leaf: Where each leads.
        begin: The first input of each way, and the end of the last, shape (ways + 1,).
        column: What is asked, shape (asked,).
        low, high: It is met from `low` to below `high`; NaN where there is no such end.
        missing: Whether a row without the number meets it.
        codes: Where the codes that meet it begin in `met_codes`; -1 of numbers.
        share: Of the training rows that came so far those that met it.
        met_codes: Which codes go on to each node below one of texts.
    """

    leaf: np.ndarray
    begin: np.ndarray
    column: np.ndarray
    low: np.ndarray
    high: np.ndarray
    missing: np.ndarray
    codes: np.ndarray
    share: np.ndarray
    met_codes: np.ndarray


class Points(NamedTuple):
    """The product over what a way asks of (1 - t) share + t met, at the points t where an integral is taken.

    Attributes:
        weight: Of each point.
        factor: Of what is asked, not met and met, shape (asked, 2, points).
        slope: (met - share) / factor, shape (asked, 2, points).
    """

    weight: np.ndarray
    factor: np.ndarray
    slope: np.ndarray


def lay_ways(nodes: Nodes, parent: np.ndarray, cover: np.ndarray, ways: Ways) -> None:
    """Fill in what the ways to the leaves ask, from the leaf up.

    Args:
        nodes: The trees.
        parent: Of each node, -1 of a root.
        cover: How many training rows reached each node.
        ways: `leaf` is there, and room for what is asked at most; of `codes` a place for each node, `met_codes` all true.
    """
    asked = 0
    for way in range(ways.leaf.size):
        first, node = asked, ways.leaf[way]
        while parent[node] >= 0:
            above = parent[node]
            here = first
            while here < asked and ways.column[here] != nodes.column[above]:
                here += 1
            if here == asked:
                asked += 1
                ways.column[here], ways.low[here], ways.high[here] = nodes.column[above], math.nan, math.nan
                ways.missing[here], ways.codes[here], ways.share[here] = True, -1, 1.0
                if nodes.chosen[above] >= 0:
                    ways.codes[here] = nodes.below[node]
            narrow(nodes, above, nodes.left[above] == node, ways, here)
            whole = cover[nodes.left[above]] + cover[nodes.right[above]]
            ways.share[here] *= cover[node] / whole if whole > 0 else 0.5
            node = above
        ways.begin[way + 1] = asked


@helper
def narrow(nodes: Nodes, above: int, left: bool, ways: Ways, here: int) -> None:
    """What a node leaves of what is asked of its column, on one of its sides."""
    ways.missing[here] &= nodes.missing_left[above] == left
    if nodes.chosen[above] >= 0:
        for code in range(nodes.codes):
            right = nodes.right_codes[nodes.chosen[above] + code]
            ways.met_codes[ways.codes[here] + code] &= right != left
    elif left and not ways.high[here] <= nodes.threshold[above]:
        ways.high[here] = nodes.threshold[above]
    elif not left and not ways.low[here] >= nodes.threshold[above]:
        ways.low[here] = nodes.threshold[above]


def add_leaves(matrix: np.ndarray, nodes: Nodes, total: np.ndarray) -> None:
    """Add the leaf that each row reaches, tree by tree.

    Args:
        matrix: What rows are read as, in single precision, shape (n, k).
        nodes: The trees.
        total: In single precision, shape (n,).
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
    matrix: np.ndarray, value: np.ndarray, ways: Ways, points: Points, met: np.ndarray, product: np.ndarray, parts: np.ndarray
) -> None:
    """Add what each input adds to the sum of the leaves.

    Args:
        matrix: What rows are read as, in single precision, shape (n, k).
        value: Of each node.
        ways: To all leaves.
        points: Where integrals are taken.
        met: Room for as many inputs as a way asks at most.
        product: Room for each point.
        parts: In double precision, shape (n, k).
    """
    for row in range(matrix.shape[0]):
        for way in range(ways.leaf.size):
            begin, end = ways.begin[way], ways.begin[way + 1]
            for point in range(product.size):
                product[point] = value[ways.leaf[way]] * points.weight[point]
            for asked in range(begin, end):
                seen = matrix[row, ways.column[asked]]
                if math.isnan(seen):
                    is_met = ways.missing[asked]
                elif ways.codes[asked] >= 0:
                    is_met = ways.met_codes[ways.codes[asked] + int(seen)]
                else:
                    is_met = not (seen < ways.low[asked] or seen >= ways.high[asked])
                met[asked - begin] = is_met
                for point in range(product.size):
                    product[point] *= points.factor[asked, int(is_met), point]
            for asked in range(begin, end):
                adds = 0.0
                for point in range(product.size):
                    adds += product[point] * points.slope[asked, met[asked - begin], point]
                parts[row, ways.column[asked]] += adds
