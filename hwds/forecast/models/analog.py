"""Forecasts of launches from what earlier launches have done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy import ndarray

from hwds.core.errors import ConfigError, nearest
from hwds.core.recipe import Rows, Small, ZeroSteps
from hwds.core.serialization import Serializable
from hwds.forecast.lifecycle.design import usable_series, with_age
from hwds.forecast.lifecycle.fitting import LONGEST_LEARNED, LearnedLaunches, fit_analog
from hwds.forecast.lifecycle.pooling import forecast_launches, forecast_levels
from hwds.forecast.models.base import ForecastContext, Forecaster
from hwds.forecast.models.seasonal_naive import FittedSeasonalNaive
from hwds.frames.panel import NOTHING_LEARNED, Forecasts, Panel

# A fitted analog model, and its forecasts: of series with rows of their own, and of launches
# without.

SERIES_AT_ONCE = 200
"""Series that are forecast at once; it bounds memory."""

FEW_SALES = "sales negative or mostly zero"
"""Why the last season answers for a series."""

LARGEST_LOG = 300.0
"""The log of the largest forecast."""

WIDEST_VARIANCE = 2.0
"""The variance of a log beyond which a mean is not believed."""


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedAnalog(LearnedLaunches, Serializable):
    """A fitted analog model, with the season and the quantile levels."""

    season: int
    levels: tuple[float, ...]

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Forecast each series from its own rows and similar series.

        From its last season alone where it has few sales.
        """
        plain = FittedSeasonalNaive(self.season, self.levels).predict(history, future)
        good = usable_series(history) & (len(self.coefficients) > 0)
        why = FEW_SALES if len(self.coefficients) else NOTHING_LEARNED
        if not good.any():
            return Forecasts.of(plain.mean, plain.quantiles, ~good, why)
        blocks = [
            slice(first, min(first + SERIES_AT_ONCE, history.n_series))
            for first in range(0, history.n_series, SERIES_AT_ONCE)
        ]
        parts = [
            self._forecast_logs(history.block(b.start, b.stop), future.block(b.start, b.stop))
            for b in blocks
        ]
        logs, spreads = (np.concatenate(part) for part in zip(*parts, strict=True))
        pooled = self._forecasts(logs, spreads, 1)
        mean = np.where(good[:, None], pooled.mean, plain.mean)
        quantiles = np.where(good[:, None, None], pooled.quantiles, plain.quantiles)
        return Forecasts.of(mean, quantiles, ~good, why)

    def launch(self, history: Panel, future: Panel) -> Forecasts:
        """Forecast series without a row from similar ones alone.

        NaN where there was nothing to learn from.
        """
        shape = (future.n_series, int(future.lengths[0]))
        if not len(self.coefficients):
            absent = np.full(shape, np.nan)
            return Forecasts.of(
                absent,
                np.repeat(absent[..., None], len(self.levels), 2),
                np.ones(len(absent), bool),
                NOTHING_LEARNED,
            )
        design, course = self._design(with_age(future, self.terms.age, self.start))
        mean, spread = forecast_launches(
            design.reshape(*shape, -1), self.level, self.coefficients, self.covariance
        )
        return self._forecasts(mean + course.reshape(shape), spread, 0)

    def _forecast_logs(self, history: Panel, future: Panel) -> tuple[ndarray, ndarray]:
        """Return the mean and standard deviation of log sales less the centre, each of shape (n,
        h).
        """
        whole = with_age(history.followed_by(future), self.terms.age, self.start)
        whole = whole.last(max(12 * self.season, LONGEST_LEARNED) + int(future.lengths[0]))
        rows = self.terms.rows(whole)
        design, course = self._design(whole)
        steps = int(future.lengths[0])
        coming = whole.positions >= np.repeat(whole.lengths - steps, whole.lengths)
        past = np.concatenate([(rows.log - self.centre - course)[:, None], design], 1)[~coming]
        known = ~np.isnan(past[:, 0])
        offsets = np.append(0, np.cumsum(whole.lengths - steps))
        after = design[coming].reshape(future.n_series, steps, -1)
        past[:, 0] = np.nan_to_num(past[:, 0])
        mean, spread = forecast_levels(
            past, known, offsets, after, self.level, self.coefficients, self.covariance
        )
        return mean + course[coming].reshape(mean.shape), spread

    def _design(self, panel: Panel) -> tuple[ndarray, ndarray]:
        """Return the design of a panel's rows, and what their growth curve says."""
        blocks = self.terms.blocks(panel, course=not self.growth.words)
        course = self.growth.course(self.terms.words(panel), self.terms.rows(panel))
        return np.concatenate([columns for _, columns in blocks], 1), course

    def _forecasts(self, mean: ndarray, spread: ndarray, known: int) -> Forecasts:
        """Return log-normal forecasts, as wide as the errors on past launches of which as many rows
        were known.
        """
        steps = np.minimum(np.arange(mean.shape[1]), self.spread.shape[1] - 1)
        wide = spread * self.spread[known, steps]
        scores = np.array([NormalDist().inv_cdf(level) for level in self.levels])
        mean = mean + self.centre
        quantiles = np.exp(np.minimum(mean[..., None] + wide[..., None] * scores, LARGEST_LOG))
        return Forecasts.of(
            np.exp(np.minimum(mean + np.minimum(wide**2, WIDEST_VARIANCE) / 2, LARGEST_LOG)),
            quantiles,
        )


# Forecasts of launches from what earlier launches have done.


class Analog(Forecaster):
    """A launch forecast from earlier launches, each weighted by its similarity to the new one.

    The log of sales is a sum: the course by age, which launches of a family and of a channel share
    in part; the season and the effects of known-future columns (price, promotion), likewise; the
    level of its kind; and a level of its own that wanders. How much is shared is learned (empirical
    Bayes: MacKay 1992, "Bayesian interpolation"), so that a predecessor in the same channel counts
    for more than a stranger where launches of a kind are alike, and no more where they are not. A
    launch's sales so far move its own level, by the ratio of the launches' variance to the noise of
    a row (a Kalman filter; Harvey 1989). Intervals are as wide as past launches were missed, each
    left out in its turn, step by step.

    Static columns define similar launches: a value that returns from launch to launch (a family, a
    channel) is a kind; a value that only the series of one launch share (a device in several
    channels) ties them together. Sales must not be negative; a series that is, or whose sales are
    mostly zero, is answered by its last season and counted as a fallback.

    Attributes:
        curve: The course by age: `analog` learns it freely; `bass` (Bass 1969, "A new product
            growth for model consumer durables") and `gompertz` (1825) are growth curves of
            cumulative sales, fitted to each past launch and pooled.
        age: The known-future column that counts the rows since the launch; empty finds the column
            that rises by one from row to row; without one, it counts the rows of series that begin
            after the data does.
        season: Rows in a season; 0 takes the dataset's.
        max_rows: Rows of history to learn from, of the series that began last.
    """

    launches = True
    search_space: ClassVar[Mapping[str, Any]] = {
        "curve": {"choice": ["analog", "bass", "gompertz"]}
    }

    curve: Literal["analog", "bass", "gompertz"] = "analog"
    age: str = ""
    season: ZeroSteps = 0
    max_rows: Annotated[Rows, Small(4_000)] = 12_000

    def learn(self, history: Panel, *, horizon: int, context: ForecastContext) -> FittedAnalog:
        """Learn from all series that are known.

        Raises:
            ConfigError: There is no such known-future column.
        """
        if self.age and self.age not in history.roles.known_future:
            raise ConfigError(
                f"model.age: no known-future column "
                f"'{self.age}'{nearest(self.age, history.roles.known_future)}"
            )
        season = self.season or context.season
        learned = fit_analog(
            history,
            season=season,
            age=self.age,
            curve=self.curve,
            horizon=horizon,
            most=self.max_rows,
        )
        return FittedAnalog(season=season, levels=context.levels, **vars(learned))
