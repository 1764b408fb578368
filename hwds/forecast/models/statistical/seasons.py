"""The season of one series: classical decomposition, its factors shrunk by how sure they are; and whether one is there."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

LEAST_RATIO = 0.01
"""A factor below this would make a series of what it divides: factors are added then."""


@dataclass(frozen=True, slots=True)
class Season:
    """The season of a series.

    Attributes:
        factors: What each place in the season multiplies (or adds), shape (season,); they average 1 (or 0).
        additive: Whether they are added.
    """

    factors: np.ndarray
    additive: bool

    def out_of(self, values: np.ndarray) -> np.ndarray:
        """Return a series without its season, shape (n,), which begins at the first place."""
        factors = self._at(0, len(values))
        return values - factors if self.additive else values / factors

    def into(self, values: np.ndarray, first: int) -> np.ndarray:
        """Return rows with the season put back, the first of which stands `first` rows after the beginning."""
        factors = self._at(first, len(values))
        return values + factors if self.additive else values * factors

    def _at(self, first: int, rows: int) -> np.ndarray:
        return self.factors[(first + np.arange(rows)) % len(self.factors)]


def season_of(
    values: np.ndarray, season: int, *, additive: bool = False, whole: bool = False, caution: float = 1.0
) -> Season | None:
    """Return the season of a series without holes, shrunk towards none; None where two whole seasons and a bit are not there.

    Classical decomposition: each value against the centred moving average over a season, then means by place. A factor's
    distance from none is multiplied by 1 - v / ((v - 2) F), or 0 where that is negative (James and Stein; Miller and Williams
    2003, "Shrinkage estimators of time series seasonal factors and their effect on forecasting accuracy"), F being the variance
    between places against that within, of v degrees of freedom: v / ((v - 2) F) is 1 on average where there is no season. No
    test has to decide, and what is kept of a season that is none is little. `caution` multiplies v / ((v - 2) F).

    Args:
        values: The series, shape (n,).
        season: Rows in a season.
        additive: Whether factors are added; they are where a value is not positive, or a whole factor would be below .01.
        whole: Whether factors are kept as they are.
        caution: 1, or more where a season is rather overlooked than made of chance.
    """
    if season < 2 or len(values) < 2 * season:
        return None
    additive = additive or bool((values <= 0).any())
    trend = _moving_average(values, season)
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = values - trend if additive else np.log(values / trend)
    known = np.isfinite(apart)
    place = np.arange(len(values)) % season
    count = np.bincount(place[known], minlength=season)
    free = int(known.sum()) - season
    if count.min() < 1 or free <= 2:
        return None
    means = np.bincount(place[known], apart[known], season) / count
    within = float(((apart - means[place])[known] ** 2).sum()) / free
    between = float((count * (means - apart[known].mean()) ** 2).sum()) / (season - 1)
    kept = max(0.0, 1.0 - caution * free / (free - 2) * within / between) if between > 0 else 0.0
    kept = 1.0 if whole else kept
    if additive:
        return Season(kept * (means - means.mean()), additive=True)
    ratios = np.bincount(place[known], np.exp(apart[known]), season) / count
    factors = 1.0 + kept * (ratios / ratios.mean() - 1.0)
    if whole and factors.min() < LEAST_RATIO:
        return season_of(values, season, additive=True, whole=whole)
    return Season(factors, additive=False)


def _moving_average(values: np.ndarray, season: int) -> np.ndarray:
    """Return the centred moving average over a season, NaN at both ends."""
    kernel = np.ones(season) if season % 2 else np.r_[0.5, np.ones(season - 1), 0.5]
    half = len(kernel) // 2
    trend = np.full(len(values), np.nan)
    trend[half : len(values) - half] = np.convolve(values, kernel / season, mode="valid")
    return trend


def is_significant(values: np.ndarray, season: int) -> bool:
    """Return whether the autocorrelation a season apart is, at 90 %, beyond what those of fewer rows make likely.

    The test of the M4 competition's benchmarks, which statsforecast's AutoTheta applies; False for seasons under four rows, and
    where two whole ones are not there.

    Args:
        values: The series, shape (n,).
        season: Rows in a season.
    """
    if season < 4 or len(values) < 2 * season:
        return False
    apart = values - values.mean()
    correlations = np.array([apart[lag:] @ apart[: len(apart) - lag] for lag in range(1, season + 1)]) / (apart @ apart)
    limit = NormalDist().inv_cdf(0.95) * np.sqrt((1 + 2 * (correlations[:-1] ** 2).sum()) / len(values))
    return bool(abs(correlations[-1]) > limit)
