"""Fitted seasonal ARIMA models: a few numbers a series, and the forecasts that they give of any history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwds.core.numba_cache import compiled
from hwds.core.serialization import Serializable
from hwds.forecast.metrics.scale import last_season
from hwds.forecast.models.arima.filter import project
from hwds.forecast.models.arima.polynomials import Desk, Form, desk, lags_of, lost_by
from hwds.forecast.models.arima.regressors import Regressors
from hwds.forecast.models.arima.series import drift
from hwds.forecast.models.seasonal_naive import FittedSeasonalNaive, seasonal_spread
from hwds.forecast.models.statistical.normal import normal_bands
from hwds.frames.forecasts import Forecasts
from hwds.frames.panel import Panel


@dataclass(frozen=True)
class Fit:
    """One series' model: the orders, the free parameters, the weights of the constant and the columns, the error's spread."""

    form: Form
    free: np.ndarray
    weights: np.ndarray
    sigma: float


@dataclass(frozen=True)
class FittedSarima(Serializable):
    """The models of all series: a few numbers each.

    Attributes:
        ids: The series, in order.
        forms: Their orders as `Form` has them, p of -1 for a series without a model; shape (n, 8).
        free: Their free parameters, shape (n, most).
        weights: Of the constant and of each regressor, shape (n, 1 + regressors).
        sigma: The standard deviation of an error one step ahead, shape (n,).
        names: The columns that are regressors.
        period: Rows of the season that Fourier terms tell; 0 for none.
        pairs: Sines and cosines of it.
        season: Rows in a season.
        levels: The quantile levels.
    """

    ids: tuple[str, ...]
    forms: np.ndarray
    free: np.ndarray
    weights: np.ndarray
    sigma: np.ndarray
    names: tuple[str, ...]
    period: int
    pairs: int
    season: int
    levels: tuple[float, ...]

    @classmethod
    def of(
        cls, history: Panel, fits: Sequence[Fit | None], regressors: Regressors, season: int, levels: tuple[float, ...]
    ) -> FittedSarima:
        """Lay the fits out in arrays."""
        n, most = len(fits), max((len(fit.free) for fit in fits if fit), default=0)
        forms, free, sigma = np.full((n, len(Form._fields)), -1), np.zeros((n, most)), np.zeros(n)
        weights = np.zeros((n, 1 + regressors.count))
        for i, fit in enumerate(fits):
            if fit:
                forms[i], free[i, : len(fit.free)], weights[i], sigma[i] = fit.form, fit.free, fit.weights, fit.sigma
        ids = tuple(history.series_ids.to_list())
        return cls(
            ids, forms, free, weights, sigma, regressors.names, regressors.period, regressors.pairs, season, tuple(levels)
        )

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Filter the history with the parameters, and forecast from its end."""
        whole = history.followed_by(future)
        mean, spread = self._asked(whole, history.lengths[:, None], int(future.lengths[0]))
        return self._answer(whole, history.lengths, mean[:, 0], spread[:, 0])

    def sample(self, history: Panel, future: Panel, n: int, streams: Sequence[np.random.Generator]) -> np.ndarray:
        """Return paths of each series, shape (series, n, h); those of the seasonal naive where there is no model."""
        steps = int(future.lengths[0])
        joint, paths = np.empty((history.n_series, steps, steps)), np.empty((history.n_series, n, steps))
        mean, spread = self._asked(history.followed_by(future), history.lengths[:, None], steps, joint)
        lost = ~(np.isfinite(mean) & np.isfinite(spread)).all((1, 2))
        for i in np.flatnonzero(~lost).tolist():
            paths[i] = drawn(mean[i, 0], joint[i], n, streams[i])
        if lost.any():
            paths[lost] = FittedSeasonalNaive(self.season, self.levels).sample(history, future, n, streams)[lost]
        return paths

    def predict_at(self, panel: Panel, ends: np.ndarray, horizon: int) -> list[Forecasts]:
        """Return the forecasts from each of many cutoffs, by one run of the filter over each series."""
        order = np.argsort(ends, axis=1, kind="stable")
        forecasts = self._asked(panel, np.take_along_axis(ends, order, 1), horizon)
        place = np.argsort(order, axis=1)[..., None]
        mean, spread = (np.take_along_axis(values, place, 1) for values in forecasts)
        there = [column > 0 for column in ends.T]
        return [self._answer(panel, ends[:, k], mean[has, k], spread[has, k]) for k, has in enumerate(there)]

    def _answer(self, panel: Panel, ends: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> Forecasts:
        """Return the forecasts of series with a row up to `ends`; where there is no model, the seasonal naive of those rows."""
        lost = ~(np.isfinite(mean) & np.isfinite(spread)).all(1)
        if lost.any():
            history, steps = panel.until(ends), mean.shape[1]
            passed = np.arange(steps) // self.season + 1
            naive = last_season(history.target, history.offsets, self.season, steps)
            wide = seasonal_spread(history, self.season)[:, None] * np.sqrt(passed)
            mean, spread = np.where(lost[:, None], naive, mean), np.where(lost[:, None], wide, spread)
        bands = normal_bands(mean, spread, self.levels)
        return Forecasts.of(bands.mean, bands.quantiles, lost)

    def _asked(
        self, panel: Panel, ends: np.ndarray, steps: int, joint: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return means and standard deviations, NaN where there is no model; shape (n_series, origins, steps).

        With `joint`, of shape (n_series, steps, steps), the covariance of all steps after the last origin is written there.
        """
        columns = Regressors(self.names, self.period, self.pairs).values(panel)
        places = {name: i for i, name in enumerate(self.ids)}
        scratch, run = self._desk(steps), compiled(project)
        mean, variance = np.full((2, *ends.shape, steps), np.nan)
        for i, name in enumerate(panel.series_ids.to_list()):
            known = np.flatnonzero(~np.isnan(panel.series(i)[: ends[i, -1]]))
            k = places.get(name, -1)
            if k >= 0 and self.forms[k, 0] >= 0 and len(known):
                regressors = columns[panel.offsets[i] : panel.offsets[i + 1]]
                out = mean[i], variance[i]
                self._project(run, k, panel.series(i), regressors, int(known[0]), ends[i], out, scratch)
                if joint is not None:
                    joint[i] = self.sigma[k] ** 2 * joint_covariance(Form(*self.forms[k].tolist()), scratch, steps)
        return mean, np.sqrt(variance)

    def _project(
        self,
        run: Any,
        k: int,
        values: np.ndarray,
        columns: np.ndarray,
        first: int,
        ends: np.ndarray,
        out: tuple[np.ndarray, np.ndarray],
        scratch: Desk,
    ) -> None:
        form, steps = Form(*self.forms[k].tolist()), out[0].shape[1]
        after = np.full((steps, columns.shape[1]), np.nan)
        used = np.vstack([columns, after])[first:] if columns.shape[1] else np.zeros((len(values) + steps - first, 0))
        base = drift(len(used), form.d, form.seasonal_d, form.season) * self.weights[k, 0]
        for column, weight in zip(used.T, self.weights[k, 1:], strict=True):
            base = base + column * weight  # a matrix product's last bits would change with the number of rows
        inside = len(values) - first
        known = np.where(ends > first, ends - first, -1)  # before the first value there is nothing to forecast from
        free = self.free[k, : form.p + form.q + form.seasonal_p + form.seasonal_q]
        run(form, free, values[first:] - base[:inside], known, *out, scratch)
        out[0][...] += base[np.maximum(ends - first, 0)[:, None] + np.arange(steps)]
        out[1][...] *= self.sigma[k] ** 2

    def _desk(self, steps: int) -> Desk:
        forms = [Form(*row) for row in self.forms.tolist() if row[0] >= 0]
        size, lost = max(map(lags_of, forms), default=1), max(map(lost_by, forms), default=0)
        return desk(size, lost, 0, 0, steps)


def joint_covariance(form: Form, scratch: Desk, steps: int) -> np.ndarray:
    """Return the covariance of all steps after the last origin, in units of the innovation's variance, shape (steps, steps).

    Args:
        form: The model.
        scratch: As `project` leaves it after its last origin: `square` and `ahead`.
        steps: How many.
    """
    size = lags_of(form)
    states = size + lost_by(form)
    # copies, for the last bits of a product may depend on how its factors lie in a scratch that other series share
    ahead, square = scratch.ahead[:steps, :states].copy(), scratch.square[:states, :states].copy()
    psi = ahead[:, :size].copy() @ scratch.theta[:size]
    later = np.arange(steps)[:, None] - np.arange(1, steps)[None, :]
    weights = np.where(later >= 0, psi[np.maximum(later, 0)], 0.0)
    covariance: np.ndarray = ahead @ square @ ahead.T + weights @ weights.T
    return covariance


def drawn(mean: np.ndarray, covariance: np.ndarray, n: int, stream: np.random.Generator) -> np.ndarray:
    """Draw normal vectors, shape (n, steps); a covariance that rounding left slightly indefinite is taken at its root.

    Args:
        mean: Shape (steps,).
        covariance: Shape (steps, steps).
        n: How many.
        stream: Random numbers.
    """
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    paths: np.ndarray = mean + stream.standard_normal((n, len(mean))) @ root.T
    return paths
