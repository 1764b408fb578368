"""The weights of a stack: at least 0, with the sum 1, shrunk to equal ones as far as left-out windows say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import polars as pl

STRENGTHS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, np.inf)
"""Tried pulls to equal weights, in units of the members' mean squared error; infinite is equal weights."""

ROUNDS = 20
"""Of reweighting; weights change by less than a thousandth long before."""

KEYS = ("series_id", "cutoff", "step")


@dataclass(frozen=True, eq=False)
class Windows:
    """What members forecast on inner windows, in units of each series' scale.

    Attributes:
        answers: Shape (rows, members).
        target: Shape (rows,).
        window: The number of the window, counted from the end of each series, shape (rows,).
    """

    answers: np.ndarray
    target: np.ndarray
    window: np.ndarray

    def take(self, rows: np.ndarray) -> Windows:
        """Some of the rows."""
        return Windows(self.answers[rows], self.target[rows], self.window[rows])


def windows_of(rows: Sequence[pl.DataFrame]) -> Windows:
    """The rows of all members, those that every member has and whose series has a scale."""
    if any(part.is_empty() for part in rows):
        return Windows(np.zeros((0, len(rows))), np.zeros(0), np.zeros(0, np.int64))
    first = rows[0].select(*KEYS, "actual", "scale_abs", pl.col("mean").alias("mean_0"))
    others = [part.select(*KEYS, pl.col("mean").alias(f"mean_{i}")) for i, part in enumerate(rows[1:], 1)]
    joined: pl.DataFrame = reduce(lambda left, right: left.join(right, KEYS, "inner", maintain_order="left"), others, first)
    window = pl.col("cutoff").rank("dense", descending=True).over("series_id").alias("window")
    known = joined.with_columns(window).filter((pl.col("scale_abs") > 0) & pl.col("actual").is_not_null())
    scale = known["scale_abs"].to_numpy()
    answers = known.select(f"mean_{i}" for i in range(len(rows))).to_numpy() / scale[:, None]
    target = known["actual"].to_numpy() / scale
    defined = np.isfinite(answers).all(axis=1) & np.isfinite(target)
    return Windows(answers, target, known["window"].to_numpy().astype(np.int64)).take(defined)


def simplex_weights(seen: Windows, strength: float) -> np.ndarray:
    """The weights of the least mean absolute error, pulled to equal ones.

    By iteratively reweighted least squares (Schlossmacher 1973): a row that is missed by far counts less, so that one launch
    does not decide.

    Args:
        seen: At least one row.
        strength: Of the pull, in units of the members' own mean squares; 0 for none, infinite for equal weights.

    Returns:
        At least 0, with the sum 1, shape (members,).
    """
    count = seen.answers.shape[1]
    equal = np.full(count, 1 / count)
    if not np.isfinite(strength):
        return equal
    errors = seen.answers - seen.target[:, None]  # with the sum 1 the stack's error is the weighted error
    least = 1e-3 * np.mean(np.abs(errors)) + 1e-12
    weights = equal
    for _ in range(ROUNDS):
        rows = 1 / np.maximum(np.abs(errors @ weights), least)
        moments = (errors * rows[:, None]).T @ errors / rows.sum()
        pull = strength * np.trace(moments) / count
        weights = _on_simplex(moments + pull * np.eye(count), pull * equal)
    return weights


def shrunk_weights(seen: Windows) -> np.ndarray:
    """The strength that does best on windows left out in turn, by mean absolute scaled error, then weights from all of them."""
    losses = [np.mean([_left_out(seen, window, strength) for window in np.unique(seen.window)]) for strength in STRENGTHS]
    best = len(losses) - 1 - int(np.argmin(losses[::-1]))  # of equals the strongest
    return simplex_weights(seen, STRENGTHS[best])


def _left_out(seen: Windows, window: int, strength: float) -> float:
    """The loss on a window of the weights from the others."""
    inside = seen.window == window
    rest = seen if inside.all() else seen.take(~inside)
    weights = simplex_weights(rest, np.inf if inside.all() else strength)
    return float(np.mean(np.abs(seen.answers[inside] @ weights - seen.target[inside])))


def _on_simplex(matrix: np.ndarray, toward: np.ndarray) -> np.ndarray:
    """Argmin w'Mw - 2 toward'w on the simplex, by dropping the most negative weight until none is (active set)."""
    count = len(matrix)
    free = np.ones(count, bool)
    while True:
        kept = np.flatnonzero(free)
        ones = np.ones((len(kept), 1))
        system = np.block([[2 * matrix[np.ix_(kept, kept)], ones], [ones.T, np.zeros((1, 1))]])
        solved = np.linalg.lstsq(system, np.append(2 * toward[kept], 1.0), rcond=None)[0][:-1]
        if solved.min() >= -1e-12:
            weights = np.zeros(count)
            weights[kept] = np.maximum(solved, 0.0)
            return weights / weights.sum()
        free[kept[int(np.argmin(solved))]] = False
