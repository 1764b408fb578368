"""Poisson pseudo-maximum likelihood with cell and period effects swept out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwds.core.errors import DataError
from hwds.elasticity.estimation.clusters import RobustVariance, free_effects, numbered, robust_variance
from hwds.elasticity.estimation.sweeping import Sweeper

MOST_STEPS = 60
"""Steps of iteratively reweighted least squares at most."""

ROUGH_STEPS, ROUGHLY_SWEPT, SWEPT = 2, 1e-4, 1e-9
"""The first steps, far from the end, and the tolerance of sweeping in them and in the others."""

ABSORBED = 1e-10
"""The share of a column's sum of squares within cells that sweeping must leave."""

EXPONENT = 30.0
"""The largest absolute log mean, relative to the mean of all."""


@dataclass(frozen=True, eq=False)
class PoissonFit:
    """A fit by Poisson pseudo-maximum likelihood.

    Attributes:
        beta: Slopes, shape (k,).
        bread: The inverse of the information, shape (k, k).
        scores: Of each row that was used, shape (n, k).
        mean: Fitted means of the rows that were used, shape (n,).
        used: Which rows were used: cells and periods without a sale tell nothing of a slope; shape of the rows given.
        steps: Of the iteration.
        units: What was sold in the rows that were used, shape (n,).
        effects: The cell, and the period where it has effects, of the rows that were used.
        rows: The swept columns times the roots of the weights, shape (n, k).
    """

    beta: np.ndarray
    bread: np.ndarray
    scores: np.ndarray
    mean: np.ndarray
    used: np.ndarray
    steps: int
    units: np.ndarray
    effects: tuple[np.ndarray, ...]
    rows: np.ndarray

    def variance(
        self, ways: Sequence[np.ndarray], rng: np.random.Generator | None = None, level: float = 0.95
    ) -> RobustVariance:
        """Return the cluster-robust variance; `ways` are clusterings of all rows given."""
        known = [way[self.used] for way in ways]
        lost = len(self.beta) + sum(free_effects(effect, known) for effect in self.effects)
        return robust_variance(self.beta, self.bread, self.scores, known, lost=lost, rows=self.rows, rng=rng, level=level)

    def iid_variance(self) -> np.ndarray:
        """Return the variance that takes rows as independent with one dispersion: what clustered errors are compared with."""
        n, k = self.scores.shape
        pearson = (self.units - self.mean) ** 2 / np.maximum(self.mean, 1e-300)
        return np.asarray(self.bread * float(np.mean(pearson) * n / max(n - k, 1)))


def ppml(
    units: np.ndarray,
    x: np.ndarray,
    cell: np.ndarray,
    period: np.ndarray | None,
    *,
    offset: np.ndarray | None = None,
    weight: np.ndarray | None = None,
    tolerance: float = 1e-10,
) -> PoissonFit:
    """Fit log E[units] = offset + cell effect + period effect + x beta.

    Iteratively reweighted least squares, each step a regression of columns from which both effects are swept (Correia,
    Guimaraes and Zylkin 2020, Fast Poisson estimation with high-dimensional fixed effects). Consistent whatever the law of
    the units, zeros included, as long as their mean is right (Santos Silva and Tenreyro 2006).

    Args:
        units: At least 0, shape (n,).
        x: Columns that vary within cells, shape (n, k).
        cell: Numbers of cells, rows sorted by them, shape (n,).
        period: Numbers of periods, shape (n,); None for no period effects.
        offset: Added to the log mean, shape (n,); None for 0.
        weight: Of each row, at least 0, shape (n,); None for 1.
        tolerance: Of the relative change of the deviance.

    Raises:
        DataError: Nothing was sold, or a column is a combination of others and the effects.
    """
    weights = np.ones(len(units)) if weight is None else weight
    used = with_sales(units * weights, cell, period) & (weights > 0)
    if not used.any():
        raise DataError("dataset: nothing was sold in any cell.")
    y, columns, w = units[used], np.ascontiguousarray(x[used], float), weights[used]
    known = np.zeros(len(y)) if offset is None else offset[used]
    codes = numbered(cell[used])
    sweeper = Sweeper.of(codes, None if period is None else numbered(period[used]))
    mean = (y + np.bincount(codes, y)[codes] / np.diff(sweeper.starts)[codes]) / 2
    bounds = np.log(np.mean(y)) + np.array([-EXPONENT, EXPONENT])
    eta, deviance, steps = np.log(mean), np.inf, 0
    swept, beta, gram = columns, np.zeros(columns.shape[1]), np.eye(columns.shape[1])
    for step in range(1, MOST_STEPS + 1):
        steps = step
        working = eta - known + (y - mean) / mean
        exact = step > ROUGH_STEPS
        both = sweeper.residuals(np.column_stack([working, columns]), w * mean, SWEPT if exact else ROUGHLY_SWEPT)
        target, swept = both[:, 0], both[:, 1:]
        _refuse_absorbed(columns, swept, w * mean, codes)
        weighted = swept * (w * mean)[:, None]
        gram = weighted.T @ swept
        beta = _solved(gram, weighted.T @ target, columns.shape[1])
        eta = np.clip(known + working - target + swept @ beta, *bounds)
        mean = np.exp(eta)
        before, deviance = deviance, poisson_deviance(y, mean, w)
        if exact and abs(before - deviance) <= tolerance * max(deviance, 0.1):
            break
    scores, effects = swept * (w * (y - mean))[:, None], (cell[used],) if period is None else (cell[used], period[used])
    bread = np.linalg.inv(gram) if len(gram) else gram
    return PoissonFit(beta, bread, scores, mean, used, steps, y, effects, swept * np.sqrt(w * mean)[:, None])


def _refuse_absorbed(columns: np.ndarray, swept: np.ndarray, weight: np.ndarray, cell: np.ndarray) -> None:
    """Refuse columns of which period effects leave nothing."""
    total = np.bincount(cell, weight)
    for column, rest in zip(columns.T, swept.T, strict=True):
        mean = np.bincount(cell, weight * column) / np.where(total > 0, total, 1.0)
        if float(weight @ rest**2) <= ABSORBED * float(weight @ (column - mean[cell]) ** 2):
            raise DataError("dataset: a column of the model is a combination of others and of cell and period effects.")


def with_sales(units: np.ndarray, cell: np.ndarray, period: np.ndarray | None) -> np.ndarray:
    """Return which rows are in cells and periods in which anything was sold, shape (n,)."""
    used = np.ones(len(units), bool)
    while True:
        keep = np.bincount(cell, units * used)[cell] > 0
        if period is not None:
            keep &= np.bincount(period, units * used)[period] > 0
        if (used <= keep).all():
            return used
        used &= keep


def poisson_deviance(units: np.ndarray, mean: np.ndarray, weight: np.ndarray) -> float:
    """Return twice the log-likelihood that is lacking to a perfect fit."""
    logs = np.where(units > 0, units * np.log(np.maximum(units, 1e-300) / mean), 0.0)
    return float(2 * np.sum(weight * (logs - (units - mean))))


def _solved(gram: np.ndarray, right: np.ndarray, count: int) -> np.ndarray:
    if not count:
        return np.zeros(0)
    scale = np.sqrt(np.maximum(np.diag(gram), 1e-300))
    if np.linalg.cond(gram / np.outer(scale, scale)) > 1e12:
        raise DataError("dataset: a column of the model is a combination of others and of cell and period effects.")
    return np.linalg.solve(gram, right)
