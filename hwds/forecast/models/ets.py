"""Exponential smoothing, its form chosen by AICc."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import ValidationInfo, field_validator

from hwds.core.recipe import ZeroFolds
from hwds.forecast.models.statistical.bands import Banded, library_forecast
from hwds.forecast.models.statistical.base import Statistical

LONGEST_SEASON = 24
"""The longest season that statsforecast's smoothing can hold."""


class ETS(Statistical):
    """Exponential smoothing: error, trend and season chosen by AICc among all forms, each series alone.

    statsforecast's AutoETS; Hyndman, Koehler, Ord and Snyder (2008), Forecasting with Exponential Smoothing. Quantiles are the
    form's own: by formula where its errors add up, else of 5,000 simulated paths with a fixed stream. Seasons of more than 24
    rows are left out. Seasonal naive as a counted fallback.

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
        """Refuse AM., A.M and MMA, as the library does (Hyndman and Athanasopoulos, 3rd ed., section 8.6)."""
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
        from statsforecast.models import AutoETS

        season = season if season <= LONGEST_SEASON else 1
        form = self.error + self.trend + (self.seasonal if season > 1 else "N")
        damped = {"chosen": None, "always": True, "never": False}[self.damped]
        library = AutoETS(season_length=season, model=form, damped=damped)
        return library_forecast(library, values, steps, levels, origins=self.origins, least=self.least)
