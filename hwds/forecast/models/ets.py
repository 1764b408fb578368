"""Exponential smoothing, its form chosen by AICc."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import product
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import ValidationInfo, field_validator

from hwds.core.recipe import ZeroFolds
from hwds.forecast.models.statistical.bands import Banded, backtested
from hwds.forecast.models.statistical.base import Statistical
from hwds.forecast.models.statistical.smoothing import ADDED, MULTIPLIED, NONE, Form, Smoothed, smoothed_ahead
from hwds.forecast.models.statistical.smoothing_forms import best_form, smoothed_bands

LONGEST_SEASON = 24
"""The longest season that is smoothed: each of its rows is a parameter."""

ERRORS = {"A": (ADDED,), "M": (MULTIPLIED,), "Z": (ADDED, MULTIPLIED)}
TRENDS = {"N": (NONE,), "A": (ADDED,), "M": (MULTIPLIED,), "Z": (NONE, ADDED)}
SEASONS = {"N": (NONE,), "A": (ADDED,), "M": (MULTIPLIED,), "Z": (NONE, ADDED, MULTIPLIED)}
"""What the letters of a form stand for."""


class ETS(Statistical):
    """Exponential smoothing: error, trend and season chosen by AICc among all forms, each series alone.

    Hyndman, Koehler, Ord and Snyder (2008), Forecasting with Exponential Smoothing; the first states by smoothing backwards
    (`statistical.smoothing`). Quantiles are the form's own: by formula where its errors add up, else of 5,000 simulated paths
    with a fixed stream. Seasons of more than 24 rows are left out. Seasonal naive as a counted fallback.

    Attributes:
        error: A additive, M multiplicative, Z chosen.
        trend: N none, A additive, M multiplicative, Z chosen (N or A).
        seasonal: N none, A additive, M multiplicative, Z chosen.
        damped: Whether a trend fades.
        origins: Origins inside the history whose errors make the intervals (normal ones); 0 takes the model's own.
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
            raise ValueError("must not be M where error is A: the form is not stable")
        if value == "A" and known.field_name == "seasonal" and known.data.get("trend") == "M":
            raise ValueError("must not be A where trend is M: the form is not stable")
        return value

    @field_validator("damped")
    @classmethod
    def trend_is_there(cls, value: str, known: ValidationInfo) -> str:
        """Refuse to damp what is not there."""
        if value == "always" and known.data.get("trend") == "N":
            raise ValueError("must not be always where trend is N: there is nothing to damp")
        return value

    def forecast(self, values: np.ndarray, season: int, steps: int, levels: tuple[float, ...]) -> Banded:
        """Choose a form, fit it, forecast."""
        if self.origins:
            return backtested(partial(self._point, season=season), values, steps, levels, self.origins, self.least)
        return smoothed_bands(self._best(values, season), len(values), steps, levels)

    def _point(self, values: np.ndarray, steps: int, season: int) -> np.ndarray:
        return smoothed_ahead(self._best(values, season), len(values), steps)

    def _best(self, values: np.ndarray, season: int) -> Smoothed:
        return best_form(values, season if season <= LONGEST_SEASON else 1, tuple(self._forms()))

    def _forms(self) -> Iterator[Form]:
        """Yield the forms to choose among: those that are stable."""
        damped = {"chosen": (False, True), "always": (True,), "never": (False,)}[self.damped]
        for error, trend, seasonal in product(ERRORS[self.error], TRENDS[self.trend], SEASONS[self.seasonal]):
            stable = MULTIPLIED not in (trend, seasonal) if error == ADDED else (trend, seasonal) != (MULTIPLIED, ADDED)
            yield from (Form(error, trend, seasonal, fades) for fades in damped if stable and not (fades and trend == NONE))
