"""The form of exponential smoothing that suits a series best, by AICc, and its quantiles."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from hwds.core.seeds import stream
from hwds.forecast.models.statistical.bands import Banded
from hwds.forecast.models.statistical.normal import normal_bands
from hwds.forecast.models.statistical.seasons import season_of
from hwds.forecast.models.statistical.smoothing import (
    ADDED,
    MULTIPLIED,
    NONE,
    Form,
    Smoothed,
    fit_smoothing,
    smoothed_ahead,
    smoothed_paths,
)

PATHS = 5_000
"""Simulated paths behind the quantiles of a form whose errors multiply."""

LEAST_SHOCK = -0.99
"""The least relative error of a path."""


def best_form(values: np.ndarray, season: int, forms: Sequence[Form]) -> Smoothed:
    """Return the fit of the form whose AICc is least.

    Forms that multiply are left out where a value is not above 0, seasonal ones where two whole seasons are not there, and
    those with about as many parameters as there are rows.

    Args:
        values: The series, shape (n,).
        season: Rows in a season.
        forms: Those to choose among.

    Raises:
        ValueError: None of them can be fitted: too few rows, or the errors multiply means that are not all above 0.
    """
    positive = bool(values.min() > 0)
    apart = {kind: _without_season(values, season, kind) for kind in {form.seasonal for form in forms}}
    chosen, least = None, np.inf
    for form in forms:
        plain, factors = apart[form.seasonal]
        free = len(values) - parameters(form, len(factors)) - 1
        if len(factors) and free > 0 and (positive or MULTIPLIED not in form[:3]):
            fit = fit_smoothing(values, form, _end(plain, form.trend), factors, season)
            criterion = fit.loss + 2 * parameters(form, len(factors)) * len(values) / free
            if criterion < least:
                chosen, least = fit, criterion
    if chosen is None:
        raise ValueError("no form of exponential smoothing can be fitted")
    return chosen


def parameters(form: Form, season: int) -> int:
    """Return the number of parameters: of smoothing and damping, the states before the first row, and the errors' variance."""
    return 2 + sum(form.searched) + (form.trend != NONE) + (season - 1)


def _without_season(values: np.ndarray, season: int, kind: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the series without its season, shape (n,), and the season's factors, none where it has no such season."""
    if kind == NONE:
        return values, np.zeros(1)
    apart = season_of(values, season, additive=kind == ADDED, whole=True)
    if apart is None or apart.additive != (kind == ADDED):
        return values, np.zeros(0)
    return apart.out_of(values), apart.factors


def _end(plain: np.ndarray, trend: int) -> tuple[float, float]:
    """Return the level after the last row and its change, or growth, from row to row backwards, of a line through all rows."""
    if trend == NONE:
        return float(plain.mean()), 0.0
    rows = np.log(plain) if trend == MULTIPLIED else plain
    place = np.arange(len(rows)) - (len(rows) - 1) / 2
    slope = float(place @ rows / (place @ place))
    level = float(rows.mean()) + slope * (len(rows) + 1) / 2
    return (float(np.exp(level)), float(np.exp(-slope))) if trend == MULTIPLIED else (level, -slope)


def smoothed_bands(fit: Smoothed, rows: int, steps: int, levels: tuple[float, ...]) -> Banded:
    """Return the forecast and its quantiles: normal where errors add up, else those of simulated paths.

    The variances are those of Hyndman, Koehler, Ord and Snyder (2008), table 6.1. Paths have the same shocks for every series;
    their quantiles are moved so that the median is the forecast.

    Args:
        fit: Of the series.
        rows: Rows of the series.
        steps: Steps to answer for.
        levels: Quantile levels.
    """
    mean = smoothed_ahead(fit, rows, steps)
    deviation = np.sqrt(fit.square / (rows - parameters(fit.form, len(fit.seasons)) - 1))
    if fit.form.error == ADDED:
        spread = deviation * np.sqrt(np.r_[1.0, 1.0 + np.cumsum(_follows(fit, steps)[:-1] ** 2)])
        return mean, normal_bands(mean[None], spread[None], levels).quantiles[0]
    paths = smoothed_paths(fit, rows, np.maximum(deviation * _shocks(steps), LEAST_SHOCK))
    ends = np.sort(paths, axis=1)[:, np.rint(np.array((0.5, *levels)) * (PATHS - 1)).astype(int)]
    return mean, mean[:, None] + (ends[:, 1:] - ends[:, :1])


def _follows(fit: Smoothed, steps: int) -> np.ndarray:
    """Return what an error of 1 changes in each of the next rows, shape (steps,), where all adds up."""
    step = np.arange(1, steps + 1)
    trend = fit.level_pace * fit.trend_pace * np.cumsum(fit.damping**step)
    return np.asarray(fit.level_pace + trend + fit.season_pace * (step % len(fit.seasons) == 0))


@lru_cache(maxsize=1)
def _shocks(steps: int) -> np.ndarray:
    """Return standard normal draws, shape (steps, PATHS), the same ones always."""
    return stream(0, "exponential smoothing", steps).standard_normal((steps, PATHS))
