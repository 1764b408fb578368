"""One series made ready for a seasonal ARIMA model: its scale, its differences and its regressors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from hwds.forecast.models.arima.differences import differences, seasonal_differences

FEW = 10
"""Fewer rows than this have too few errors left for AICc to judge whether there is a mean."""


@dataclass
class Series:
    """One series on its way to a model.

    Attributes:
        values: In units of `scale`, NaN for holes; it begins with a known value.
        filled: The same with its holes bridged by lines.
        covariates: Each less its mean and over its spread, shape (rows, covariates).
        season: Rows in a season, 1 for none.
        d: Differences.
        seasonal_d: Seasonal differences.
        scale: What the values were divided by.
    """

    values: np.ndarray
    filled: np.ndarray
    covariates: np.ndarray
    season: int
    d: int
    seasonal_d: int
    scale: float

    @classmethod
    def of(cls, values: np.ndarray, covariates: np.ndarray, season: int, orders: tuple[int, int] | None) -> Series:
        """Find the differences that are not given, and the scale."""
        rows = np.arange(len(values))
        known = ~np.isnan(values)
        filled = np.interp(rows, rows[known], values[known])
        seasonal_d = seasonal_differences(filled, season) if orders is None else orders[1]
        d = differences(differenced(filled, 0, seasonal_d, season), 1 if seasonal_d else 2) if orders is None else orders[0]
        spread = float(np.std(differenced(filled, d, seasonal_d, season)))
        scale = spread if spread > 1e-12 * np.abs(filled).max() else max(float(np.abs(filled).max()), 1e-300)
        return cls(values / scale, filled / scale, covariates, season, d, seasonal_d, scale)

    def regressed_on(self, columns: list[int]) -> Series:
        """Return the same series with these of its covariates."""
        return replace(self, covariates=self.covariates[:, columns])

    @cached_property
    def work(self) -> np.ndarray:
        """The differenced series without holes."""
        return differenced(self.filled, self.d, self.seasonal_d, self.season)

    @cached_property
    def levels(self) -> np.ndarray:
        """The regressors: the constant or the drift, then the covariates; shape (rows, 1 + covariates)."""
        return np.column_stack([drift(len(self.values), self.d, self.seasonal_d, self.season), self.covariates])

    @cached_property
    def changes(self) -> np.ndarray:
        """The regressors differenced as the series is."""
        return np.ascontiguousarray(differenced(self.levels, self.d, self.seasonal_d, self.season))

    @property
    def may_drift(self) -> bool:
        """A constant after two differences would be a parabola."""
        return self.d + self.seasonal_d < 2

    @property
    def keeps_mean(self) -> bool:
        """An undifferenced series of few rows is not tried without its mean, whose price by AICc is then beyond any gain."""
        return self.d + self.seasonal_d == 0 and len(self.values) < FEW


def drift(rows: int, d: int, seasonal_d: int, season: int) -> np.ndarray:
    """Return the series whose differences are constant: 1, or the rows passed."""
    if d + seasonal_d == 0:
        return np.ones(rows)
    return np.arange(rows) / (season if seasonal_d else 1.0)


def differenced(values: np.ndarray, d: int, seasonal_d: int, season: int) -> np.ndarray:
    """Return the values (or columns) less those a season before, then less those of the row before, d times."""
    for _ in range(seasonal_d):
        values = values[season:] - values[:-season]
    return np.diff(values, n=d, axis=0)
