"""Croston's method for intermittent demand, and its variants."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from hwds.forecast.statistical import Banded, Statistical, demand_bands


class Croston(Statistical):
    """Croston's method for intermittent demand: the size of a demand over the wait for it, each
    series alone.

    statsforecast's Croston models; Croston (1972), "Forecasting and stock control for intermittent
    demands"; `sba` takes off the bias (Syntetos and Boylan 2005, "The accuracy of intermittent
    demand estimates"). Quantiles are those of a demand that comes by chance and is as large as one
    of the past. Seasonal naive as a counted fallback, also where a series is negative.

    Attributes:
        form: `classic` smooths both by 0.1, `optimised` by what fits best between 0.1 and 0.3,
            `sba` is the classic by 0.95.
    """

    imports = ("statsforecast",)
    least = 3
    of_demand = True
    form: Literal["classic", "optimised", "sba"] = "optimised"

    def forecast(
        self, values: np.ndarray, season: int, steps: int, levels: tuple[float, ...]
    ) -> Banded:
        """Find the level, and say it for every step."""
        from statsforecast.models import CrostonClassic, CrostonOptimized, CrostonSBA

        models: dict[str, Any] = {
            "classic": CrostonClassic,
            "optimised": CrostonOptimized,
            "sba": CrostonSBA,
        }
        return demand_bands(
            values, float(models[self.form]().forecast(y=values, h=1)["mean"][0]), steps, levels
        )
