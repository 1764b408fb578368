"""Which columns a seasonal ARIMA model of one series is regressed on."""

from __future__ import annotations

from hwds.models.forecast.sarima_search import Search, form_of
from hwds.models.forecast.sarima_series import Series


def useful(search: Search, series: Series, optional: int) -> list[int]:
    """The places of the covariates to keep: the first `optional` where they lower AICc, the others always.

    The column that lowers it most comes first, and so on while there is one, round the moving averages of exponential smoothing
    with a season, which suit most series. A column that others make up, or that tells less than its parameter costs, would
    only bend what is forecast.
    """
    kept, left = list(range(optional, series.covariates.shape[1])), list(range(optional))
    best = _smoothed(search, series, kept)
    while left:
        found = {column: _smoothed(search, series, sorted([*kept, column])) for column in left}
        first = min(left, key=lambda column: found[column])
        if found[first] >= best:
            break
        best, kept = found[first], sorted([*kept, first])
        left.remove(first)
    return kept


def _smoothed(search: Search, series: Series, columns: list[int]) -> float:
    part = series.regressed_on(columns)
    seasonal = int(series.season > 1 and search.limits.seasonal > 0)
    return search.criterion(part, form_of(part, 0, 1, 0, seasonal, int(part.may_drift)))
