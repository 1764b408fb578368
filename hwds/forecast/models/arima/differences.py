"""The number of differences of a series: the KPSS test, and the strength of the season."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

CRITICAL = 0.463
"""5 % point of the KPSS statistic round a level: Kwiatkowski, Phillips, Schmidt and Shin (1992), table 1."""

STRONG = 0.64
"""The strength of a season above which auto.arima differences it."""

YEARS = 11
"""The seasons that a loess of one phase looks at: as R's `mstl` has it."""

MOST_ROWS = 480
"""The most rows from which the season's strength is estimated."""


def differences(values: np.ndarray, most: int) -> int:
    """Difference until the KPSS test no longer refuses a level, as `ndiffs` of Hyndman and Khandakar (2008) does.

    Args:
        values: Without holes, shape (rows,).
        most: The most differences.
    """
    count = 0
    while count < most and len(values) > 9 and np.ptp(values) > 0 and _kpss(values) > CRITICAL:
        values, count = np.diff(values), count + 1
    return count


def _kpss(values: np.ndarray) -> float:
    n = len(values)
    errors = values - values.mean()
    long_run = errors @ errors
    lags = int(3 * np.sqrt(n) / 13)
    for lag in range(1, lags + 1):
        long_run += 2 * (1 - lag / (lags + 1)) * (errors[lag:] @ errors[:-lag])
    return float((np.cumsum(errors) ** 2).sum() / (n * max(long_run, 1e-300)))


def seasonal_differences(values: np.ndarray, season: int) -> int:
    """Return 1 where the season is strong, 0 where it is not or the series has less than three of them, which anything fits.

    The strength is 1 - var(remainder) / var(remainder + season): Wang, Smith and Hyndman (2006), "Characteristic-based
    clustering for time series data".
    """
    if season < 2 or len(values) < 3 * season:
        return 0
    seasonal, remainder = decompose(values[-(MOST_ROWS // season) * season :], season)
    both = np.var(seasonal + remainder)
    return int(both > 0 and 1 - np.var(remainder) / both > STRONG)


def decompose(values: np.ndarray, season: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the season and the remainder by loess: Cleveland, Cleveland, McRae and Terpenning (1990), "STL", not robust.

    Args:
        values: Without holes, at least two seasons, shape (rows,).
        season: Rows in a season.
    """
    n, odd = len(values), season + 1 - season % 2
    wide = int(np.ceil(1.5 * season / (1 - 1.5 / YEARS)))
    trend_of, low_of = _loess(n, wide + 1 - wide % 2, 0), _loess(n, odd, 0)
    trend = np.zeros(n)
    seasonal = trend
    for _ in range(2):
        cycles = np.empty(n + 2 * season)
        for phase in range(season):
            part = (values - trend)[phase::season]
            cycles[phase::season] = _loess(len(part), YEARS, 1) @ part
        low = cycles
        for width in (season, season, 3):
            low = np.convolve(low, np.full(width, 1 / width), "valid")
        seasonal = cycles[season:-season] - low_of @ low
        trend = trend_of @ (values - seasonal)
    return seasonal, values - trend - seasonal


@lru_cache(maxsize=512)
def _loess(n: int, width: int, beyond: int) -> np.ndarray:
    """Return the matrix of a local line with tricube weights at -beyond .. n - 1 + beyond, of points at 0 .. n - 1."""
    at = np.arange(-beyond, n + beyond)[:, None]
    distance = np.abs(np.arange(n) - at)
    radius = np.sort(distance, axis=1)[:, min(width, n) - 1][:, None] + max(width - n, 0) / 2
    weights = np.clip(1 - (distance / np.maximum(radius, 1)) ** 3, 0, None) ** 3
    weights /= weights.sum(1, keepdims=True)
    centre = (weights * np.arange(n)).sum(1, keepdims=True)
    apart = np.arange(n) - centre
    spread = (weights * apart**2).sum(1, keepdims=True)
    return weights * (1 + np.where(spread > 1e-9 * n, (at - centre) / np.maximum(spread, 1e-300), 0) * apart)
