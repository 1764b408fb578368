"""Automatic ARIMA by pmdarima."""

from __future__ import annotations

from statistics import NormalDist

from numpy import ndarray

from hwds.core.recipe import Depth
from hwds.forecast.models.sarima import LONGEST, Order
from hwds.forecast.statistical import Banded, Statistical, normal_quantiles

ONE_DEVIATION = 2 * (1 - NormalDist().cdf(1.0))
"""The share outside an interval of one standard deviation on each side."""


class AutoARIMAPmdarima(Statistical):
    """ARIMA with orders found by pmdarima, each series alone: a rival of `forecast/sarima`.

    Its stepwise search (Hyndman and Khandakar 2008) starts at the library's own orders. Quantiles
    are normal, by the model's own errors. A season of more than 24 rows is left out. Seasonal naive
    as a counted fallback.

    Attributes:
        most_ordinary: The largest p and q.
        most_seasonal: The largest P and Q.
    """

    imports = ("pmdarima",)
    least = 10

    most_ordinary: Depth = 5
    most_seasonal: Order = 2

    def forecast(
        self, values: ndarray, season: int, steps: int, levels: tuple[float, ...]
    ) -> Banded:
        """Find the orders, fit, forecast."""
        import pmdarima

        period = season if season <= LONGEST and len(values) > 2 * season else 1
        model = pmdarima.auto_arima(
            values,
            m=period,
            seasonal=period > 1,
            start_p=min(2, self.most_ordinary),
            start_q=min(2, self.most_ordinary),
            start_P=min(1, self.most_seasonal),
            start_Q=min(1, self.most_seasonal),
            max_p=self.most_ordinary,
            max_q=self.most_ordinary,
            max_P=self.most_seasonal,
            max_Q=self.most_seasonal,
            error_action="ignore",
            suppress_warnings=True,
        )
        mean, ends = model.predict(int(steps), return_conf_int=True, alpha=ONE_DEVIATION)
        return normal_quantiles(mean, ends[:, 1] - mean, levels)
