"""The share of the spread of scores that each setting explains: functional analysis of variance of a forest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

TREES = 200
LEVEL = 0.9
"""The level of the intervals, which are taken over the trees: each was grown on other trials."""
OUTLYING = 3.0
"""Quartile distances above the median beyond which a bad score counts as no worse: a trial that diverged is one trial."""


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """The variance shares that a forest gives the settings.

    Attributes:
        share: Of the variance of the scores, that each setting explains alone, shape (settings,); the rest is of several.
        low: The lower ends of their intervals.
        high: The upper ends.
        fit: How much of the variance the forest explains of trials that a tree has not seen (out of bag); 1 is all.
    """

    share: np.ndarray
    low: np.ndarray
    high: np.ndarray
    fit: float


def setting_shares(settings: np.ndarray, scores: np.ndarray) -> Shares:
    """Return the main effects of settings on scores.

    After Hutter, Hoos and Leyton-Brown (2014), "An efficient approach for assessing hyperparameter importance". A setting's
    values count as often as they were tried, whatever the others were, so that words, logarithms and unused ones need no care.

    Args:
        settings: Numbers, of words their places, shape (trials, settings).
        scores: The lower the better, shape (trials,).
    """
    from sklearn.ensemble import RandomForestRegressor

    middle, quarter, most = np.quantile(scores, [0.5, 0.25, 0.75])
    capped = np.minimum(scores, middle + OUTLYING * (most - quarter))
    forest = RandomForestRegressor(TREES, min_samples_leaf=2, oob_score=True, random_state=0)
    forest.fit(settings, capped)
    found = np.array([_main_effects(tree.tree_, settings) for tree in forest.estimators_])
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return Shares(found.mean(axis=0), low, high, float(forest.oob_score_))


def _main_effects(tree: Any, settings: np.ndarray) -> np.ndarray:
    """Return the share of a tree's variance that each setting explains alone, shape (settings,); 0 for a tree of one leaf."""
    known = [np.unique(column, return_counts=True) for column in settings.T]
    weights = [counts / len(settings) for _, counts in known]
    leaves = list(_leaves(tree, [values for values, _ in known]))
    values = np.array([value for value, _ in leaves])
    inside = [np.array([boxes[place] for _, boxes in leaves]) for place in range(len(known))]  # (leaves, values)
    parts = np.array([box @ weight for box, weight in zip(inside, weights, strict=True)])  # (settings, leaves)
    volume = parts.prod(axis=0)
    mean = volume @ values
    whole = volume @ (values - mean) ** 2
    if whole <= 0:
        return np.zeros(len(known))
    marginal = [(values * volume / part) @ box - mean for box, part in zip(inside, parts, strict=True)]
    return np.array([weight @ effect**2 for weight, effect in zip(weights, marginal, strict=True)]) / whole


def _leaves(tree: Any, known: list[np.ndarray]) -> Iterator[tuple[float, list[np.ndarray]]]:
    """Yield the value of each leaf, and which of the known values of each setting lead to it."""
    waiting = [(0, [np.ones(len(values), bool) for values in known])]
    while waiting:
        node, boxes = waiting.pop()
        if tree.children_left[node] < 0:
            yield float(tree.value[node].ravel()[0]), boxes
            continue
        place = tree.feature[node]
        below = known[place] <= tree.threshold[node]
        for child, side in ((tree.children_left[node], below), (tree.children_right[node], ~below)):
            waiting.append((child, [*boxes[:place], boxes[place] & side, *boxes[place + 1 :]]))
