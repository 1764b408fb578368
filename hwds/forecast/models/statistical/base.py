"""Statistical models of one series at a time: what they share, and the counted fallback to the seasonal naive."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import ClassVar

import numpy as np

from hwds.core.recipe import Steps, ZeroSteps
from hwds.core.serialization import Serializable
from hwds.forecast.context import ForecastContext
from hwds.forecast.models.base import Forecaster
from hwds.forecast.models.seasonal_naive import FittedSeasonalNaive
from hwds.forecast.models.statistical.bands import Banded
from hwds.frames.forecasts import Forecasts
from hwds.frames.panel import Panel

WILD = 10.0
"""A forecast, or a quantile of the middle 80 %, beyond this many times the largest value that was seen is no answer."""

WIDE = 0.9
"""The level from which on quantiles may lie further out, see `wild_beyond`."""


class Statistical(Forecaster):
    """A model fitted to each series alone, when it forecasts, and answered for by the seasonal naive where it cannot be.

    Form and parameters are estimated anew from every history, so that one fit serves any cutoff. Holes are closed by `filled`.
    The seasonal naive answers, and the series is marked as a fallback, where fewer than `least` values or less than half of
    them are known, where all are equal, where a model of demand meets a negative value, where the library refuses, and where
    its answer is not finite or is wild (`WILD`, `wild_beyond`). A series that was never negative is not forecast below zero.

    Attributes:
        season: Rows in a season; 0 takes the dataset's.
        longest: The most rows of a series that are read, from its end.
    """

    local = True
    least: ClassVar[int] = 6
    of_demand: ClassVar[bool] = False
    season: ZeroSteps = 0
    longest: Steps = 2_500

    def learn(self, history: Panel, *, horizon: int, context: ForecastContext) -> FittedStatistical:
        """Learn nothing but the season and the levels: what is estimated, is estimated from the history of `predict`."""
        return FittedStatistical(self, self.season or context.season, context.levels)

    def suits(self, values: np.ndarray) -> bool:
        """Return whether the model can be fitted to the known values of a series; shape (known,)."""
        if len(values) < self.least or (values == values[0]).all():
            return False
        return not self.of_demand or bool(values.min() >= 0)

    def forecast(self, values: np.ndarray, season: int, steps: int, levels: tuple[float, ...]) -> Banded:
        """Return the mean, shape (steps,), and the quantiles, shape (steps, levels), after a series without holes."""
        raise NotImplementedError(f"{type(self).__name__}.forecast")


@dataclass(frozen=True)
class FittedStatistical(Serializable):
    """A statistical model, the season and the quantile levels."""

    model: Statistical
    season: int
    levels: tuple[float, ...]

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Fit and forecast each series of the history; what cannot be is the seasonal naive's, and marked."""
        steps = int(future.lengths[0])
        simple = FittedSeasonalNaive(self.season, self.levels).predict(history, future)
        mean, quantiles = simple.mean.copy(), simple.quantiles.copy()
        fallback = np.ones(len(mean), bool)
        for i in range(len(mean)):
            forecast = self._answer(history.series(i)[-self.model.longest :], steps)
            if forecast is not None:
                mean[i], quantiles[i], fallback[i] = *forecast, False
        return Forecasts.of(mean, quantiles, fallback)

    def _answer(self, values: np.ndarray, steps: int) -> Banded | None:
        there = np.flatnonzero(~np.isnan(values))
        known = values[there]
        if 2 * len(there) < len(values) or not self.model.suits(known):
            return None
        span = values[there[0] : there[-1] + 1]
        gone = len(values) - 1 - there[-1]  # a hole at the end is forecast, too
        scale = scale_of(known)
        try:
            # candidates that overflow are dropped by the library; what it answers is checked below
            with np.errstate(all="ignore"):
                mean, quantiles = self.model.forecast(filled(span, self.season) / scale, self.season, steps + gone, self.levels)
        except Exception:  # the library raises bare ones; the caller counts it
            return None
        both = np.column_stack([mean, quantiles])[gone:] * scale
        if not (np.abs(both) <= np.array([WILD, *map(wild_beyond, self.levels)]) * np.abs(known).max()).all():
            return None
        both = np.maximum(both, 0.0) if known.min() >= 0 else both
        return both[:, 0], both[:, 1:]


@cache
def wild_beyond(level: float) -> float:
    """Return how many times the largest value that was seen a quantile is wild beyond.

    A log-normal law round that value, whose middle 80 % just reach `WILD`, has its quantile of the level there: what is an
    answer at usual levels does not become wild because levels further out are asked.
    """
    normal = NormalDist()
    return float(WILD ** max(1.0, abs(normal.inv_cdf(level)) / normal.inv_cdf(WIDE)))


def filled(values: np.ndarray, season: int) -> np.ndarray:
    """Return a series that begins and ends with a known value, its holes closed.

    A hole takes the value of the same season a year before (itself closed, if need be); in the first year, and where there is
    no season, it lies on the line between its neighbours.
    """
    holes = np.flatnonzero(np.isnan(values))
    if not len(holes):
        return values
    known = np.flatnonzero(~np.isnan(values))
    whole = np.interp(np.arange(len(values)), known, values[known])
    for hole in holes[(holes >= season) & (season > 1)]:
        whole[hole] = whole[hole - season]
    return whole


def scale_of(values: np.ndarray) -> float:
    """Return a power of two that brings very large or small values near 1, else 1: division by it loses no bit.

    The libraries' optimisers have absolute bounds and tolerances (theta's first level lies within 1e10).
    """
    exponent = int(np.frexp(np.abs(values).max())[1])
    return 1.0 if -10 <= exponent <= 30 else float(2.0 ** (exponent - 10))
