"""Rules that are read off a shallow tree of labelled rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwds.detection.models.rules.conditions import Condition, Rule

DEPTH = 3
LEAST_ROWS = 10
"""Rows that a rule names, at least."""


def proposed(names: tuple[str, ...], matrix: np.ndarray, label: np.ndarray, count: int, seed: int) -> tuple[Rule, ...]:
    """Return the leaves of a tree as rules, those of the highest share of label 1 first.

    Args:
        names: The inputs that are numbers.
        matrix: Their values, shape (n, names); what is not known is below all others.
        label: 1 or 0, shape (n,).
        count: Rules at most; a leaf whose share is no higher than that of all rows is none.
        seed: Of the tree.
    """
    from sklearn.tree import DecisionTreeClassifier

    tree: Any = DecisionTreeClassifier(max_depth=DEPTH, min_samples_leaf=LEAST_ROWS, random_state=seed)
    fitted = tree.fit(_filled(matrix), label).tree_
    found: list[tuple[float, tuple[Condition, ...]]] = []

    def walk(node: int, path: tuple[Condition, ...]) -> None:
        if fitted.children_left[node] < 0:
            shares = fitted.value[node][0]
            found.append((float(shares[-1] / shares.sum()), path))
            return
        name, bar = names[fitted.feature[node]], float(f"{fitted.threshold[node]:.4g}")
        walk(fitted.children_left[node], _tighter(path, Condition(name, "<=", bar)))
        walk(fitted.children_right[node], _tighter(path, Condition(name, ">", bar)))

    walk(0, ())
    base = float(label.mean())
    best = sorted(((share, path) for share, path in found if share > base and path), key=lambda each: -each[0])
    return tuple(Rule(f"learned {place}", path) for place, (_, path) in enumerate(best[:count], 1))


def _tighter(path: tuple[Condition, ...], one: Condition) -> tuple[Condition, ...]:
    """Return a path with a condition more, in the place of one on the same side of the same input."""
    return (*(each for each in path if (each.input, each.sign) != (one.input, one.sign)), one)


def _filled(matrix: np.ndarray) -> np.ndarray:
    low = np.nan_to_num(np.nanmin(np.where(np.isfinite(matrix), matrix, np.nan), axis=0), nan=0.0)
    return np.where(np.isfinite(matrix), matrix, low - 1.0)
