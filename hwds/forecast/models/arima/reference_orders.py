"""Orders that other libraries find, to compare the search with."""

from __future__ import annotations

import numpy as np

from hwds.forecast.models.arima.search import Limits

Orders = tuple[tuple[int, int, int], tuple[int, int, int], bool]
"""(p, d, q), (P, D, Q), and whether there is a constant."""


def rival_orders(search: str, values: np.ndarray, season: int, limits: Limits) -> Orders | None:
    """Return the orders that `pmdarima` or `statsforecast` finds, a series' holes bridged by lines, within the same limits.

    None where the library fails on the series (pmdarima's seasonal test does on short ones): it counts as a fallback.
    """
    rows, known = np.arange(len(values)), ~np.isnan(values)
    filled = np.interp(rows, rows[known], values[known])
    if np.ptp(filled) == 0:
        return (0, 0, 0), (0, 0, 0), True
    try:
        return _pmdarima(filled, season, limits) if search == "pmdarima" else _statsforecast(filled, season, limits)
    except Exception:  # of any kind: what fails here must not cost the other series
        return None


def _pmdarima(values: np.ndarray, season: int, limits: Limits) -> Orders:
    import pmdarima

    model = pmdarima.auto_arima(
        values,
        m=season,
        seasonal=season > 1,
        start_p=min(2, limits.ordinary),
        start_q=min(2, limits.ordinary),
        start_P=min(1, limits.seasonal),
        start_Q=min(1, limits.seasonal),
        max_p=limits.ordinary,
        max_q=limits.ordinary,
        max_P=limits.seasonal,
        max_Q=limits.seasonal,
        max_order=limits.total,
        error_action="ignore",
        suppress_warnings=True,
    )
    return model.order, model.seasonal_order[:3], bool(model.with_intercept)


def _statsforecast(values: np.ndarray, season: int, limits: Limits) -> Orders:
    from statsforecast.models import AutoARIMA

    rival = AutoARIMA(
        season_length=season,
        max_p=limits.ordinary,
        max_q=limits.ordinary,
        max_P=limits.seasonal,
        max_Q=limits.seasonal,
        max_order=limits.total,
    )
    model = rival.fit(values).model_
    p, q, big_p, big_q, _, d, big_d = (int(order) for order in model["arma"])
    return (p, d, q), (big_p, big_d, big_q), bool({"intercept", "drift"} & set(model["coef"]))
