"""Forecasts of intermittent demand from sums over several rows."""

from __future__ import annotations

import numpy as np

from hwds.forecast.statistical import Banded, Statistical, demand_bands


class ADIDA(Statistical):
    """Sums over as many rows as a demand lets wait are smoothed, then shared out evenly; each
    series alone.

    statsforecast's ADIDA and IMAPA; Nikolopoulos et al. (2011), "An aggregate-disaggregate
    intermittent demand approach"; Petropoulos and Kourentzes (2015), "Forecast combinations for
    intermittent demand". Quantiles are those of a demand that comes by chance and is as large as
    one of the past. Seasonal naive as a counted fallback, also where a series is negative.

    Attributes:
        several: Whether the mean over all sums from one row up to that many is taken (IMAPA).
    """

    imports = ("statsforecast",)
    least = 3
    of_demand = True
    several: bool = False

    def forecast(
        self, values: np.ndarray, season: int, steps: int, levels: tuple[float, ...]
    ) -> Banded:
        """Find the level, and say it for every step."""
        from statsforecast.models import ADIDA as Library
        from statsforecast.models import IMAPA

        library = IMAPA() if self.several else Library()
        return demand_bands(
            values, float(library.forecast(y=values, h=1)["mean"][0]), steps, levels
        )
