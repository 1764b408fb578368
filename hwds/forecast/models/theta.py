"""The theta method and its optimised and dynamic forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from hwds.core.recipe import ZeroFolds
from hwds.forecast.models.statistical.bands import Banded, library_forecast
from hwds.forecast.models.statistical.base import Statistical
from hwds.forecast.models.statistical.seasons import WithoutSeason

FORMS = {"auto": None, "standard": "STM", "optimised": "OTM", "dynamic": "DSTM", "dynamic_optimised": "DOTM"}
"""Our names and those of statsforecast."""


class Theta(Statistical):
    """The theta method, the best simple method of the M3 competition, each series alone.

    statsforecast's AutoTheta; Assimakopoulos and Nikolopoulos (2000), "The theta model"; Fiorucci et al. (2016), "Models for
    optimising the theta method". The season is taken out by classical decomposition, its factors shrunk by how sure they are
    (`statistical.seasons`); the library takes it out whole where its autocorrelation is significant, and overlooks a smooth
    one. Quantiles are normal, as wide as its errors from origins inside the history; the library's own (`origins=0`) are of 200
    simulated paths with a fixed stream, and narrower. Seasonal naive as a counted fallback.

    Attributes:
        form: Which theta model; `auto` takes the one with the least in-sample squared error, which the default forecasts
            better than.
        seasons: Which seasons are taken out: `shrunken` ones, or those of the library's own test (`tested`); of a series that
            falls to 0 and not below, always the latter.
        decomposition: How the season is taken out; `additive` also where a series is not positive.
        origins: Origins inside the history whose errors make the intervals (normal ones); 0 takes the model's own.

    Example:
        python -m hwds model=forecast/theta
    """

    search_space: ClassVar[Mapping[str, Any]] = {
        "form": {"choice": ["auto", "standard", "optimised", "dynamic", "dynamic_optimised"]},
        "decomposition": {"choice": ["multiplicative", "additive"]},
    }

    form: Literal["auto", "standard", "optimised", "dynamic", "dynamic_optimised"] = "dynamic_optimised"
    seasons: Literal["shrunken", "tested"] = "shrunken"
    decomposition: Literal["multiplicative", "additive"] = "multiplicative"
    origins: ZeroFolds = 12

    def forecast(self, values: np.ndarray, season: int, steps: int, levels: tuple[float, ...]) -> Banded:
        """Take out the season, fit, forecast, put the season back."""
        from statsforecast.models import AutoTheta

        if self.seasons == "tested" or values.min() == 0:  # months without demand: a season of these is mostly chance
            library = AutoTheta(season_length=season, decomposition_type=self.decomposition, model=FORMS[self.form])
            return library_forecast(library, values, steps, levels, origins=self.origins, least=self.least)
        plain = AutoTheta(season_length=1, model=FORMS[self.form])
        shown = WithoutSeason(plain, season, additive=self.decomposition == "additive")
        return library_forecast(shown, values, steps, levels, origins=self.origins, least=self.least)
