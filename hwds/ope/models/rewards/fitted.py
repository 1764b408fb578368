"""Reward models: the expected reward of each arm in each context, fitted without the rows that are predicted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from hwds.ope.models.base import Learner

PULL = 10.0
"""Rows that the mean of all arms counts as beside an arm's own, and the arm's beside a cell's."""

NEWTON = 12
"""Steps of the logistic fit, which starts near enough for six."""

TREES, DEPTH, RATE = 100, 4, 0.1
"""XGBoost's settings: shallow, for rewards are noisy."""


@dataclass(frozen=True, eq=False)
class Lessons:
    """Logged rows to learn from, or to predict.

    Attributes:
        context: Numbers, the first column ones, shape (n, width).
        cell: The number of each row's combination of names, shape (n,).
        action: The number of the logged arm, shape (n,).
        reward: Shape (n,).
        arms: How many arms there are.
        cpus: Threads.
        seed: For learners that draw.
    """

    context: np.ndarray
    cell: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    arms: int
    cpus: int = 1
    seed: int = 0

    def rows(self, which: np.ndarray) -> Lessons:
        """Return some of the rows."""
        parts = {name: getattr(self, name)[which] for name in ("context", "cell", "action", "reward")}
        return replace(self, **parts)


def cross_fitted(learner: Learner, lessons: Lessons, part: np.ndarray) -> np.ndarray:
    """Return the expected reward of each arm in each row, from a model fitted on the other parts, shape (n, arms).

    Predictions are held inside the range of the rewards that were learned from.

    Args:
        learner: The kind of reward model.
        lessons: The log.
        part: The number of the part that each row is in, shape (n,).
    """
    expected = np.empty((len(part), lessons.arms))
    for held_out in np.unique(part):
        fit_rows, new_rows = lessons.rows(part != held_out), lessons.rows(part == held_out)
        predictions = LEARNERS[learner](fit_rows, new_rows)
        expected[part == held_out] = np.clip(predictions, fit_rows.reward.min(), fit_rows.reward.max())
    return expected


def frequency(fit_rows: Lessons, new_rows: Lessons) -> np.ndarray:
    """Return mean rewards by arm and combination of names, each pulled to the arm's mean, and that to the mean of all."""
    everywhere = _pulled(fit_rows, fit_rows.action, np.full(fit_rows.arms, float(np.mean(fit_rows.reward))))
    width = 1 + int(max(fit_rows.cell.max(), new_rows.cell.max()))
    place = fit_rows.cell * fit_rows.arms + fit_rows.action
    inside = _pulled(fit_rows, place, np.tile(everywhere, width)).reshape(width, fit_rows.arms)
    return inside[new_rows.cell]


def _pulled(fit_rows: Lessons, place: np.ndarray, towards: np.ndarray) -> np.ndarray:
    size = len(towards)
    return (np.bincount(place, fit_rows.reward, size) + PULL * towards) / (np.bincount(place, minlength=size) + PULL)


def ridge(fit_rows: Lessons, new_rows: Lessons) -> np.ndarray:
    """Return the predictions of a line for each arm, shrunk to one line for all."""
    return new_rows.context @ _lines(fit_rows, fit_rows.reward, np.ones(len(fit_rows.reward))).T


def logistic(fit_rows: Lessons, new_rows: Lessons) -> np.ndarray:
    """Return the logistic form of `ridge` for rewards within their range, by Newton's method (iteratively reweighted ridge)."""
    least, most = float(fit_rows.reward.min()), float(fit_rows.reward.max())
    if least == most:
        return np.full((len(new_rows.action), fit_rows.arms), least)
    share = (fit_rows.reward - least) / (most - least)
    middle = (np.sum(share) + 0.5) / (len(share) + 1)
    lines = np.zeros((fit_rows.arms, fit_rows.context.shape[1]))
    lines[:, 0] = np.log(middle / (1 - middle))
    for _ in range(NEWTON):
        score = np.clip(np.sum(fit_rows.context * lines[fit_rows.action], axis=1), -30, 30)
        odds = 1 / (1 + np.exp(-score))
        weight = np.maximum(odds * (1 - odds), 1e-9)
        lines = _lines(fit_rows, score + (share - odds) / weight, weight, middle * (1 - middle))
    return least + (most - least) / (1 + np.exp(-np.clip(new_rows.context @ lines.T, -30, 30)))


def xgboost(fit_rows: Lessons, new_rows: Lessons) -> np.ndarray:
    """Return boosted trees on the context and the arm."""
    from xgboost import DMatrix, train

    names = np.eye(fit_rows.arms)
    settings = {"max_depth": DEPTH, "eta": RATE, "nthread": fit_rows.cpus, "seed": fit_rows.seed, "tree_method": "hist"}
    rows = DMatrix(np.hstack([fit_rows.context, names[fit_rows.action]]), fit_rows.reward)
    booster = train(settings | {"base_score": float(np.mean(fit_rows.reward))}, rows, TREES)
    n = len(new_rows.action)
    each = [booster.predict(DMatrix(np.hstack([new_rows.context, np.tile(name, (n, 1))]))) for name in names]
    return np.stack(each, axis=1).astype(np.float64)


def _lines(fit_rows: Lessons, target: np.ndarray, weight: np.ndarray, unit: float = 1.0) -> np.ndarray:
    """Return a weighted least-squares line for each arm, shape (arms, width), shrunk towards a common line.

    The common line is solved for first, each arm's line given it (the two levels of a mixed model; Gelman and Hill 2007,
    chapter 12).

    Args:
        fit_rows: The rows.
        target: What the lines should give, shape (n,).
        weight: Of each row, shape (n,).
        unit: A typical weight, by which the penalty is scaled.
    """
    width, pull = fit_rows.context.shape[1], PULL * unit * np.eye(fit_rows.context.shape[1])
    left, right, solutions = 1e-6 * len(target) * unit * np.eye(width), np.zeros(width), []
    for arm in range(fit_rows.arms):
        rows = fit_rows.action == arm
        weighted = fit_rows.context[rows] * weight[rows, None]
        square, product = weighted.T @ fit_rows.context[rows], weighted.T @ target[rows]
        solved = np.linalg.solve(square + pull, np.column_stack([square, product]))
        left += square - square @ solved[:, :width]
        right += product - square @ solved[:, width]
        solutions.append(solved)
    common = np.linalg.solve(left, right)
    return np.stack([common + solved[:, width] - solved[:, :width] @ common for solved in solutions])


LEARNERS: dict[Learner, Callable[[Lessons, Lessons], np.ndarray]] = {
    "frequency": frequency,
    "ridge": ridge,
    "logistic": logistic,
    "xgboost": xgboost,
}
