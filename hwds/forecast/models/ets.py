"""Exponential smoothing, its form chosen by AICc."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache, partial
from itertools import product
from typing import Any, ClassVar, Literal

import numpy as np
from numpy import ndarray
from pydantic import ValidationInfo, field_validator

from hwds.core.recipe import ZeroFolds
from hwds.core.seeds import stream
from hwds.forecast.smoothing_kernels import (
    ADDED,
    MULTIPLIED,
    NONE,
    SmoothingFit,
    SmoothingForm,
    fit_smoothing,
    smoothed_ahead,
    smoothed_paths,
)
from hwds.forecast.statistical import (
    Banded,
    Statistical,
    backtest_bands,
    normal_quantiles,
    season_of,
)

# The form of exponential smoothing that suits a series best, by AICc, and its quantiles.

PATHS = 5_000
"""Simulated paths behind the quantiles of a form whose errors multiply."""

LEAST_SHOCK = -0.99
"""The least relative error of a path."""


def best_form(values: ndarray, season: int, forms: Sequence[SmoothingForm]) -> SmoothingFit:
    """Return the fit of the form whose AICc is least.

    Forms that multiply are left out where a value is not above 0, seasonal ones where two whole
    seasons are not there, and those with about as many parameters as there are rows.

    Args:
        values: The series, shape (n,).
        season: Rows in a season.
        forms: The forms to choose among.

    Raises:
        ValueError: None of them can be fitted: too few rows, or the errors multiply means that are
            not all above 0.
    """
    positive = bool(values.min() > 0)
    apart = {
        kind: _without_season(values, season, kind) for kind in {form.seasonal for form in forms}
    }
    chosen, least = None, np.inf
    for form in forms:
        plain, factors = apart[form.seasonal]
        free = len(values) - parameter_count(form, len(factors)) - 1
        if len(factors) and free > 0 and (positive or MULTIPLIED not in form[:3]):
            fit = fit_smoothing(values, form, _last_level(plain, form.trend), factors, season)
            criterion = fit.loss + 2 * parameter_count(form, len(factors)) * len(values) / free
            if criterion < least:
                chosen, least = fit, criterion
    if chosen is None:
        raise ValueError("no form of exponential smoothing can be fitted")
    return chosen


def parameter_count(form: SmoothingForm, season: int) -> int:
    """Return the number of parameters: of smoothing and damping, the states before the first row,
    and the errors' variance.
    """
    return 2 + sum(form.searched) + (form.trend != NONE) + (season - 1)


def _without_season(values: ndarray, season: int, kind: int) -> tuple[ndarray, ndarray]:
    """Return the series without its season, shape (n,), and the season's factors, none where it has
    no such season.
    """
    if kind == NONE:
        return values, np.zeros(1)
    apart = season_of(values, season, additive=kind == ADDED, whole=True)
    if apart is None or apart.additive != (kind == ADDED):
        return values, np.zeros(0)
    return apart.out_of(values), apart.factors


def _last_level(plain: ndarray, trend: int) -> tuple[float, float]:
    """Return the level after the last row and its change, or growth, from row to row backwards, of
    a line through all rows.
    """
    if trend == NONE:
        return float(plain.mean()), 0.0
    rows = np.log(plain) if trend == MULTIPLIED else plain
    place = np.arange(len(rows)) - (len(rows) - 1) / 2
    slope = float(place @ rows / (place @ place))
    level = float(rows.mean()) + slope * (len(rows) + 1) / 2
    return (float(np.exp(level)), float(np.exp(-slope))) if trend == MULTIPLIED else (level, -slope)


def smoothed_bands(fit: SmoothingFit, rows: int, steps: int, levels: tuple[float, ...]) -> Banded:
    """Return the forecast and its quantiles: normal where errors add up, else those of simulated
    paths.

    The variances are those of Hyndman, Koehler, Ord and Snyder (2008), table 6.1. Paths have the
    same shocks for every series; their quantiles are moved so that the median is the forecast.

    Args:
        fit: The fit of the series.
        rows: Rows of the series.
        steps: Steps to answer for.
        levels: Quantile levels.
    """
    mean = smoothed_ahead(fit, rows, steps)
    deviation = np.sqrt(fit.square / (rows - parameter_count(fit.form, len(fit.seasons)) - 1))
    if fit.form.error == ADDED:
        responses = np.cumsum(_shock_responses(fit, steps)[:-1] ** 2)
        spread = deviation * np.sqrt(np.r_[1.0, 1.0 + responses])
        return normal_quantiles(mean, spread, levels)
    paths = smoothed_paths(fit, rows, np.maximum(deviation * _shocks(steps), LEAST_SHOCK))
    ends = np.sort(paths, axis=1)[:, np.rint(np.array((0.5, *levels)) * (PATHS - 1)).astype(int)]
    return mean, mean[:, None] + (ends[:, 1:] - ends[:, :1])


def _shock_responses(fit: SmoothingFit, steps: int) -> ndarray:
    """Return what an error of 1 changes in each of the next rows, shape (steps,), where all adds
    up.
    """
    step = np.arange(1, steps + 1)
    trend = fit.alpha * fit.beta_share * np.cumsum(fit.damping**step)
    return fit.alpha + trend + fit.gamma * (step % len(fit.seasons) == 0)


@lru_cache(maxsize=1)
def _shocks(steps: int) -> ndarray:
    """Return standard normal draws, shape (steps, PATHS), the same ones always."""
    return stream(0, "exponential smoothing", steps).standard_normal((steps, PATHS))


# Exponential smoothing, its form chosen by AICc.

LONGEST_SEASON = 24
"""The longest season that is smoothed: each of its rows is a parameter."""

ERROR_FORMS = {"A": (ADDED,), "M": (MULTIPLIED,), "Z": (ADDED, MULTIPLIED)}
TREND_FORMS = {"N": (NONE,), "A": (ADDED,), "M": (MULTIPLIED,), "Z": (NONE, ADDED)}
SEASON_FORMS = {"N": (NONE,), "A": (ADDED,), "M": (MULTIPLIED,), "Z": (NONE, ADDED, MULTIPLIED)}
"""What the letters of a form stand for."""


class ETS(Statistical):
    """Exponential smoothing: error, trend and season chosen by AICc among all forms, each series
    alone.

    Hyndman, Koehler, Ord and Snyder (2008), Forecasting with Exponential Smoothing; the first
    states by smoothing backwards (`statistical.smoothing`). Quantiles are the form's own: by
    formula if its errors add up, otherwise from 5,000 simulated paths with a fixed stream. Seasons
    of more than 24 rows are left out. Seasonal naive as a counted fallback.

    Attributes:
        error: A additive, M multiplicative, Z chosen.
        trend: N none, A additive, M multiplicative, Z chosen (N or A).
        seasonal: N none, A additive, M multiplicative, Z chosen.
        damped: Whether a trend fades.
        origins: Origins inside the history whose errors make the intervals (normal ones); 0 takes
            the model's own.
    """

    least = 7
    search_space: ClassVar[Mapping[str, Any]] = {
        "trend": {"choice": ["Z", "N", "A"]},
        "damped": {"choice": ["chosen", "always", "never"]},
    }

    error: Literal["A", "M", "Z"] = "Z"
    trend: Literal["N", "A", "M", "Z"] = "Z"
    seasonal: Literal["N", "A", "M", "Z"] = "Z"
    damped: Literal["chosen", "always", "never"] = "chosen"
    origins: ZeroFolds = 0

    @field_validator("trend", "seasonal")
    @classmethod
    def form_is_stable(cls, value: str, known: ValidationInfo) -> str:
        """Refuse AM., A.M and MMA (Hyndman and Athanasopoulos, 3rd ed., section 8.6)."""
        if value == "M" and known.data.get("error") == "A":
            raise ValueError("must not be M if error is A: the form is not stable")
        if value == "A" and known.field_name == "seasonal" and known.data.get("trend") == "M":
            raise ValueError("must not be A if trend is M: the form is not stable")
        return value

    @field_validator("damped")
    @classmethod
    def trend_is_there(cls, value: str, known: ValidationInfo) -> str:
        """Refuse to damp what is not there."""
        if value == "always" and known.data.get("trend") == "N":
            raise ValueError("must not be always if trend is N: there is nothing to damp")
        return value

    def forecast(
        self, values: ndarray, season: int, steps: int, levels: tuple[float, ...]
    ) -> Banded:
        """Choose a form, fit it, forecast."""
        if self.origins:
            return backtest_bands(
                partial(self._point, season=season), values, steps, levels, self.origins, self.least
            )
        return smoothed_bands(self._best(values, season), len(values), steps, levels)

    def _point(self, values: ndarray, steps: int, season: int) -> ndarray:
        return smoothed_ahead(self._best(values, season), len(values), steps)

    def _best(self, values: ndarray, season: int) -> SmoothingFit:
        return best_form(values, season if season <= LONGEST_SEASON else 1, tuple(self._forms()))

    def _forms(self) -> Iterator[SmoothingForm]:
        """Yield the forms to choose among: those that are stable."""
        damped = {"chosen": (False, True), "always": (True,), "never": (False,)}[self.damped]
        for error, trend, seasonal in product(
            ERROR_FORMS[self.error], TREND_FORMS[self.trend], SEASON_FORMS[self.seasonal]
        ):
            stable = (
                MULTIPLIED not in (trend, seasonal)
                if error == ADDED
                else (trend, seasonal) != (MULTIPLIED, ADDED)
            )
            yield from (
                SmoothingForm(error, trend, seasonal, fades)
                for fades in damped
                if stable and not (fades and trend == NONE)
            )
