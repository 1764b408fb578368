"""Compiled fits of one series: exponential smoothing, damped trend, theta lines, global trend."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from hwds.core.compiling import compiled, helper

# Exponential smoothing of one series in a given form: its fit, compiled, and its forecast.

NONE, ADDED, MULTIPLIED = range(3)
"""What a trend or a season may be, and (the last two) an error."""

LEAST_ALPHA, MOST_ALPHA = 0.0001, 0.9999
LEAST_DAMPING, MOST_DAMPING = 0.8, 0.98
"""Bounds of the level's smoothing parameter, and of the part of a trend that a row keeps, as in R's
forecast.
"""

SMOOTHING_START = (0.3, 0.1, 0.1, 0.8)
"""Where the search begins: each parameter as a share of what it may be."""

WIDEST, FINEST = 0.2, 0.01
"""The first step of the search, and the one that it ends before."""

TREND_PENALTY = 10.0
"""What a trend that follows the level at once costs in -2 log likelihood, for each row of a season.

Chosen on the last windows of M3's training parts, as that of `damped_trend`.
"""


class SmoothingForm(NamedTuple):
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
        """Whether each of the four parameters is searched: the smoothing of level, trend and
        season, and the damping.
        """
        return True, self.trend != NONE, self.seasonal != NONE, self.damped


class SmoothingFit(NamedTuple):
    """A fitted form.

    Attributes:
        form: The form.
        loss: -2 log likelihood, without constants, and the prior.
        alpha, beta_share, gamma: The smoothing parameters; the trend's is a share of the
            level's.
        damping: The part of the trend that a row keeps.
        level, trend: The state after the last row.
        square: The sum of the squared errors, relative ones where errors multiply.
        seasons: The state of each place in the season, shape (m,), from the place of the first row
            on.
    """

    form: SmoothingForm
    loss: float
    alpha: float
    beta_share: float
    gamma: float
    damping: float
    level: float
    trend: float
    square: float
    seasons: ndarray


def fit_smoothing(
    values: ndarray,
    form: SmoothingForm,
    begin: tuple[float, float],
    factors: ndarray,
    season: int,
) -> SmoothingFit:
    """Fit a form by maximum likelihood.

    Hyndman, Koehler, Ord and Snyder (2008), Forecasting with Exponential Smoothing, chapters 2 and
    5. The states before the first row are not searched: the series is smoothed backwards first, and
    they are what this ends with (backcasting: Box, Jenkins and Reinsel, 4th ed., section 7.1.4), so
    that the search is over four numbers at most. A trend that follows the level is drawn to one
    that does not: else short series are forecast by their last rows' slope.

    Args:
        values: The series, shape (n,); above 0 where something multiplies.
        form: The form.
        begin: The level after the last row, and its change or growth from row to row backwards,
            from which the backward smoothing begins.
        factors: The factors of the season, shape (m,); one of 0 where the form has none.
        season: Rows in a season, whether or not the form has one.
    """
    task = SmoothingTask(
        np.ascontiguousarray(values, np.float64),
        form[:3],
        np.array(form.searched),
        begin,
        factors,
        TREND_PENALTY * season,
        np.array(SMOOTHING_START),
        np.empty(len(factors)),
        np.zeros(8),
    )
    compiled(smoothing_search)(task)
    return SmoothingFit._make([form, *task.result.tolist(), task.seasons])


class SmoothingTask(NamedTuple):
    """What compiled code fits a form to, and where it writes.

    Attributes:
        values, begin, factors: As in `fit_smoothing`.
        kinds, searched: Error, trend and season of the form; which parameters are searched.
        prior: The cost of a trend that follows the level at once.
        parameters: As shares of what they may be; the search begins with them, shape (4,).
        seasons, result: Space for the fit: its seasons, and its numbers in the order of
            `SmoothingFit`, shape (8,).
    """

    values: ndarray
    kinds: tuple[int, int, int]
    searched: ndarray
    begin: tuple[float, float]
    factors: ndarray
    prior: float
    parameters: ndarray
    seasons: ndarray
    result: ndarray


def smoothing_search(task: SmoothingTask) -> None:
    """Write the fit of the least loss that is met from the task's parameters on.

    One parameter after the other goes a step up or down where that lowers the loss; where none
    does, steps are halved.
    """
    parameters, searched = task.parameters, task.searched
    best, step = _smoothing_loss(task), WIDEST
    while step > FINEST:
        lower = False
        for k in range(2 * len(parameters)):
            before = parameters[k // 2]
            if searched[k // 2]:
                parameters[k // 2] = min(max(before + (step if k % 2 else -step), 0.0), 1.0)
                loss = _smoothing_loss(task)
                if loss < best:
                    best, lower = loss, True
                else:
                    parameters[k // 2] = before
        if not lower:
            step *= 0.5
    _smoothing_loss(task)


@helper
def _smoothing_loss(task: SmoothingTask) -> float:
    """Return what is made least, infinite where a mean that errors multiply is not above 0.

    Write the fit.
    """
    values, kinds, searched, begin, factors, prior, parameters, seasons, result = task
    error, trend, seasonal = kinds
    alpha = LEAST_ALPHA + (MOST_ALPHA - LEAST_ALPHA) * parameters[0]
    share = parameters[1] if searched[1] else 0.0
    gamma = parameters[2] * (1.0 - alpha) if searched[2] else 0.0
    damping = LEAST_DAMPING + (MOST_DAMPING - LEAST_DAMPING) * parameters[3] if searched[3] else 1.0
    level, slope, square, logs = begin[0], begin[1], 0.0, 0.0
    for i in range(len(seasons)):
        seasons[i] = factors[i]
    for row in range(-len(values), len(values)):
        place = (-row - 1 if row < 0 else row) % len(seasons)
        value, about = values[-row - 1 if row < 0 else row], seasons[place]
        if row == 0:  # the backward path has come to the first row, and turns a row before it
            level = _expected_level(level, slope, damping, trend)
            slope = 1.0 / slope if trend == MULTIPLIED else -slope
            square, logs = 0.0, 0.0
        base = _expected_level(level, slope, damping, trend)
        mean = base * about if seasonal == MULTIPLIED else base + about
        miss = value - mean
        if error == MULTIPLIED:
            miss /= mean
            logs += math.log(mean)
        square += miss * miss
        level, slope, seasons[place] = _next_state(
            value, base, level, slope, about, trend, seasonal, alpha, share, gamma, damping
        )
    loss = len(values) * math.log(square) + 2.0 * logs + prior * share
    loss = math.inf if math.isnan(loss) else loss
    result[0], result[1], result[2], result[3], result[4] = loss, alpha, share, gamma, damping
    result[5], result[6], result[7] = level, slope, square
    return loss


@helper
def _expected_level(level: float, slope: float, damping: float, trend: int) -> float:
    """Return the level a row ahead."""
    if trend == MULTIPLIED:
        return level * slope**damping
    return level + damping * slope if trend == ADDED else level


@helper
def _next_state(
    value: float,
    base: float,
    level: float,
    slope: float,
    about: float,
    trend: int,
    seasonal: int,
    alpha: float,
    share: float,
    gamma: float,
    damping: float,
) -> tuple[float, float, float]:
    """Return level, trend and the place's season after a value, `base` being the level that was
    expected.
    """
    moved = base + alpha * ((value / about if seasonal == MULTIPLIED else value - about) - base)
    if trend == MULTIPLIED:
        slope = slope**damping
        slope += share * (moved / level - slope)
    elif trend == ADDED:
        slope *= damping
        slope += share * (moved - level - slope)
    if seasonal == MULTIPLIED:
        about += gamma * (value / base - about)
    elif seasonal == ADDED:
        about += gamma * (value - base - about)
    return moved, slope, about


def smoothed_ahead(fit: SmoothingFit, rows: int, steps: int) -> ndarray:
    """Return the forecast of the next rows, shape (steps,).

    Args:
        fit: The fit of the series.
        rows: Rows of the series.
        steps: Steps to answer for.
    """
    reach = np.cumsum(fit.damping ** np.arange(1, steps + 1))
    base = (
        fit.level * fit.trend**reach
        if fit.form.trend == MULTIPLIED
        else fit.level + fit.trend * reach
    )
    about = fit.seasons[(rows + np.arange(steps)) % len(fit.seasons)]
    return base * about if fit.form.seasonal == MULTIPLIED else base + about


def smoothed_paths(fit: SmoothingFit, rows: int, shocks: ndarray) -> ndarray:
    """Return paths of the next rows, shape (steps, paths), of a form whose errors multiply.

    Args:
        fit: The fit of the series.
        rows: Rows of the series.
        shocks: The relative errors, shape (steps, paths), above -1.
    """
    out, seasons = np.empty(shocks.shape), np.empty(len(fit.seasons))
    state = np.array(fit[2:8])
    compiled(smoothing_paths)(fit.form[1:3], state, fit.seasons, rows, shocks, seasons, out)
    return out


def smoothing_paths(
    kinds: tuple[int, int],
    state: ndarray,
    begin: ndarray,
    rows: int,
    shocks: ndarray,
    seasons: ndarray,
    out: ndarray,
) -> None:
    """Write the paths; `state` is in the order of `SmoothingFit`, from the level's smoothing on,
    `seasons` is space.
    """
    trend, seasonal = kinds
    alpha, share, gamma, damping = state[0], state[1], state[2], state[3]
    steps, paths = shocks.shape
    for path in range(paths):
        level, slope = state[4], state[5]
        for i in range(len(seasons)):
            seasons[i] = begin[i]
        for step in range(steps):
            place = (rows + step) % len(seasons)
            about = seasons[place]
            base = _expected_level(level, slope, damping, trend)
            value = (base * about if seasonal == MULTIPLIED else base + about) * (
                1.0 + shocks[step, path]
            )
            level, slope, seasons[place] = _next_state(
                value, base, level, slope, about, trend, seasonal, alpha, share, gamma, damping
            )
            out[step, path] = value


# Exponential smoothing with a damped trend of a series without a season: its fit, forecast and
# variance, compiled.

LEVELS = np.array([0.03, 0.1, 0.18, 0.27, 0.36, 0.46, 0.56, 0.66, 0.76, 0.86, 0.96])
TRENDS = np.array([0.0, 0.1, 0.25, 0.5])
DAMPINGS = np.array([0.85, 0.9, 0.95])
"""What is tried of the level's smoothing, the trend's as a share of it, and the part of a trend
that a row keeps.
"""

NO_TREND_ROWS = 5.0
"""Rows that no trend counts as: chosen on the last windows of M3's training parts."""


class DampedFit(NamedTuple):
    """A fitted damped trend.

    Attributes:
        loss: The mean square of its errors one row ahead.
        alpha, beta: The smoothing parameters of level and trend.
        damping: The part of the trend that a row keeps.
        level, trend: The state after the last row.
    """

    loss: float
    alpha: float
    beta: float
    damping: float
    level: float
    trend: float


def fit_damped(values: ndarray) -> DampedFit:
    """Fit a damped trend by least squares.

    Gardner and McKenzie (1985), "Forecasting trends in time series". Given the parameters the
    errors are linear in the first level and trend, which are solved for, so that a coarse search
    over three numbers is all. The first trend, and one that follows the errors, are drawn to none:
    in short series they would follow chance.

    Args:
        values: The series without a season, shape (n,), n above 3.
    """
    result = np.zeros(len(DampedFit._fields))
    compiled(damped_search)(
        np.ascontiguousarray(values, np.float64), LEVELS, TRENDS, DAMPINGS, NO_TREND_ROWS, result
    )
    return DampedFit(*result.tolist())


def damped_search(
    values: ndarray,
    levels: ndarray,
    trends: ndarray,
    dampings: ndarray,
    prior: float,
    result: ndarray,
) -> None:
    """Write the fit of least loss among those tried into `result`, in the order of `DampedFit`."""
    best, best_alpha, best_trend, best_damping = np.inf, levels[0], trends[0], dampings[0]
    for damping in dampings:
        for trend in trends:
            for alpha in levels:
                loss = _damped_loss(values, alpha, trend, damping, prior, result)
                if loss < best:
                    best, best_alpha, best_trend, best_damping = loss, alpha, trend, damping
    _damped_loss(values, best_alpha, best_trend, best_damping, prior, result)


@helper
def _damped_loss(
    values: ndarray, alpha: float, share: float, damping: float, prior: float, result: ndarray
) -> float:
    """Return what is made least by the best first level and trend; write the fit.

    Three paths are smoothed beside each other: of the values from a state of zero, and of no values
    from a level of 1 and from a trend of 1. The errors of any first state are a sum of theirs.
    """
    n, beta = len(values), alpha * share
    level, trend, level_1, trend_1, level_2, trend_2 = 0.0, 0.0, 1.0, 0.0, 0.0, 1.0
    rr, r1, r2, s11, s12, s22 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for value in values:
        mean = level + damping * trend
        mean_1 = level_1 + damping * trend_1
        mean_2 = level_2 + damping * trend_2
        error = value - mean
        rr += error * error
        r1 += error * mean_1
        r2 += error * mean_2
        s11 += mean_1 * mean_1
        s12 += mean_1 * mean_2
        s22 += mean_2 * mean_2
        level, trend = mean + alpha * error, damping * trend + beta * error
        level_1, trend_1 = mean_1 - alpha * mean_1, damping * trend_1 - beta * mean_1
        level_2, trend_2 = mean_2 - alpha * mean_2, damping * trend_2 - beta * mean_2
    # normal equations of the first level and trend; the prior draws the trend to none
    drawn = s22 * (1.0 + prior / n)
    free = s11 * drawn - s12 * s12
    first = (r1 * drawn - r2 * s12) / free
    slope = (r2 * s11 - r1 * s12) / free
    square = (
        rr
        - 2.0 * (first * r1 + slope * r2)
        + first * first * s11
        + slope * slope * s22
        + 2.0 * first * slope * s12
    )
    square = max(square, 0.0)
    result[0], result[1], result[2], result[3] = square / n, alpha, beta, damping
    result[4], result[5] = (
        level + first * level_1 + slope * level_2,
        trend + first * trend_1 + slope * trend_2,
    )
    return square * (1.0 + prior * share / n)


def damped_ahead(fit: DampedFit, rows: int, steps: int) -> tuple[ndarray, ndarray]:
    """Return the forecast of the next rows and the variances of its errors, both of shape (steps,).

    Hyndman, Koehler, Ord and Snyder (2008), Forecasting with Exponential Smoothing, table 6.1.

    Args:
        fit: The fit of the series.
        rows: Rows of the series.
        steps: Steps to answer for.
    """
    reach = np.cumsum(fit.damping ** np.arange(1, steps + 1))
    follows = fit.alpha + fit.beta * reach
    variance = fit.loss * rows / max(rows - 2, 1) * (1.0 + np.r_[0.0, np.cumsum(follows[:-1] ** 2)])
    return fit.level + fit.trend * reach, variance


# The theta model of a series without a season: its fit, its forecast and the variance of its
# errors, compiled.

LEAST_THETA_ALPHA, MOST_THETA_ALPHA = 0.1, 0.99
"""Bounds of the smoothing parameter, as in statsforecast and R's forecTheta."""

COARSE, FINE = 24, 26
"""Smoothing parameters that are tried evenly, and in the golden section about the best of them."""

FIRST_SCORED_ROW = 3
"""The first row whose error counts: before it two lines fit all but anything."""

HALF_WEIGHT_ROWS = 0.3
"""Rows that the usual weight of the line, a half, counts as: chosen on the last windows of M3's
yearly training parts.
"""

GOLDEN_SECTION = (math.sqrt(5.0) - 1.0) / 2.0


class ThetaFit(NamedTuple):
    """A fitted theta model.

    Attributes:
        loss: The mean square of its errors one row ahead, from the fourth on.
        alpha: The smoothing parameter.
        weight: The weight of the straight line, 1 - 1 / theta.
        level, mean, first, slope: The state after the last row: the smoothed level, the mean of the
            series, and its line.
    """

    loss: float
    alpha: float
    weight: float
    level: float
    mean: float
    first: float
    slope: float


def fit_theta(values: ndarray, *, dynamic: bool, weight: float = math.nan) -> ThetaFit:
    """Fit a theta model by least squares.

    Fiorucci et al. (2016), "Models for optimising the theta method and their relationship to state
    space models", equations (9) and (12). Given the smoothing parameter the forecast is linear in
    the first level and in the weight of the line, which are solved for; so that the search is over
    one number. An estimated weight is drawn a little to a half, theta being 2, for in short series
    it would follow chance.

    Args:
        values: The series without a season, shape (n,), n above 3.
        dynamic: Whether the line is that of the rows so far, or of all of them.
        weight: The weight of the line; NaN has it estimated, between 0 and 1.
    """
    result = np.zeros(len(ThetaFit._fields))
    compiled(theta_search)(
        np.ascontiguousarray(values, np.float64),
        dynamic,
        weight,
        np.zeros((2, len(values))),
        result,
    )
    return ThetaFit(*result.tolist())


def theta_search(
    values: ndarray, dynamic: bool, weight: float, lines: ndarray, result: ndarray
) -> None:
    """Write the fit into `result`, in the order of `ThetaFit`; `lines` is space, shape (2, n)."""
    n = len(values)
    # mean, intercept and slope of a line through the rows so far, updated row by row
    mean, first, slope = values[0], values[0], 0.0
    for i in range(n):
        if i > 0:
            slope = ((i - 1) * slope + 6.0 * (values[i] - mean) / (i + 1)) / (i + 2)
            mean = (i * mean + values[i]) / (i + 1)
            first = mean - slope * (i + 2) / 2.0
        lines[0, i], lines[1, i] = first, slope
    if not dynamic:
        for i in range(n):
            lines[0, i], lines[1, i] = first, slope
    best, at = np.inf, 0
    for k in range(COARSE + 1):
        alpha = LEAST_THETA_ALPHA + (MOST_THETA_ALPHA - LEAST_THETA_ALPHA) * k / COARSE
        loss = _theta_loss(values, lines, alpha, weight, result)
        if loss < best:
            best, at = loss, k
    # the loss may have several valleys: a coarse look first, then a golden section in the best one
    step = (MOST_THETA_ALPHA - LEAST_THETA_ALPHA) / COARSE
    low = max(LEAST_THETA_ALPHA, LEAST_THETA_ALPHA + step * (at - 1))
    high = min(MOST_THETA_ALPHA, LEAST_THETA_ALPHA + step * (at + 1))
    left, right = high - GOLDEN_SECTION * (high - low), low + GOLDEN_SECTION * (high - low)
    of_left = _theta_loss(values, lines, left, weight, result)
    of_right = _theta_loss(values, lines, right, weight, result)
    for _ in range(FINE):
        if of_left <= of_right:
            high, right, of_right = right, left, of_left
            left = high - GOLDEN_SECTION * (high - low)
            of_left = _theta_loss(values, lines, left, weight, result)
        else:
            low, left, of_left = left, right, of_right
            right = low + GOLDEN_SECTION * (high - low)
            of_right = _theta_loss(values, lines, right, weight, result)
    fine = left if of_left <= of_right else right
    coarse = LEAST_THETA_ALPHA + step * at
    chosen = coarse if best < min(of_left, of_right) else fine
    _theta_loss(values, lines, chosen, weight, result)
    result[4], result[5], result[6] = mean, first, slope


@helper
def _theta_loss(
    values: ndarray, lines: ndarray, alpha: float, weight: float, result: ndarray
) -> float:
    """Return what is made least by the best first level and weight.

    Write the mean square error, alpha, weight, last level.
    """
    n, rest = len(values), 1.0 - alpha
    level, faded = alpha * values[0], rest
    rr, rd, rg, dd, dg, gg = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(1, n):
        if i >= FIRST_SCORED_ROW:
            error = values[i] - level
            line = lines[0, i - 1] * faded + lines[1, i - 1] * (1.0 - faded * rest) / alpha
            rr += error * error
            rd += error * faded
            rg += error * line
            dd += faded * faded
            dg += faded * line
            gg += line * line
        level = alpha * values[i] + rest * level
        faded *= rest
    # the sums make the loss a quadratic in the first level and the weight of the line
    used, prior = weight, 0.0
    if math.isnan(weight):
        prior = HALF_WEIGHT_ROWS * gg / (n - FIRST_SCORED_ROW)
        free = (gg + prior) * dd - dg * dg
        used = ((rg + 0.5 * prior) * dd - rd * dg) / free if free > 0.0 else 0.5
        used = min(max(used, 0.0), 1.0)
    start = (rd - used * dg) / dd
    square = max(
        rr
        + start * start * dd
        + used * used * gg
        - 2.0 * (start * rd + used * rg - start * used * dg),
        0.0,
    )
    result[0], result[1], result[2], result[3] = (
        square / (n - FIRST_SCORED_ROW),
        alpha,
        used,
        level + faded * start,
    )
    return square + prior * (used - 0.5) ** 2


def forecast_theta(
    fit: ThetaFit, rows: int, steps: int, *, dynamic: bool
) -> tuple[ndarray, ndarray]:
    """Return the forecast of the next rows and the variances of its errors, both of shape (steps,).

    The model is linear in its errors, so that a variance is that of one row times the sum of the
    squares of what an error of 1 in each of the rows before, and in its own, does to it.

    Args:
        fit: The fit of the series.
        rows: Rows of the series.
        steps: Steps to answer for.
        dynamic: The flag of the fit.
    """
    mean, variance = np.zeros(steps), np.zeros(steps)
    compiled(theta_ahead)(np.array(fit), rows, dynamic, mean, variance)
    return mean, variance * fit.loss * (rows - FIRST_SCORED_ROW) / max(
        rows - FIRST_SCORED_ROW - 1, 1
    )


def theta_ahead(fit: ndarray, rows: int, dynamic: bool, mean: ndarray, variance: ndarray) -> None:
    """Write the forecasts, and the sums of squares; `fit` is in the order of `ThetaFit`."""
    steps = len(mean)
    _theta_walk(fit[1], fit[2], fit[3], fit[4], fit[5], fit[6], rows, -1, dynamic, mean, False)
    for shaken in range(steps):
        _theta_walk(fit[1], fit[2], 0.0, 0.0, 0.0, 0.0, rows, shaken, dynamic, variance, True)


@helper
def _theta_walk(
    alpha: float,
    weight: float,
    level: float,
    mean: float,
    first: float,
    slope: float,
    rows: int,
    shaken: int,
    dynamic: bool,
    out: ndarray,
    squared: bool,
) -> None:
    """Write what the model says of each next row, or add its square, where the row `shaken` is 1
    more than it says.
    """
    for step in range(max(shaken, 0), len(out)):
        i = rows + step
        faded = (1.0 - alpha) ** i
        value = level + weight * (first * faded + slope * (1.0 - faded * (1.0 - alpha)) / alpha)
        if step == shaken:
            value += 1.0
        if squared:
            out[step] += value * value
        else:
            out[step] = value
        level += alpha * (value - level)
        if dynamic:
            slope = ((i - 1) * slope + 6.0 * (value - mean) / (i + 1)) / (i + 2)
            mean = (i * mean + value) / (i + 1)
            first = mean - slope * (i + 2) / 2.0
