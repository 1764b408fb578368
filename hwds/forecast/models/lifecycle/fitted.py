"""A fitted analog model, and its forecasts: of series with rows of their own, and of launches without."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from hwds.core.serialization import Serializable
from hwds.forecast.models.lifecycle.ahead import ahead, unseen
from hwds.forecast.models.lifecycle.fitting import LONGEST, Learned
from hwds.forecast.models.lifecycle.rows import aged, usable
from hwds.forecast.models.seasonal_naive import FittedSeasonalNaive
from hwds.frames.forecasts import Forecasts
from hwds.frames.panel import Panel

TOGETHER = 200
"""Series that are forecast at once; it bounds memory."""

LARGEST = 300.0
"""The log of the largest forecast."""

WIDEST = 2.0
"""The variance of a log beyond which a mean is not believed."""


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedAnalog(Learned, Serializable):
    """A fitted analog model, with the season and the quantile levels."""

    season: int
    levels: tuple[float, ...]

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Forecast each series from its own rows and similar series; from its last season alone where it has few sales."""
        plain = FittedSeasonalNaive(self.season, self.levels).predict(history, future)
        good = usable(history) & (len(self.coefficients) > 0)
        if not good.any():
            return Forecasts.of(plain.mean, plain.quantiles, ~good)
        blocks = [slice(first, min(first + TOGETHER, history.n_series)) for first in range(0, history.n_series, TOGETHER)]
        parts = [self._followed(history.block(b.start, b.stop), future.block(b.start, b.stop)) for b in blocks]
        logs, spreads = (np.concatenate(part) for part in zip(*parts, strict=True))
        pooled = self._forecasts(logs, spreads, 1)
        mean = np.where(good[:, None], pooled.mean, plain.mean)
        return Forecasts.of(mean, np.where(good[:, None, None], pooled.quantiles, plain.quantiles), ~good)

    def launch(self, history: Panel, future: Panel) -> Forecasts:
        """Forecast series without a row from similar ones alone; NaN where there was nothing to learn from."""
        shape = (future.n_series, int(future.lengths[0]))
        if not len(self.coefficients):
            absent = np.full(shape, np.nan)
            return Forecasts.of(absent, np.repeat(absent[..., None], len(self.levels), 2), np.ones(len(absent), bool))
        design, course = self._design(aged(future, self.terms.age, self.start))
        mean, spread = unseen(design.reshape(*shape, -1), self.level, self.coefficients, self.covariance)
        return self._forecasts(mean + course.reshape(shape), spread, 0)

    def _followed(self, history: Panel, future: Panel) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean and standard deviation of log sales less the centre, each of shape (n, h)."""
        whole = aged(history.followed_by(future), self.terms.age, self.start)
        whole = whole.last(max(12 * self.season, LONGEST) + int(future.lengths[0]))
        rows = self.terms.rows(whole)
        design, course = self._design(whole)
        steps = int(future.lengths[0])
        coming = whole.positions >= np.repeat(whole.lengths - steps, whole.lengths)
        past = np.concatenate([(rows.log - self.centre - course)[:, None], design], 1)[~coming]
        known = ~np.isnan(past[:, 0])
        offsets = np.append(0, np.cumsum(whole.lengths - steps))
        after = design[coming].reshape(future.n_series, steps, -1)
        past[:, 0] = np.nan_to_num(past[:, 0])
        mean, spread = ahead(past, known, offsets, after, self.level, self.coefficients, self.covariance)
        return mean + course[coming].reshape(mean.shape), spread

    def _design(self, panel: Panel) -> tuple[np.ndarray, np.ndarray]:
        """Return the design of a panel's rows, and what their growth curve says."""
        blocks = self.terms.blocks(panel, course=not self.growth.words)
        course = self.growth.course(self.terms.words(panel), self.terms.rows(panel))
        return np.concatenate([columns for _, columns in blocks], 1), course

    def _forecasts(self, mean: np.ndarray, spread: np.ndarray, known: int) -> Forecasts:
        """Return log-normal forecasts, as wide as the errors on past launches of which as many rows were known."""
        steps = np.minimum(np.arange(mean.shape[1]), self.spread.shape[1] - 1)
        wide = spread * self.spread[known, steps]
        scores = np.array([NormalDist().inv_cdf(level) for level in self.levels])
        mean = mean + self.centre
        quantiles = np.exp(np.minimum(mean[..., None] + wide[..., None] * scores, LARGEST))
        return Forecasts.of(np.exp(np.minimum(mean + np.minimum(wide**2, WIDEST) / 2, LARGEST)), quantiles)
