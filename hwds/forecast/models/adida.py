"""Forecasts of intermittent demand from sums over several rows."""

from __future__ import annotations

from typing import Any

from hwds.forecast.statistical import DemandLevel


class ADIDA(DemandLevel):
    """Demand summed over the mean wait between demands, smoothed and shared out evenly; each series
    alone.

    statsforecast's ADIDA and IMAPA; Nikolopoulos et al. (2011), "An aggregate-disaggregate
    intermittent demand approach"; Petropoulos and Kourentzes (2015), "Forecast combinations for
    intermittent demand". Quantiles are those of a demand that comes by chance and is as large as
    one of the past. Seasonal naive as a counted fallback, also where a series is negative.

    Attributes:
        several: Whether the mean over all sums from one row up to that many is taken (IMAPA).
    """

    imports = ("statsforecast",)
    several: bool = False

    def library(self) -> Any:
        """Return the model of one sum, or that of several."""
        from statsforecast.models import ADIDA as Library
        from statsforecast.models import IMAPA

        return IMAPA() if self.several else Library()
