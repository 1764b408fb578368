"""Seasonless: a statistical model of the series without its season, which is taken out before it and put back after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from hwds.core.recipe import ZeroFolds
from hwds.forecast.models.statistical.bands import Banded, backtested
from hwds.forecast.models.statistical.base import Statistical
from hwds.forecast.models.statistical.normal import normal_bands
from hwds.forecast.models.statistical.seasons import is_significant, season_of


class Seasonless(Statistical):
    """A model that forecasts each series without its season.

    The season is taken out by classical decomposition, its factors shrunk by how sure they are (`statistical.seasons`); a
    test, as in statsforecast's AutoTheta, takes it out whole where its autocorrelation is significant, and overlooks a smooth
    one. Quantiles are normal, as wide as the model's errors from origins inside the history; its own (`origins=0`) are
    narrower. Seasonal naive as a counted fallback.

    Attributes:
        seasons: Which seasons are taken out: `shrunken` ones, or those that are significant, whole (`tested`); of a series
            that falls to 0 and not below, always the latter.
        decomposition: The kind of season that is taken out; `additive` also where a series is not positive.
        logs: Whether a series that is positive throughout is forecast in logarithms: its trend is then a rate of growth, its
            season a factor, its own quantiles (`origins=0`) are skewed, and its mean is the median.
        origins: Origins inside the history whose errors make the intervals (normal ones); 0 takes the model's own.
    """

    seasons: Literal["shrunken", "tested"] = "shrunken"
    decomposition: Literal["multiplicative", "additive"] = "multiplicative"
    logs: bool = False
    origins: ZeroFolds = 12

    def plain(self, values: np.ndarray, season: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the forecast of a series without a season and the variances of its errors, both (steps,).

        Args:
            values: The series, shape (n,).
            season: Rows in the season that was taken out.
            steps: Steps to answer for.
        """
        raise NotImplementedError(f"{type(self).__name__}.plain")

    def forecast(self, values: np.ndarray, season: int, steps: int, levels: tuple[float, ...]) -> Banded:
        """Take out the season, fit, forecast, put the season back."""
        tested = self.seasons == "tested" or values.min() == 0  # months without demand: a season of these is mostly chance
        logs = self.logs and bool(values.min() > 0)

        def point(past: np.ndarray, ahead: int) -> np.ndarray:
            mean, _, back = self._apart(past, season, ahead, tested, logs)
            return back(mean)

        if self.origins:
            return backtested(point, values, steps, levels, self.origins, self.least)
        mean, variance, back = self._apart(values, season, steps, tested, logs)
        both = np.column_stack([mean, normal_bands(mean[None], np.sqrt(variance)[None], levels).quantiles[0]])
        both = np.column_stack([back(column) for column in both.T])
        return both[:, 0], both[:, 1:]

    def _apart(
        self, values: np.ndarray, season: int, steps: int, tested: bool, logs: bool
    ) -> tuple[np.ndarray, np.ndarray, Callable[[np.ndarray], np.ndarray]]:
        """Return the forecast of what is left without season and units, its variances, both (steps,), and the way back."""
        unit = float(values.mean()) if logs else 1.0
        seen = np.log(values / unit) if logs else values
        additive = self.decomposition == "additive" or logs
        if tested:
            apart = season_of(seen, season, additive=additive, whole=True) if is_significant(seen, season) else None
        else:
            apart = season_of(seen, season, additive=additive)

        def back(rows: np.ndarray) -> np.ndarray:
            whole = rows if apart is None else apart.into(rows, len(values))
            return unit * np.exp(whole) if logs else whole

        return *self.plain(seen if apart is None else apart.out_of(seen), season, steps), back
