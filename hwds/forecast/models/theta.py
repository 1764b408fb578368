"""The theta method and its optimised and dynamic forms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from hwds.core.recipe import ZeroFolds
from hwds.forecast.models.statistical.bands import Banded, backtested
from hwds.forecast.models.statistical.base import Statistical
from hwds.forecast.models.statistical.normal import normal_bands
from hwds.forecast.models.statistical.seasons import Season, is_significant, season_of
from hwds.forecast.models.statistical.theta_lines import ahead, fit_theta

FORMS: Mapping[str, tuple[bool, float]] = {
    "standard": (False, 0.5),
    "optimised": (False, math.nan),
    "dynamic": (True, 0.5),
    "dynamic_optimised": (True, math.nan),
}
"""For each form: true where the line is that of the rows so far; and its weight, NaN where it is estimated."""


class Theta(Statistical):
    """The theta method, the best simple method of the M3 competition, each series alone.

    Assimakopoulos and Nikolopoulos (2000), "The theta model"; Fiorucci et al. (2016), "Models for optimising the theta
    method". The season is taken out by classical decomposition, its factors shrunk by how sure they are
    (`statistical.seasons`); a test, as in statsforecast's AutoTheta, takes it out whole where its autocorrelation is
    significant, and overlooks a smooth one. Quantiles are normal, as wide as its errors from origins inside the history; the
    model's own (`origins=0`) are narrower. Seasonal naive as a counted fallback.

    Attributes:
        form: Which theta model; `auto` takes the one with the least in-sample squared error, which the default forecasts
            better than.
        seasons: Which seasons are taken out: `shrunken` ones, or those that are significant, whole (`tested`); of a series
            that falls to 0 and not below, always the latter.
        decomposition: The kind of season that is taken out; `additive` also where a series is not positive.
        origins: Origins inside the history whose errors make the intervals (normal ones); 0 takes the model's own.
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
        tested = self.seasons == "tested" or values.min() == 0  # months without demand: a season of these is mostly chance

        def point(past: np.ndarray, ahead: int) -> np.ndarray:
            mean, _, apart = self._apart(past, season, ahead, tested)
            return mean if apart is None else apart.into(mean, len(past))

        if self.origins:
            return backtested(point, values, steps, levels, self.origins, self.least)
        mean, variance, apart = self._apart(values, season, steps, tested)
        both = np.column_stack([mean, normal_bands(mean[None], np.sqrt(variance)[None], levels).quantiles[0]])
        both = both if apart is None else np.column_stack([apart.into(column, len(values)) for column in both.T])
        return both[:, 0], both[:, 1:]

    def _apart(self, values: np.ndarray, season: int, steps: int, tested: bool) -> tuple[np.ndarray, np.ndarray, Season | None]:
        """Return the forecast without its season, the variances of its errors, both (steps,), and the season."""
        additive = self.decomposition == "additive"
        if tested:
            apart = season_of(values, season, additive=additive, whole=True) if is_significant(values, season) else None
        else:
            apart = season_of(values, season, additive=additive)
        plain = values if apart is None else apart.out_of(values)
        forms = FORMS.values() if self.form == "auto" else (FORMS[self.form],)
        fits = [(fit_theta(plain, dynamic=dynamic, weight=weight), dynamic) for dynamic, weight in forms]
        fit, dynamic = min(fits, key=lambda each: each[0].loss)
        return *ahead(fit, len(plain), steps, dynamic=dynamic), apart
