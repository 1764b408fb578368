"""Learning from launches: how much is shared, how levels move, and how far past launches were missed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.forecast.models.lifecycle.ahead import ahead, unseen
from hwds.forecast.models.lifecycle.growth import Curve, Growth, adjusted, fit_growth
from hwds.forecast.models.lifecycle.level import Level, filtered, fit_level
from hwds.forecast.models.lifecycle.pooling import Normal, Pooled, pool, solve
from hwds.forecast.models.lifecycle.rows import age_column, aged, calendar, newest, usable
from hwds.forecast.models.lifecycle.terms import WIDE, Block, LaunchTerms
from hwds.frames.panel import Panel
from hwds.frames.roles import TIME

ROUNDS = (10, 4, 4, 4)
"""Rounds in which it is found how much is shared, in each of the turns with how levels move."""

TRIED = 24
"""Instants of past launches that are left out in turn."""

DOUBT = 20.0
"""Past errors that weigh as much as the belief that the model's own spread is right."""

LONGEST = 400
"""Rows of a series that are learned from, where twelve seasons are not more."""


@dataclass(frozen=True, eq=False)
class Learned:
    """The parameters learned from launches: no coefficients where there was no series to learn from.

    Attributes:
        terms: What a design is made of.
        growth: The growth curves, where the course is not learned freely.
        start: The calendar's number of the data's first row.
        centre: What is taken from all logs.
        level: How levels move.
        coefficients: Shape (p,).
        covariance: Their posterior covariance in noise units, shape (p, p).
        spread: How many of the model's own standard deviations past launches were missed by at each step, those of no row and
            those of one, shape (2, h).
    """

    terms: LaunchTerms
    growth: Growth
    start: int
    centre: float
    level: Level
    coefficients: np.ndarray
    covariance: np.ndarray
    spread: np.ndarray


def fit_analog(history: Panel, *, season: int, age: str, curve: Curve, horizon: int, most: int) -> Learned:
    """Learn from a history."""
    good = usable(history)
    if not good.any():
        return Learned(
            LaunchTerms(season=season), Growth(), 0, 0.0, Level(), np.zeros(0), np.zeros((0, 0)), np.ones((2, horizon))
        )
    start, age = int(calendar(history.table[TIME], history.frequency).min()), age or age_column(history)
    panel = newest(aged(history, age, start), good, most, max(12 * season, LONGEST))
    above = panel.target[panel.target > 0]
    terms = LaunchTerms.learn(panel, season=season, age=age, floor=float(above.min()) / 2)
    rows = terms.rows(panel)
    centre = float(np.nanmean(rows.log))
    regression = _regression(terms.blocks(panel), rows.log - centre, panel)
    growth, words = Growth(), terms.words(panel)
    if curve != "analog" and terms.ages:
        growth = fit_growth(curve, adjusted(regression.blocks, regression.pooled, rows.log), words, rows)
        regression = _regression(terms.blocks(panel, course=False), rows.log - centre - growth.course(words, rows), panel)
    spread = _spread(regression, panel, rows.began, start, horizon)
    return Learned(
        terms, growth, start, centre, regression.level, regression.pooled.coefficients, regression.pooled.covariance, spread
    )


@dataclass(frozen=True, eq=False)
class _Regression:
    blocks: list[Block]
    columns: np.ndarray  # the target, then the design
    known: np.ndarray
    pooled: Pooled
    variances: np.ndarray  # of each coefficient
    white: np.ndarray
    level: Level


def _regression(blocks: list[Block], target: np.ndarray, panel: Panel) -> _Regression:
    """Fit a pooled regression on logs whose errors are an autoregressive level and noise, each estimated given the other."""
    known = ~np.isnan(target)
    columns = np.concatenate([np.nan_to_num(target)[:, None], *(columns for _, columns in blocks)], 1)
    block = np.repeat(np.arange(len(blocks)), [columns.shape[1] for _, columns in blocks])
    fixed = np.array([name in ("mean", "effects", "events") for name, _ in blocks])
    variances, level = np.where(fixed, WIDE, 1.0), Level()
    for turn, rounds in enumerate(ROUNDS):
        white = filtered(columns, known, panel.offsets, level).white
        pooled = pool(Normal.of(white, int(known.sum())), block, fixed, variances, level.noise, rounds)
        variances, level = pooled.variances, level.seen(pooled.noise)
        if turn + 1 < len(ROUNDS):
            residual = np.where(known, columns[:, 0] - columns[:, 1:] @ pooled.coefficients, np.nan)
            level = fit_level(residual, panel.offsets, level)
    return _Regression(blocks, columns, known, pooled, variances[block], white, level)


def _spread(regression: _Regression, panel: Panel, began: np.ndarray, start: int, horizon: int) -> np.ndarray:
    """Return the errors on past launches, in standard deviations that the model gave itself; shape (2, h).

    First those of no row, then those of one. The launches of one instant are left out together. At each step the mean square
    error is pooled with that of all steps, and that with 1.
    """
    squares, counts = np.zeros((2, horizon)), np.zeros((2, horizon))
    everything = Normal.of(regression.white, int(regression.known.sum()))
    for instant in np.unique(began[began > start])[-TRIED:]:
        missed = _missed(regression, panel, np.flatnonzero(began == instant), everything, horizon)
        squares += np.nansum(missed**2, 1)
        counts += np.sum(~np.isnan(missed), 1)
    usual = (squares.sum(1, keepdims=True) + DOUBT) / (counts.sum(1, keepdims=True) + DOUBT)
    spread: np.ndarray = np.sqrt((squares + DOUBT * usual) / (counts + DOUBT))
    return spread


def _missed(regression: _Regression, panel: Panel, series: np.ndarray, everything: Normal, horizon: int) -> np.ndarray:
    """Return errors of these launches, left out of the fit, given no row and given one, shape (2, n, h); NaN for no row."""
    launch_rows = np.concatenate([np.arange(panel.offsets[i], panel.offsets[i + 1]) for i in series])
    left = everything.without(Normal.of(regression.white[launch_rows], int(regression.known[launch_rows].sum())))
    learned = (regression.level, *solve(left, regression.variances))
    first = panel.offsets[series]
    missed = np.full((2, len(series), horizon), np.nan)
    for known in (0, 1):
        rows = first[:, None] + known + np.arange(horizon)
        there = rows < panel.offsets[series + 1][:, None]
        rows = np.where(there, rows, first[:, None])
        coming, past = (
            regression.columns[rows][..., 1:],
            (regression.columns[first], regression.known[first], np.arange(len(series) + 1)),
        )
        mean, spread = ahead(*past, coming, *learned) if known else unseen(coming, *learned)
        missed[known] = np.where(there & regression.known[rows], (regression.columns[rows, 0] - mean) / spread, np.nan)
    return missed
