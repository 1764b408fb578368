"""Counts of the labels of a group as of each row: the compiled loop of EntityRisk."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwds.core.numba_cache import helper
from hwds.features.rows.sorted_arrays import upto

POSITIVE = 1 << 32
"""The addition of a positive label to a count beside 1: two counts in one number."""


class KnownLabels(NamedTuple):
    """The labels of all groups, in the order in which they arrived.

    Attributes:
        group: Of each label.
        value: What it adds to a count.
        rank: Its place among all labels by group, then by time.
        times: The times of the labels' rows in that order.
        starts: The first rank of each group, and the end.
        enters, leaves: The places of the first row that counts it, and of the first that does so no more; the latter rise.
        entering: The labels in the order of `enters`.
    """

    group: np.ndarray
    value: np.ndarray
    rank: np.ndarray
    times: np.ndarray
    starts: np.ndarray
    enters: np.ndarray
    leaves: np.ndarray
    entering: np.ndarray


def known_labels(
    order: np.ndarray,
    time: np.ndarray,
    group: np.ndarray,
    labels: KnownLabels,
    held: np.ndarray,
    newest: np.ndarray,
    tree: np.ndarray,
    counts: np.ndarray,
) -> None:
    """Fill `counts` with the sum of `value` over the labels that count for each row.

    Those are of its group, have entered and not left by its place, and are of rows that happened no later than it. Sums of all
    that have entered answer, unless one of them is of a later row: then a Fenwick tree over the times of the group does.

    Args:
        order: The rows in the order of arrival.
        time: When each row happened.
        group: Of each row, -1 for none.
        labels: What may count.
        held: Scratch of shape (n_groups,): zeros.
        newest: Scratch of shape (n_groups,): the least number.
        tree: Scratch of shape (n_labels,): zeros.
        counts: The answer, one for each row: zeros.
    """
    entered, left, count = 0, 0, len(labels.entering)
    for place in range(len(order)):
        while entered < count and labels.enters[labels.entering[entered]] <= place:
            which = labels.entering[entered]
            code = labels.group[which]
            if labels.leaves[which] > labels.enters[which]:
                held[code] += labels.value[which]
                _add(tree, labels, which, labels.value[which])
                newest[code] = max(newest[code], labels.times[labels.rank[which]])
            entered += 1
        while left < count and labels.leaves[left] <= place:
            if labels.leaves[left] > labels.enters[left]:
                held[labels.group[left]] -= labels.value[left]
                _add(tree, labels, left, -labels.value[left])
            left += 1
        row = order[place]
        code = group[row]
        if code >= 0:
            counts[row] = held[code] if newest[code] <= time[row] else _until(tree, labels, code, time[row])


@helper
def _add(tree: np.ndarray, labels: KnownLabels, which: int, value: int) -> None:
    """Put a value at the label's rank within its group."""
    start = labels.starts[labels.group[which]]
    size = labels.starts[labels.group[which] + 1] - start
    node = labels.rank[which] - start + 1
    while node <= size:
        tree[start + node - 1] += value
        node += node & -node


@helper
def _until(tree: np.ndarray, labels: KnownLabels, code: int, time: int) -> int:
    """Return the sum of what is held of a group's rows that happened by a time."""
    start = labels.starts[code]
    total, node = 0, upto(labels.times, start, labels.starts[code + 1], time) - start
    while node > 0:
        total += tree[start + node - 1]
        node -= node & -node
    return total
