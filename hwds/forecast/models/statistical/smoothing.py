"""Exponential smoothing of one series in a given form: its fit, compiled, and its forecast."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from hwds.core.numba_cache import compiled, helper

NONE, ADDED, MULTIPLIED = range(3)
"""What a trend or a season may be, and (the last two) an error."""

LEAST_PACE, MOST_PACE = 0.0001, 0.9999
LEAST_DAMPING, MOST_DAMPING = 0.8, 0.98
"""Bounds of the level's smoothing parameter, and of the part of a trend that a row keeps, as in R's forecast."""

BEGIN = (0.3, 0.1, 0.1, 0.8)
"""Where the search begins: each parameter as a share of what it may be."""

WIDEST, FINEST = 0.2, 0.01
"""The first step of the search, and the one that it ends before."""

PRIOR = 10.0
"""What a trend that follows the level at once costs in -2 log likelihood, for each row of a season.

Chosen on the last windows of M3's training parts, as that of `damped_trend`.
"""


class Form(NamedTuple):
    """A form of exponential smoothing.

    Attributes:
        error: ADDED or MULTIPLIED.
        trend, seasonal: NONE, ADDED or MULTIPLIED.
        damped: Whether the trend fades.
    """

    error: int
    trend: int
    seasonal: int
    damped: bool

    @property
    def searched(self) -> tuple[bool, bool, bool, bool]:
        """Whether each of the four parameters is searched: the smoothing of level, trend and season, and the damping."""
        return True, self.trend != NONE, self.seasonal != NONE, self.damped


class Smoothed(NamedTuple):
    """A fitted form.

    Attributes:
        form: The form.
        loss: -2 log likelihood, without constants, and the prior.
        level_pace, trend_pace, season_pace: The smoothing parameters; the trend's is a share of the level's.
        damping: The part of the trend that a row keeps.
        level, trend: The state after the last row.
        square: The sum of the squared errors, relative ones where errors multiply.
        seasons: The state of each place in the season, shape (m,), from the place of the first row on.
    """

    form: Form
    loss: float
    level_pace: float
    trend_pace: float
    season_pace: float
    damping: float
    level: float
    trend: float
    square: float
    seasons: np.ndarray


def fit_smoothing(values: np.ndarray, form: Form, begin: tuple[float, float], factors: np.ndarray, season: int) -> Smoothed:
    """Fit a form by maximum likelihood.

    Hyndman, Koehler, Ord and Snyder (2008), Forecasting with Exponential Smoothing, chapters 2 and 5. The states before the
    first row are not searched: the series is smoothed backwards first, and they are what this ends with (backcasting: Box,
    Jenkins and Reinsel, 4th ed., section 7.1.4), so that the search is over four numbers at most. A trend that follows the
    level is drawn to one that does not: else short series are forecast by their last rows' slope.

    Args:
        values: The series, shape (n,); above 0 where something multiplies.
        form: The form.
        begin: The level after the last row, and its change or growth from row to row backwards, from which the backward
            smoothing begins.
        factors: Those of the season, shape (m,); one of 0 where the form has none.
        season: Rows in a season, whether or not the form has one.
    """
    paces, seasons, result = np.array(BEGIN), np.empty(len(factors)), np.zeros(8)
    searched, prior = np.array(form.searched), PRIOR * season
    compiled(smoothing_search)(
        np.ascontiguousarray(values, np.float64), form[:3], searched, begin, factors, prior, paces, seasons, result
    )
    return Smoothed._make([form, *result.tolist(), seasons])


def smoothing_search(
    values: np.ndarray,
    kinds: tuple[int, int, int],
    searched: np.ndarray,
    begin: tuple[float, float],
    factors: np.ndarray,
    prior: float,
    paces: np.ndarray,
    seasons: np.ndarray,
    result: np.ndarray,
) -> None:
    """Write the fit into `seasons` and into `result`, in the order of `Smoothed`, the least loss that is met from `paces` on.

    One parameter after the other goes a step up or down where that lowers the loss; where none does, steps are halved.
    """
    best, step = _loss(values, kinds, searched, begin, factors, prior, paces, seasons, result), WIDEST
    while step > FINEST:
        lower = False
        for k in range(2 * len(paces)):
            before = paces[k // 2]
            if searched[k // 2]:
                paces[k // 2] = min(max(before + (step if k % 2 else -step), 0.0), 1.0)
                loss = _loss(values, kinds, searched, begin, factors, prior, paces, seasons, result)
                if loss < best:
                    best, lower = loss, True
                else:
                    paces[k // 2] = before
        if not lower:
            step *= 0.5
    _loss(values, kinds, searched, begin, factors, prior, paces, seasons, result)


@helper
def _loss(
    values: np.ndarray,
    kinds: tuple[int, int, int],
    searched: np.ndarray,
    begin: tuple[float, float],
    factors: np.ndarray,
    prior: float,
    paces: np.ndarray,
    seasons: np.ndarray,
    result: np.ndarray,
) -> float:
    """Return what is made least, infinite where a mean that errors multiply is not above 0; write the fit."""
    error, trend, seasonal = kinds
    pace = LEAST_PACE + (MOST_PACE - LEAST_PACE) * paces[0]
    share = paces[1] if searched[1] else 0.0
    season_pace = paces[2] * (1.0 - pace) if searched[2] else 0.0
    damping = LEAST_DAMPING + (MOST_DAMPING - LEAST_DAMPING) * paces[3] if searched[3] else 1.0
    level, slope, square, logs = begin[0], begin[1], 0.0, 0.0
    for i in range(len(seasons)):
        seasons[i] = factors[i]
    for row in range(-len(values), len(values)):
        place = (-row - 1 if row < 0 else row) % len(seasons)
        value, about = values[-row - 1 if row < 0 else row], seasons[place]
        if row == 0:  # the backward path has come to the first row, and turns a row before it
            level, slope = _base(level, slope, damping, trend), 1.0 / slope if trend == MULTIPLIED else -slope
            square, logs = 0.0, 0.0
        base = _base(level, slope, damping, trend)
        mean = base * about if seasonal == MULTIPLIED else base + about
        miss = value - mean
        if error == MULTIPLIED:
            miss /= mean
            logs += math.log(mean)
        square += miss * miss
        level, slope, seasons[place] = _next(
            value, base, level, slope, about, trend, seasonal, pace, share, season_pace, damping
        )
    loss = len(values) * math.log(square) + 2.0 * logs + prior * share
    loss = math.inf if math.isnan(loss) else loss
    result[0], result[1], result[2], result[3], result[4] = loss, pace, share, season_pace, damping
    result[5], result[6], result[7] = level, slope, square
    return loss


@helper
def _base(level: float, slope: float, damping: float, trend: int) -> float:
    """Return the level a row ahead."""
    if trend == MULTIPLIED:
        return level * slope**damping
    return level + damping * slope if trend == ADDED else level


@helper
def _next(
    value: float,
    base: float,
    level: float,
    slope: float,
    about: float,
    trend: int,
    seasonal: int,
    pace: float,
    share: float,
    season_pace: float,
    damping: float,
) -> tuple[float, float, float]:
    """Return level, trend and the place's season after a value, `base` being the level that was expected."""
    moved = base + pace * ((value / about if seasonal == MULTIPLIED else value - about) - base)
    if trend == MULTIPLIED:
        slope = slope**damping
        slope += share * (moved / level - slope)
    elif trend == ADDED:
        slope *= damping
        slope += share * (moved - level - slope)
    if seasonal == MULTIPLIED:
        about += season_pace * (value / base - about)
    elif seasonal == ADDED:
        about += season_pace * (value - base - about)
    return moved, slope, about


def smoothed_ahead(fit: Smoothed, rows: int, steps: int) -> np.ndarray:
    """Return the forecast of the next rows, shape (steps,).

    Args:
        fit: Of the series.
        rows: Rows of the series.
        steps: Steps to answer for.
    """
    reach = np.cumsum(fit.damping ** np.arange(1, steps + 1))
    base = fit.level * fit.trend**reach if fit.form.trend == MULTIPLIED else fit.level + fit.trend * reach
    about = fit.seasons[(rows + np.arange(steps)) % len(fit.seasons)]
    return base * about if fit.form.seasonal == MULTIPLIED else base + about


def smoothed_paths(fit: Smoothed, rows: int, shocks: np.ndarray) -> np.ndarray:
    """Return paths of the next rows, shape (steps, paths), of a form whose errors multiply.

    Args:
        fit: Of the series.
        rows: Rows of the series.
        shocks: The relative errors, shape (steps, paths), above -1.
    """
    out, seasons = np.empty(shocks.shape), np.empty(len(fit.seasons))
    state = np.array(fit[2:8])
    compiled(smoothing_paths)(fit.form[1:3], state, fit.seasons, rows, shocks, seasons, out)
    return out


def smoothing_paths(
    kinds: tuple[int, int],
    state: np.ndarray,
    begin: np.ndarray,
    rows: int,
    shocks: np.ndarray,
    seasons: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write the paths; `state` is in the order of `Smoothed`, from the level's smoothing on, `seasons` is space."""
    trend, seasonal = kinds
    pace, share, season_pace, damping = state[0], state[1], state[2], state[3]
    steps, paths = shocks.shape
    for path in range(paths):
        level, slope = state[4], state[5]
        for i in range(len(seasons)):
            seasons[i] = begin[i]
        for step in range(steps):
            place = (rows + step) % len(seasons)
            about = seasons[place]
            base = _base(level, slope, damping, trend)
            value = (base * about if seasonal == MULTIPLIED else base + about) * (1.0 + shocks[step, path])
            level, slope, seasons[place] = _next(
                value, base, level, slope, about, trend, seasonal, pace, share, season_pace, damping
            )
            out[step, path] = value
