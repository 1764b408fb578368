"""Complex exponential smoothing."""

from __future__ import annotations

from typing import Literal

from numpy import ndarray

from hwds.core.recipe import ZeroFolds
from hwds.forecast.statistical import Banded, Statistical, library_forecast

CES_FORMS = {"auto": "Z", "none": "N", "simple": "S", "partial": "P", "full": "F"}
"""Our names and those of statsforecast."""


class CES(Statistical):
    """Complex exponential smoothing: level and trend in one complex number, each series alone.

    statsforecast's AutoCES; Svetunkov, Kourentzes and Ord (2022), "Complex exponential smoothing".
    Quantiles are normal, as wide as its errors from origins inside the history: the library's own
    (`origins=0`) hardly widen with the step. Seasonal naive as a counted fallback.

    Attributes:
        seasonal: `none`, `simple`, `partial` or `full`; `auto` chooses by AICc.
        origins: Origins inside the history whose errors make the intervals (normal ones); 0 takes
            the model's own.
    """

    imports = ("statsforecast",)
    least = 10
    seasonal: Literal["auto", "none", "simple", "partial", "full"] = "auto"
    origins: ZeroFolds = 12

    def forecast(
        self, values: ndarray, season: int, steps: int, levels: tuple[float, ...]
    ) -> Banded:
        """Choose a form, fit it, forecast."""
        from statsforecast.models import AutoCES

        library = AutoCES(season_length=season, model=CES_FORMS[self.seasonal])
        return library_forecast(
            library, values, steps, levels, origins=self.origins, least=self.least
        )
