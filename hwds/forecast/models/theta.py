"""The theta method and its optimised and dynamic forms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from numpy import ndarray

from hwds.forecast.smoothing_kernels import fit_theta, forecast_theta
from hwds.forecast.statistical import Seasonless

THETA_FORMS: Mapping[str, tuple[bool, float]] = {
    "standard": (False, 0.5),
    "optimised": (False, math.nan),
    "dynamic": (True, 0.5),
    "dynamic_optimised": (True, math.nan),
}
"""For each form: true where the line is that of the rows so far; and its weight, NaN where it is
estimated.
"""


class Theta(Seasonless):
    """The theta method, the best simple method of the M3 competition, each series alone.

    Assimakopoulos and Nikolopoulos (2000), "The theta model"; Fiorucci et al. (2016), "Models for
    optimising the theta method". The season is taken out before and put back after.

    Attributes:
        form: Which theta model; `auto` takes the one with the least in-sample squared error, which
            the default forecasts better than.
    """

    search_space: ClassVar[Mapping[str, Any]] = {
        "form": {"choice": ["auto", "standard", "optimised", "dynamic", "dynamic_optimised"]},
        "decomposition": {"choice": ["multiplicative", "additive"]},
    }

    form: Literal["auto", "standard", "optimised", "dynamic", "dynamic_optimised"] = (
        "dynamic_optimised"
    )

    def plain(self, values: ndarray, season: int, steps: int) -> tuple[ndarray, ndarray]:
        """Return the forecast of the form, or of the one that fits best."""
        forms = THETA_FORMS.values() if self.form == "auto" else (THETA_FORMS[self.form],)
        fits = [
            (fit_theta(values, dynamic=dynamic, weight=weight), dynamic)
            for dynamic, weight in forms
        ]
        fit, dynamic = min(fits, key=lambda each: each[0].loss)
        return forecast_theta(fit, len(values), steps, dynamic=dynamic)
