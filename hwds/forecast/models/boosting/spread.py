"""Quantiles of two boosters: the median, the spread about it, and the shape of what is left, which is one for all rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwds.forecast.models.boosting.growing import Early, Growing
from hwds.forecast.models.boosting.turns import Turns
from hwds.forecast.models.windows.rows import TrainingRows

ROUNDS, DEPTH, PACE = 40, 4, 0.12
"""The rounds, the levels of a tree and the learning rate of the booster of the spread: it differs less than the median does."""

PRIOR = 50.0
"""Rows that a normal distribution counts as, beside those that the shape is measured on."""

LEAST = 1e-3
"""An error below this share of the mean error counts as this: a logarithm is taken of its expectation."""


@dataclass(frozen=True, eq=False)
class Boosters:
    """The boosters of a forecast, in XGBoost's own format (UBJSON).

    Attributes:
        median: Of the median of what the seasonal naive missed, or of a location near it.
        spread: Of the expected distance from it.
        shape: Where each level lies, in spreads from what `median` predicts, shape (levels,).
    """

    median: bytes
    spread: bytes
    shape: np.ndarray


def fit_boosters(
    growing: Growing, rows: TrainingRows, last: TrainingRows, grid: tuple[float, ...], constrained: np.ndarray
) -> Boosters:
    """Grow the booster of the median, then that of the distance from it, and measure the shape on rows that were not learned.

    Trees for each level cost as many times as much, and the outer ones rest on few rows each. The distance is learned as the
    mean of a gamma distribution; in the rows that were learned it is too small by much the same share everywhere, which the
    shape makes good: it is measured on the last horizon, forecast by the booster that had not seen it. A smoothed loss learns
    a location between the median and the mean; how far the median is from it, in spreads, is measured on all rows, for those of
    one horizon share its shocks.

    Args:
        growing: How the booster of the median is grown.
        rows: Training rows.
        last: Rows of the last horizon, by which growing stops.
        grid: The levels.
        constrained: Which inputs the forecast may only rise or fall with; the spread does not depend on them, for all levels
            are then held to it as the median is; shape (columns,).
    """
    early = growing.early(rows, last)
    turns = Turns.of(growing, rows)
    rows, median = turns.rows, turns.grow(growing, growing.rounds(early))
    learned = turns.predict(median)
    error = np.abs(rows.target - learned)
    error = np.maximum(error, max(LEAST * float(error.mean()), 1e-6))
    free = np.where(constrained, np.float32(np.nan), rows.inputs) if constrained.any() else rows.inputs
    spreading = _of_spread(growing)
    if constrained.any():
        turns = Turns.of(spreading, replace(rows, inputs=free, target=error))
    else:
        turns.relabel(error)
    spread = turns.grow(spreading, ROUNDS)
    honest = rows.late if early is not None and rows.late.any() else np.ones(len(rows.target), bool)
    missed = rows.target[honest] - _answered(early, median, rows.inputs[honest])
    shape = shape_of(missed / spread.inplace_predict(free[honest]), grid)
    if growing.smooth:
        shape = shape + np.median((rows.target - learned) / turns.predict(spread))
    return Boosters(bytes(median.save_raw("ubj")), bytes(spread.save_raw("ubj")), shape)


def _answered(early: Early | None, median: Any, inputs: np.ndarray) -> np.ndarray:
    return early.predict(inputs) if early is not None else np.asarray(median.inplace_predict(inputs))


def _of_spread(growing: Growing) -> Growing:
    """Return the growing of the spread."""
    unlike = ("monotone_constraints", "base_score", "disable_default_eval_metric", "huber_slope", "eval_metric")
    settings = {name: value for name, value in growing.settings.items() if name not in unlike}
    depth = min(DEPTH, int(settings["max_depth"]))
    settings |= {"objective": "reg:gamma", "max_depth": depth, "eta": PACE}
    return Growing(settings, ROUNDS, 0)


def shape_of(distances: np.ndarray, grid: tuple[float, ...]) -> np.ndarray:
    """Return the quantiles of distances from the median, drawn towards those of a normal distribution; 0 at the median.

    Args:
        distances: In spreads, shape (rows,).
        grid: The levels.
    """
    from scipy.stats import norm

    normal = norm.ppf(grid) * np.sqrt(np.pi / 2)
    seen = np.quantile(distances - np.median(distances), grid)
    shape: np.ndarray = (len(distances) * seen + PRIOR * normal) / (len(distances) + PRIOR)
    return shape
