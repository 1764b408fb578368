"""Reward models: what each arm would bring in each context, fitted without the rows that are asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from hwds.models.ope.base import Learner

PULL = 10.0
"""Rows that the mean of all arms counts as beside an arm's own, and the arm's beside a cell's."""

NEWTON = 12
"""Steps of the logistic fit, which starts near enough for six."""

TREES, DEPTH, RATE = 100, 4, 0.1
"""XGBoost's settings: shallow, for rewards are noisy."""


@dataclass(frozen=True, eq=False)
class Lessons:
    """Logged rows to learn from, or to be asked about.

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
        """Some of the rows."""
        parts = {name: getattr(self, name)[which] for name in ("context", "cell", "action", "reward")}
        return replace(self, **parts)


def cross_fitted(learner: Learner, lessons: Lessons, part: np.ndarray) -> np.ndarray:
    """The expected reward of each arm in each row, from a model fitted on the other parts, shape (n, arms).

    Predictions are held inside the range of the rewards that were learned from.

    Args:
        learner: The kind of reward model.
        lessons: The log.
        part: The number of the part that each row is in, shape (n,).
    """
    expected = np.empty((len(part), lessons.arms))
    for held in np.unique(part):
        known, asked = lessons.rows(part != held), lessons.rows(part == held)
        answers = LEARNERS[learner](known, asked)
        expected[part == held] = np.clip(answers, known.reward.min(), known.reward.max())
    return expected


def frequency(known: Lessons, asked: Lessons) -> np.ndarray:
    """Mean rewards by arm and combination of names, each pulled to the arm's mean, and that to the mean of all."""
    everywhere = _pulled(known, known.action, np.full(known.arms, float(np.mean(known.reward))))
    width = 1 + int(max(known.cell.max(), asked.cell.max()))
    place = known.cell * known.arms + known.action
    inside = _pulled(known, place, np.tile(everywhere, width)).reshape(width, known.arms)
    return inside[asked.cell]


def _pulled(known: Lessons, place: np.ndarray, towards: np.ndarray) -> np.ndarray:
    size = len(towards)
    return (np.bincount(place, known.reward, size) + PULL * towards) / (np.bincount(place, minlength=size) + PULL)


def ridge(known: Lessons, asked: Lessons) -> np.ndarray:
    """A line for each arm, pulled to one line for all."""
    return asked.context @ _lines(known, known.reward, np.ones(len(known.reward))).T


def logistic(known: Lessons, asked: Lessons) -> np.ndarray:
    """The same for the log-odds of the reward's place in its range, by Newton's method (iteratively reweighted ridge)."""
    least, most = float(known.reward.min()), float(known.reward.max())
    if least == most:
        return np.full((len(asked.action), known.arms), least)
    share = (known.reward - least) / (most - least)
    middle = (np.sum(share) + 0.5) / (len(share) + 1)
    lines = np.zeros((known.arms, known.context.shape[1]))
    lines[:, 0] = np.log(middle / (1 - middle))
    for _ in range(NEWTON):
        score = np.clip(np.sum(known.context * lines[known.action], axis=1), -30, 30)
        odds = 1 / (1 + np.exp(-score))
        weight = np.maximum(odds * (1 - odds), 1e-9)
        lines = _lines(known, score + (share - odds) / weight, weight, middle * (1 - middle))
    return least + (most - least) / (1 + np.exp(-np.clip(asked.context @ lines.T, -30, 30)))


def xgboost(known: Lessons, asked: Lessons) -> np.ndarray:
    """Boosted trees on the context and the arm."""
    from xgboost import DMatrix, train

    names = np.eye(known.arms)
    settings = {"max_depth": DEPTH, "eta": RATE, "nthread": known.cpus, "seed": known.seed, "tree_method": "hist"}
    rows = DMatrix(np.hstack([known.context, names[known.action]]), known.reward)
    booster = train(settings | {"base_score": float(np.mean(known.reward))}, rows, TREES)
    n = len(asked.action)
    each = [booster.predict(DMatrix(np.hstack([asked.context, np.tile(name, (n, 1))]))) for name in names]
    return np.stack(each, axis=1).astype(np.float64)


def _lines(known: Lessons, wanted: np.ndarray, weight: np.ndarray, unit: float = 1.0) -> np.ndarray:
    """Weighted least squares of a line for each arm, shape (arms, width), their distances from a common line penalised.

    The common line is solved for first, each arm's line given it (the two levels of a mixed model; Gelman and Hill 2007,
    chapter 12).

    Args:
        known: The rows.
        wanted: What the lines should give, shape (n,).
        weight: Of each row, shape (n,).
        unit: A typical weight, by which the penalty is scaled.
    """
    width, pull = known.context.shape[1], PULL * unit * np.eye(known.context.shape[1])
    left, right, own = 1e-6 * len(wanted) * unit * np.eye(width), np.zeros(width), []
    for arm in range(known.arms):
        rows = known.action == arm
        weighted = known.context[rows] * weight[rows, None]
        square, product = weighted.T @ known.context[rows], weighted.T @ wanted[rows]
        held = np.linalg.solve(square + pull, np.column_stack([square, product]))
        left += square - square @ held[:, :width]
        right += product - square @ held[:, width]
        own.append(held)
    common = np.linalg.solve(left, right)
    return np.stack([common + held[:, width] - held[:, :width] @ common for held in own])


LEARNERS: dict[Learner, Callable[[Lessons, Lessons], np.ndarray]] = {
    "frequency": frequency,
    "ridge": ridge,
    "logistic": logistic,
    "xgboost": xgboost,
}
