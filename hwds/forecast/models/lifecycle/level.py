"""Each series' own level: a first-order autoregression seen through noise, filtered for all series at once.

The level of a row is `keep` times that of the row before, and a change; at a series' first row it has the variance `launch`.
Filtering the columns of a design as the target is filtered whitens a regression exactly (Harvey 1989, Forecasting, Structural
Time Series Models and the Kalman Filter, section 3.4).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwds.core.recipe import Recipe


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

    def seen(self, noise: float) -> Level:
        """Return the same movement beside another noise."""
        return Level(keep=self.keep, change=self.change, launch=self.launch, noise=noise)

    def ahead(self, variance: np.ndarray, horizon: int) -> np.ndarray:
        """Return the variance of log sales, from that of the next row's level (n,); shape (n, horizon), in noise units."""
        decay = self.keep ** (2 * np.arange(horizon))
        grown = np.cumsum(np.append(0.0, decay[:-1])) * self.change
        return np.outer(variance, decay) + grown + 1.0


class Filtered(NamedTuple):
    """The result of a filter.

    Attributes:
        white: The columns as whitened innovations, 0 in rows without a target; shape (rows, k).
        spread: The standard deviation of each row's innovation in noise units, NaN in rows without a target; shape (rows,).
        state: The expected next level of each series, by column; shape (n_series, k).
        variance: Its variance in noise units, shape (n_series,).
    """

    white: np.ndarray
    spread: np.ndarray
    state: np.ndarray
    variance: np.ndarray


def filtered(columns: np.ndarray, known: np.ndarray, offsets: np.ndarray, level: Level) -> Filtered:
    """Filter columns series by series, all series together row by row.

    Args:
        columns: Shape (rows, k); what it holds where `known` is false is not read.
        known: Which rows have a target, shape (rows,).
        offsets: Where each series begins, and the end.
        level: How levels move.
    """
    lengths = np.diff(offsets)
    order = np.argsort(-lengths, kind="stable")
    alive = np.searchsorted(-lengths[order], -np.arange(lengths.max(initial=0)), side="left")
    white, spread = np.zeros(columns.shape), np.full(len(columns), np.nan)
    state, variance = np.zeros((len(lengths), columns.shape[1])), np.full(len(lengths), level.launch)
    starts = offsets[:-1][order]
    for position, count in enumerate(alive):
        rows = starts[:count] + position
        seen = known[rows]
        total = variance[:count] + 1.0
        innovation = np.where(seen[:, None], columns[rows], state[:count]) - state[:count]
        white[rows] = innovation / np.sqrt(total)[:, None]
        spread[rows] = np.where(seen, np.sqrt(total), np.nan)
        gain = np.where(seen, variance[:count] / total, 0.0)
        state[:count] = level.keep * (state[:count] + gain[:, None] * innovation)
        variance[:count] = level.keep**2 * variance[:count] * (1 - gain) + level.change
    back = np.argsort(order, kind="stable")
    return Filtered(white, spread, state[back], variance[back])


def fit_level(residual: np.ndarray, offsets: np.ndarray, start: Level) -> Level:
    """Return the level under which residuals are most likely, found by Nelder-Mead from `start`.

    Args:
        residual: Shape (rows,), NaN where unknown.
        offsets: Where each series begins, and the end.
        start: Where the search begins.
    """
    from scipy.optimize import minimize

    known = ~np.isnan(residual)
    column = np.nan_to_num(residual)[:, None]

    def cost(point: np.ndarray) -> float:
        done = filtered(column, known, offsets, _level(point))
        noise = np.mean(done.white[known] ** 2)
        return float(np.log(max(noise, 1e-12)) + 2 * np.mean(np.log(done.spread[known])))

    begin = np.array([np.log((start.keep - 0.8) / (1.0 - start.keep)), np.log(start.change), np.log(start.launch)])
    best = _level(minimize(cost, begin, method="Nelder-Mead", options={"maxfev": 80, "xatol": 0.05, "fatol": 1e-4}).x)
    noise = float(np.mean(filtered(column, known, offsets, best).white[known] ** 2))
    return best.seen(max(noise, 1e-6))


def _level(point: np.ndarray) -> Level:
    """Return a level from free numbers: a share between .8 and 1 that is kept, variances between bounds."""
    keep = 0.8 + 0.2 / (1.0 + np.exp(-np.clip(point[0], -8, 8)))
    change, launch = np.exp(np.clip(point[1:], -9.0, 7.0))
    return Level(keep=float(keep), change=float(change), launch=float(launch))
