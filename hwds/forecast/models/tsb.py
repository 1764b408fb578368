"""The method of Teunter, Syntetos and Babai for intermittent demand that may end."""

from __future__ import annotations

import numpy as np

from hwds.core.recipe import UnitInterval
from hwds.forecast.statistical import Banded, Statistical, demand_bands


class TSB(Statistical):
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
    least = 3
    of_demand = True
    size_rate: UnitInterval = 0.1
    chance_rate: UnitInterval = 0.1

    def forecast(
        self, values: np.ndarray, season: int, steps: int, levels: tuple[float, ...]
    ) -> Banded:
        """Find the level, and say it for every step."""
        from statsforecast.models import TSB as Library

        library = Library(self.size_rate, self.chance_rate)
        return demand_bands(
            values, float(library.forecast(y=values, h=1)["mean"][0]), steps, levels
        )
