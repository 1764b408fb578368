"""Partial pooling over launches, and the level of each series, filtered for all at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy import ndarray

from hwds.core.recipe import Recipe

# Partial pooling: a ridge regression whose blocks of coefficients are shrunk by as much as the
# data says.

LEAST_VARIANCE, MOST_VARIANCE = 1e-8, 1e4
"""Bounds of a block's variance, in noise units."""


class NormalEquations(NamedTuple):
    """The normal equations of a whitened regression: X'X, X'y, y'y and the number of rows."""

    gram: ndarray
    moment: ndarray
    square: float
    rows: int

    @classmethod
    def of(cls, white: ndarray, rows: int) -> NormalEquations:
        """Return the equations of whitened columns, of which the first is the target."""
        product = white.T @ white
        return cls(product[1:, 1:], product[1:, 0], float(product[0, 0]), rows)

    def without(self, other: NormalEquations) -> NormalEquations:
        """Return the equations without the rows of another."""
        return NormalEquations(
            self.gram - other.gram,
            self.moment - other.moment,
            self.square - other.square,
            self.rows - other.rows,
        )


class PooledRegression(NamedTuple):
    """A fitted regression.

    Attributes:
        coefficients: Shape (p,).
        covariance: Their posterior covariance in noise units, shape (p, p).
        variances: The prior variance of each block in noise units, shape (blocks,).
        noise: The variance of the noise of one row.
    """

    coefficients: ndarray
    covariance: ndarray
    variances: ndarray
    noise: float


def pool_coefficients(
    normal: NormalEquations,
    blocks: ndarray,
    fixed: ndarray,
    start: ndarray,
    noise: float,
    rounds: int,
) -> PooledRegression:
    """Return coefficients and the prior variances of their blocks by the evidence (MacKay 1992,
    "Bayesian interpolation").

    Args:
        normal: The normal equations.
        blocks: The block of each coefficient, shape (p,).
        fixed: Blocks whose variance is not learned, shape (blocks,), bool.
        start: Prior variances to begin from, in noise units, shape (blocks,).
        noise: The variance of the noise to begin from.
        rounds: The rounds in which coefficients and variances are found from each other.
    """
    variances, sizes = start.copy(), np.bincount(blocks, minlength=len(start))
    for _ in range(rounds):
        coefficients, covariance = solve_coefficients(normal, variances[blocks])
        # degrees of freedom that the data fixes, by block (MacKay): the rest is the prior
        unsaid = np.bincount(blocks, np.diag(covariance), len(variances)) / variances
        learned = np.maximum(sizes - unsaid, 1e-3)
        size = np.bincount(blocks, coefficients**2, len(variances)) / noise
        variances = np.where(fixed, start, np.clip(size / learned, LEAST_VARIANCE, MOST_VARIANCE))
        missed = (
            normal.square
            - 2 * coefficients @ normal.moment
            + coefficients @ normal.gram @ coefficients
        )
        noise = max(float(missed / max(normal.rows - learned.sum(), 1.0)), 1e-9)
    coefficients, covariance = solve_coefficients(normal, variances[blocks])
    return PooledRegression(coefficients, covariance, variances, noise)


def solve_coefficients(normal: NormalEquations, variances: ndarray) -> tuple[ndarray, ndarray]:
    """Return the coefficients under given prior variances, shape (p,), and their covariance in
    noise units, shape (p, p).
    """
    # scaled, so that a block of next to no variance does no harm to the condition
    root = np.sqrt(variances)
    scaled = root[:, None] * normal.gram * root + np.eye(len(root))
    inverse = np.linalg.inv(scaled)
    covariance = root[:, None] * (inverse + inverse.T) / 2 * root
    return covariance @ normal.moment, covariance


# Each series' own level: a first-order autoregression seen through noise, filtered for all
# series at once.
# The level of a row is `keep` times that of the row before, and a change; at a series' first
# row it has the variance `launch`. Filtering the columns of a design as the target is filtered
# whitens a regression exactly (Harvey 1989, Forecasting, Structural Time Series Models and the
# Kalman Filter, section 3.4).


class Level(Recipe):
    """The movement of levels; variances are in units of the noise variance of one row.

    Attributes:
        keep: The share of a level that is left a row later.
        change: The variance of its change from row to row.
        launch: Its variance at the first row.
        noise: The variance of the noise of one row, of the log.
    """

    keep: float = 0.98
    change: float = 0.2
    launch: float = 2.0
    noise: float = 0.05

    def with_noise(self, noise: float) -> Level:
        """Return the same movement beside another noise."""
        return Level(keep=self.keep, change=self.change, launch=self.launch, noise=noise)

    def ahead(self, variance: ndarray, horizon: int) -> ndarray:
        """Return the variance of log sales, from that of the next row's level (n,).

        Shape (n, horizon), in noise units.
        """
        decay = self.keep ** (2 * np.arange(horizon))
        grown = np.cumsum(np.append(0.0, decay[:-1])) * self.change
        return np.outer(variance, decay) + grown + 1.0


class FilteredColumns(NamedTuple):
    """The result of a filter.

    Attributes:
        white: The columns as whitened innovations, 0 in rows without a target; shape (rows, k).
        spread: The standard deviation of each row's innovation in noise units, NaN in rows without
            a target; shape (rows,).
        state: The expected next level of each series, by column; shape (n_series, k).
        variance: Its variance in noise units, shape (n_series,).
    """

    white: ndarray
    spread: ndarray
    state: ndarray
    variance: ndarray


def filter_columns(
    columns: ndarray, known: ndarray, offsets: ndarray, level: Level
) -> FilteredColumns:
    """Filter columns series by series, all series together row by row.

    Args:
        columns: Shape (rows, k); what it holds where `known` is false is not read.
        known: A flag for each row that has a target, shape (rows,).
        offsets: The first row of each series, and the end.
        level: The movement of levels.
    """
    lengths = np.diff(offsets)
    # longest first, so that the series that still have a row are the first ones at every position
    order = np.argsort(-lengths, kind="stable")
    alive = np.searchsorted(-lengths[order], -np.arange(lengths.max(initial=0)), side="left")
    white, spread = np.zeros(columns.shape), np.full(len(columns), np.nan)
    state = np.zeros((len(lengths), columns.shape[1]))
    variance = np.full(len(lengths), level.launch)
    starts = offsets[:-1][order]
    for position, count in enumerate(alive):
        rows = starts[:count] + position
        seen = known[rows]
        # a row without a target leaves the level as it was expected
        total = variance[:count] + 1.0
        innovation = np.where(seen[:, None], columns[rows], state[:count]) - state[:count]
        white[rows] = innovation / np.sqrt(total)[:, None]
        spread[rows] = np.where(seen, np.sqrt(total), np.nan)
        gain = np.where(seen, variance[:count] / total, 0.0)
        state[:count] = level.keep * (state[:count] + gain[:, None] * innovation)
        variance[:count] = level.keep**2 * variance[:count] * (1 - gain) + level.change
    back = np.argsort(order, kind="stable")
    return FilteredColumns(white, spread, state[back], variance[back])


def fit_level(residual: ndarray, offsets: ndarray, start: Level) -> Level:
    """Return the level under which residuals are most likely, found by Nelder-Mead from `start`.

    Args:
        residual: Shape (rows,), NaN where unknown.
        offsets: The first row of each series, and the end.
        start: The level that the search begins from.
    """
    from scipy.optimize import minimize

    known = ~np.isnan(residual)
    column = np.nan_to_num(residual)[:, None]

    def cost(point: ndarray) -> float:
        done = filter_columns(column, known, offsets, _bounded_level(point))
        noise = np.mean(done.white[known] ** 2)
        return float(np.log(max(noise, 1e-12)) + 2 * np.mean(np.log(done.spread[known])))

    share = (start.keep - 0.8) / (1.0 - start.keep)
    options = {"maxfev": 80, "xatol": 0.05, "fatol": 1e-4}
    begin = np.log([share, start.change, start.launch])
    best = _bounded_level(minimize(cost, begin, method="Nelder-Mead", options=options).x)
    noise = float(np.mean(filter_columns(column, known, offsets, best).white[known] ** 2))
    return best.with_noise(max(noise, 1e-6))


def _bounded_level(point: ndarray) -> Level:
    """Return a level from free numbers: a share between .8 and 1 that is kept, variances between
    bounds.
    """
    keep = 0.8 + 0.2 / (1.0 + np.exp(-np.clip(point[0], -8, 8)))
    change, launch = np.exp(np.clip(point[1:], -9.0, 7.0))
    return Level(keep=float(keep), change=float(change), launch=float(launch))


# Forecasts of log sales after a history: a pooled regression and a level of each series' own.


def forecast_levels(
    past: ndarray,
    known: ndarray,
    offsets: ndarray,
    coming: ndarray,
    level: Level,
    coefficients: ndarray,
    covariance: ndarray,
) -> tuple[ndarray, ndarray]:
    """Return the mean and standard deviation of log sales, each of shape (n, h).

    A filter is linear, so that what it takes from the history's columns says which error of the
    coefficients the own level makes good.

    Args:
        past: The target and the design of the history's rows, shape (rows, 1 + p).
        known: A flag for each row that has a target.
        offsets: The first row of each series, and the end.
        coming: The design of the rows to come, shape (n, h, p).
        level: The movement of levels.
        coefficients: Shape (p,).
        covariance: Their covariance in noise units, shape (p, p).
    """
    done = filter_columns(past, known, offsets, level)
    decay = level.keep ** np.arange(coming.shape[1])
    design = coming - decay[:, None] * done.state[:, None, 1:]
    mean = design @ coefficients + np.outer(done.state[:, 0], decay)
    unsure = np.einsum("nhp,nhp->nh", design @ covariance, design)
    variance = level.ahead(done.variance, coming.shape[1]) + np.maximum(unsure, 0.0)
    return mean, np.sqrt(level.noise * variance)


def forecast_launches(
    coming: ndarray, level: Level, coefficients: ndarray, covariance: ndarray
) -> tuple[ndarray, ndarray]:
    """Return the same for series without a row."""
    unsure = np.einsum("nhp,nhp->nh", coming @ covariance, coming)
    variance = level.ahead(np.full(len(coming), level.launch), coming.shape[1])
    return coming @ coefficients, np.sqrt(level.noise * (variance + np.maximum(unsure, 0.0)))
