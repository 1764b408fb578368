"""The method of Teunter, Syntetos and Babai for intermittent demand that may end."""

from __future__ import annotations

from typing import Any

from hwds.core.recipe import UnitInterval
from hwds.forecast.statistical import DemandLevel


class TSB(DemandLevel):
    """Demand size times its probability, which fades row by row when demand stops; each series
    alone.

    statsforecast's TSB; Teunter, Syntetos and Babai (2011), "Intermittent demand: linking
    forecasting to inventory obsolescence". Quantiles are those of a demand that comes by chance and
    is as large as one of the past. Seasonal naive as a counted fallback, also where a series is
    negative.

    Attributes:
        size_rate: Smoothing of the size of demands.
        chance_rate: The smoothing of the probability that there is demand.
    """

    imports = ("statsforecast",)
    size_rate: UnitInterval = 0.1
    chance_rate: UnitInterval = 0.1

    def library(self) -> Any:
        """Return the model with its smoothing parameters."""
        from statsforecast.models import TSB as Library

        return Library(self.size_rate, self.chance_rate)
