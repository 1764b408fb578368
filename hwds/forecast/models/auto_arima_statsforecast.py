"""Automatic ARIMA by statsforecast."""

from __future__ import annotations

from numpy import ndarray

from hwds.core.recipe import Depth
from hwds.forecast.models.sarima import LONGEST, Order
from hwds.forecast.statistical import Banded, Statistical, library_forecast


class AutoARIMAStatsforecast(Statistical):
    """ARIMA with orders found by statsforecast, each series alone: a rival of `forecast/sarima`.

    statsforecast's AutoARIMA, after R's `auto.arima` (Hyndman and Khandakar 2008). Quantiles are
    the library's own. A season of more than 24 rows is left out. Seasonal naive as a counted
    fallback.

    Attributes:
        most_ordinary: The largest p and q.
        most_seasonal: The largest P and Q.
    """

    imports = ("statsforecast",)
    least = 10

    most_ordinary: Depth = 5
    most_seasonal: Order = 2

    def forecast(
        self, values: ndarray, season: int, steps: int, levels: tuple[float, ...]
    ) -> Banded:
        """Find the orders, fit, forecast."""
        from statsforecast.models import AutoARIMA

        library = AutoARIMA(
            season_length=season if season <= LONGEST else 1,
            max_p=self.most_ordinary,
            max_q=self.most_ordinary,
            max_P=self.most_seasonal,
            max_Q=self.most_seasonal,
        )
        return library_forecast(library, values, steps, levels)
