"""Learning from launches: growth curves, pooled regressions, errors on launches left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy import ndarray

from hwds.core.recipe import Recipe
from hwds.forecast.lifecycle.design import (
    WIDE_VARIANCE,
    Block,
    LaunchRows,
    LaunchTerms,
    age_column,
    calendar_numbers,
    newest_series,
    usable_series,
    with_age,
)
from hwds.forecast.lifecycle.pooling import (
    Level,
    NormalEquations,
    PooledRegression,
    filter_columns,
    fit_level,
    forecast_launches,
    forecast_levels,
    pool_coefficients,
    solve_coefficients,
)
from hwds.frames.panel import Panel
from hwds.frames.roles import TIME

# Growth curves of cumulative sales, fitted to each past launch and pooled by what launches have
# in common.

Curve = Literal["analog", "bass", "gompertz"]

CURVE_START = {"bass": (-4.0, -2.0), "gompertz": (1.5, -2.5)}
"""The logs of p and q, or of b and c, from which a fit begins."""

SHAPE_DEVIATION = 0.5
"""The standard deviation that logs of the parameters are believed to have between launches."""

POOLING_LAUNCHES = 2.0
"""Launches of a kind that count as much as all others together."""

SHORTEST_LAUNCH = 4
"""Rows that a launch needs to be fitted."""


class Growth(Recipe):
    """The growth curve of each kind of launch.

    Attributes:
        curve: The kind of curve.
        words: The kinds.
        shapes: The logs of the two parameters of each kind.
        usual: The parameters of all launches.
    """

    curve: Curve = "analog"
    words: tuple[str, ...] = ()
    shapes: tuple[tuple[float, float], ...] = ()
    usual: tuple[float, float] = (0.0, 0.0)

    def course(self, words: Sequence[str], rows: LaunchRows) -> ndarray:
        """Return the addition of the age to the log sales of each row, shape (rows,).

        0 where the age is not known.

        Args:
            words: The kind of each series.
            rows: The rows of a panel of these series.
        """
        if self.curve == "analog" or not self.words:
            return np.zeros(len(rows.age))
        known = dict(zip(self.words, self.shapes, strict=True))
        shapes = np.array([known.get(word, self.usual) for word in words])[rows.series]
        return np.where(
            np.isnan(rows.age), 0.0, log_increase(self.curve, np.nan_to_num(rows.age), shapes.T)
        )


def log_increase(curve: Curve, age: ndarray, shape: ndarray) -> ndarray:
    """Return the log of the share of a life's sales that falls into the row of an age: F(age + 1) -
    F(age).

    Bass (1969): F(t) = (1 - exp(-(p + q) t)) / (1 + q/p exp(-(p + q) t)). Gompertz (1825):
    F(t) = (exp(-b exp(-c t)) - exp(-b)) / (1 - exp(-b)), which is 0 at the launch.

    Args:
        curve: The kind of curve.
        age: Rows since the launch, from 0.
        shape: The logs of the parameters, each a number or one a row.
    """
    first, second = np.exp(np.clip(shape[0], -14, 3)), np.exp(np.clip(shape[1], -14, 2))

    def share(time: ndarray) -> ndarray:
        if curve == "bass":
            fading = np.exp(-(first + second) * time)
            return (1 - fading) / (1 + second / first * fading)
        return (np.exp(-first * np.exp(-second * time)) - np.exp(-first)) / -np.expm1(-first)

    return np.log(np.maximum(share(age + 1.0) - share(age), 1e-12))


def course_residuals(blocks: list[Block], pooled: PooledRegression, log: ndarray) -> ndarray:
    """Return log sales without season, price, promotion and level of the kind: what is left to the
    course by age.
    """
    widths = [columns.shape[1] for _, columns in blocks]
    is_course = np.repeat([name in COURSE_BLOCKS for name, _ in blocks], widths)
    design = np.concatenate([columns for _, columns in blocks], 1)
    return log - design[:, ~is_course] @ pooled.coefficients[~is_course]


COURSE_BLOCKS = ("course", "course by kind")
"""The blocks that say how sales go with age."""


def fit_growth(curve: Curve, log: ndarray, words: Sequence[str], rows: LaunchRows) -> Growth:
    """Fit each launch, near what fits all of them, and take the mean of each kind, near that of
    all.

    Args:
        curve: The kind of curve.
        log: Adjusted log sales, NaN where unknown, shape (rows,).
        words: The kind of each series.
        rows: Their ages.
    """
    courses = [_launch_course(log, rows, i) for i in range(len(words))]
    usual = _fit_shape(curve, courses, np.array(CURVE_START[curve]), 3.0)
    fits: dict[str, list[ndarray]] = {word: [] for word in sorted(set(words))}
    for word, course in zip(words, courses, strict=True):
        if len(course[0]) >= SHORTEST_LAUNCH:
            fits[word].append(_fit_shape(curve, [course], usual, SHAPE_DEVIATION))
    shapes = [
        usual + np.sum([one - usual for one in own], 0) / (len(own) + POOLING_LAUNCHES)
        if own
        else usual
        for own in fits.values()
    ]
    return Growth(
        curve=curve,
        words=tuple(fits),
        shapes=tuple((float(a), float(b)) for a, b in shapes),
        usual=(float(usual[0]), float(usual[1])),
    )


def _launch_course(log: ndarray, rows: LaunchRows, series: int) -> tuple[ndarray, ndarray]:
    """Return the ages and adjusted log sales of one launch, where both are known."""
    known = (rows.series == series) & ~np.isnan(log) & ~np.isnan(rows.age)
    return rows.age[known], log[known]


def _fit_shape(
    curve: Curve, courses: list[tuple[ndarray, ndarray]], near: ndarray, apart: float
) -> ndarray:
    """Return the shape that fits courses best, each at a level of its own, near a shape that is
    believed; shape (2,).
    """
    from scipy.optimize import least_squares

    series = np.repeat(np.arange(len(courses)), [len(age) for age, _ in courses])
    age, log = (np.concatenate([course[i] for course in courses]) for i in (0, 1))
    if not len(age):
        return near
    count = np.maximum(np.bincount(series, minlength=len(courses)), 1)

    def residuals(shape: ndarray) -> ndarray:
        missed = log - log_increase(curve, age, shape)
        missed = missed - (np.bincount(series, missed, len(courses)) / count)[series]
        return np.append(missed / CURVE_NOISE, (shape - near) / apart)

    return least_squares(residuals, near, loss="soft_l1", max_nfev=60).x


CURVE_NOISE = 0.3
"""The standard deviation of adjusted log sales round their curve."""


# Learning from launches: how much is shared, how levels move, and how far past launches were
# missed.

POOLING_ROUNDS = (10, 4, 4, 4)
"""Rounds in which it is found how much is shared, in each of the turns with how levels move."""

LEFT_OUT_INSTANTS = 24
"""Instants of past launches that are left out in turn."""

PRIOR_ERRORS = 20.0
"""Past errors that weigh as much as the belief that the model's own spread is right."""

LONGEST_LEARNED = 400
"""Rows of a series that are learned from, where twelve seasons are not more."""


@dataclass(frozen=True, eq=False)
class LearnedLaunches:
    """The parameters learned from launches: no coefficients where there was no series to learn
    from.

    Attributes:
        terms: The terms of a design.
        growth: The growth curves, where the course is not learned freely.
        start: The calendar's number of the data's first row.
        centre: The number that is taken from all logs.
        level: The movement of levels.
        coefficients: Shape (p,).
        covariance: Their posterior covariance in noise units, shape (p, p).
        spread: The errors on past launches in the model's own standard deviations, at each
            step, those of no row and those of one, shape (2, h).
    """

    terms: LaunchTerms
    growth: Growth
    start: int
    centre: float
    level: Level
    coefficients: ndarray
    covariance: ndarray
    spread: ndarray


def fit_analog(
    history: Panel, *, season: int, age: str, curve: Curve, horizon: int, most: int
) -> LearnedLaunches:
    """Learn from a history."""
    good = usable_series(history)
    if not good.any():
        none = LaunchTerms(season=season), Growth(), 0, 0.0, Level()
        return LearnedLaunches(*none, np.zeros(0), np.zeros((0, 0)), np.ones((2, horizon)))
    start = int(calendar_numbers(history.table[TIME], history.frequency).min())
    age = age or age_column(history)
    longest = max(12 * season, LONGEST_LEARNED)
    panel = newest_series(with_age(history, age, start), good, most, longest)
    above = panel.target[panel.target > 0]
    terms = LaunchTerms.learn(panel, season=season, age=age, floor=float(above.min()) / 2)
    rows = terms.rows(panel)
    centre = float(np.nanmean(rows.log))
    regression = _regression(terms.blocks(panel), rows.log - centre, panel)
    growth, words = Growth(), terms.words(panel)
    if curve != "analog" and terms.ages:
        residuals = course_residuals(regression.blocks, regression.pooled, rows.log)
        growth = fit_growth(curve, residuals, words, rows)
        target = rows.log - centre - growth.course(words, rows)
        regression = _regression(terms.blocks(panel, course=False), target, panel)
    spread = _error_spread(regression, panel, rows.began, start, horizon)
    return LearnedLaunches(
        terms,
        growth,
        start,
        centre,
        regression.level,
        regression.pooled.coefficients,
        regression.pooled.covariance,
        spread,
    )


@dataclass(frozen=True, eq=False)
class LaunchRegression:
    """A fitted regression of log sales.

    Attributes:
        blocks: The columns of the design by block.
        columns: The target, then the design, shape (rows, 1 + p).
        known: A flag for each row that has a target.
        pooled: The coefficients.
        variances: The prior variance of each coefficient, shape (p,).
        white: The whitened columns.
        level: The movement of levels.
    """

    blocks: list[Block]
    columns: ndarray
    known: ndarray
    pooled: PooledRegression
    variances: ndarray
    white: ndarray
    level: Level


def _regression(blocks: list[Block], target: ndarray, panel: Panel) -> LaunchRegression:
    """Fit a pooled regression on logs whose errors are an autoregressive level and noise, each
    estimated given the other.
    """
    known = ~np.isnan(target)
    target = np.nan_to_num(target)[:, None]
    columns = np.concatenate([target, *(columns for _, columns in blocks)], 1)
    block = np.repeat(np.arange(len(blocks)), [columns.shape[1] for _, columns in blocks])
    fixed = np.array([name in ("mean", "effects", "events") for name, _ in blocks])
    variances, level = np.where(fixed, WIDE_VARIANCE, 1.0), Level()
    for turn, rounds in enumerate(POOLING_ROUNDS):
        white = filter_columns(columns, known, panel.offsets, level).white
        normal = NormalEquations.of(white, int(known.sum()))
        pooled = pool_coefficients(normal, block, fixed, variances, level.noise, rounds)
        variances, level = pooled.variances, level.with_noise(pooled.noise)
        if turn + 1 < len(POOLING_ROUNDS):
            residual = np.where(known, columns[:, 0] - columns[:, 1:] @ pooled.coefficients, np.nan)
            level = fit_level(residual, panel.offsets, level)
    return LaunchRegression(blocks, columns, known, pooled, variances[block], white, level)


def _error_spread(
    regression: LaunchRegression, panel: Panel, began: ndarray, start: int, horizon: int
) -> ndarray:
    """Return the errors on past launches, in standard deviations that the model gave itself.

    Shape (2, h).

    First those of no row, then those of one. The launches of one instant are left out together. At
    each step the mean square error is pooled with that of all steps, and that with 1.
    """
    squares, counts = np.zeros((2, horizon)), np.zeros((2, horizon))
    everything = NormalEquations.of(regression.white, int(regression.known.sum()))
    for instant in np.unique(began[began > start])[-LEFT_OUT_INSTANTS:]:
        launched = np.flatnonzero(began == instant)
        missed = _left_out_errors(regression, panel, launched, everything, horizon)
        squares += np.nansum(missed**2, 1)
        counts += np.sum(~np.isnan(missed), 1)
    every_square, every_count = squares.sum(1, keepdims=True), counts.sum(1, keepdims=True)
    usual = (every_square + PRIOR_ERRORS) / (every_count + PRIOR_ERRORS)
    return np.sqrt((squares + PRIOR_ERRORS * usual) / (counts + PRIOR_ERRORS))


def _left_out_errors(
    regression: LaunchRegression,
    panel: Panel,
    series: ndarray,
    everything: NormalEquations,
    horizon: int,
) -> ndarray:
    """Return errors of these launches, left out of the fit, given no row and given one, shape (2,
    n, h); NaN for no row.
    """
    rows_of = [np.arange(panel.offsets[i], panel.offsets[i + 1]) for i in series]
    white, known_rows = (
        part[np.concatenate(rows_of)] for part in (regression.white, regression.known)
    )
    left = everything.without(NormalEquations.of(white, int(known_rows.sum())))
    learned = (regression.level, *solve_coefficients(left, regression.variances))
    first = panel.offsets[series]
    missed = np.full((2, len(series), horizon), np.nan)
    for known in (0, 1):
        rows = first[:, None] + known + np.arange(horizon)
        there = rows < panel.offsets[series + 1][:, None]
        rows = np.where(there, rows, first[:, None])
        coming = regression.columns[rows][..., 1:]
        past = regression.columns[first], regression.known[first], np.arange(len(series) + 1)
        mean, spread = (
            forecast_levels(*past, coming, *learned)
            if known
            else forecast_launches(coming, *learned)
        )
        errors = (regression.columns[rows, 0] - mean) / spread
        missed[known] = np.where(there & regression.known[rows], errors, np.nan)
    return missed
