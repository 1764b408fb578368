"""Fitted seasonal ARIMA models: a few numbers a series, and the forecasts that they give of any history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from hwds.compiled import compiled
from hwds.frames.forecasts import Forecasts
from hwds.frames.panel import Panel
from hwds.metrics.scale import last_season
from hwds.models.forecast.normal import normal_bands
from hwds.models.forecast.sarima_filter import project
from hwds.models.forecast.sarima_polynomials import Desk, Form, desk, lags_of, lost_by
from hwds.models.forecast.sarima_regressors import Regressors
from hwds.models.forecast.sarima_series import drift
from hwds.models.forecast.seasonal_naive import seasonal_spread
from hwds.stored import Stored


@dataclass(frozen=True)
class Fit:
    """One series' model: the orders, the free parameters, the weights of the constant and the columns, the error's spread."""

    form: Form
    free: np.ndarray
    weights: np.ndarray
    sigma: float


class Known(Protocol):
    """A cutoff, as `predict_at` reads it."""

    def ends(self, panel: Panel) -> np.ndarray:
        """How many rows of each series lie up to it, shape (n_series,)."""


@dataclass(frozen=True)
class FittedSarima(Stored):
    """The models of all series: a few numbers each.

    Attributes:
        ids: The series, in order.
        forms: Their orders as `Form` has them, p of -1 for a series without a model; shape (n, 8).
        free: Their free parameters, shape (n, most).
        weights: Of the constant and of each regressor, shape (n, 1 + regressors).
        sigma: The standard deviation of the innovations, shape (n,).
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
        return self._answer(history, mean[:, 0], spread[:, 0])

    def predict_at(self, panel: Panel, cutoffs: Sequence[Known], horizon: int) -> list[Forecasts]:
        """The forecasts of all series from each of many cutoffs, in one pass; as `predict` at each.

        Args:
            panel: Rows up to the last cutoff and, where there are regressors, those of each horizon.
            cutoffs: Each leaves every series at least a row.
            horizon: Steps.
        """
        ends = np.stack([cutoff.ends(panel) for cutoff in cutoffs], 1)
        order = np.argsort(ends[0], kind="stable")
        mean, spread = self._asked(panel, np.ascontiguousarray(ends[:, order]), horizon)
        place = np.argsort(order)
        return [self._answer(panel.until(ends[:, k]), mean[:, place[k]], spread[:, place[k]]) for k in range(len(cutoffs))]

    def _answer(self, history: Panel, mean: np.ndarray, spread: np.ndarray) -> Forecasts:
        lost = ~(np.isfinite(mean) & np.isfinite(spread)).all(1)
        if lost.any():
            steps = mean.shape[1]
            passed = np.arange(steps) // self.season + 1
            naive = last_season(history.target, history.offsets, self.season, steps)
            wide = seasonal_spread(history, self.season)[:, None] * np.sqrt(passed)
            mean, spread = np.where(lost[:, None], naive, mean), np.where(lost[:, None], wide, spread)
        bands = normal_bands(mean, spread, self.levels)
        return Forecasts.of(bands.mean, bands.quantiles, lost)

    def _asked(self, panel: Panel, ends: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Means and standard deviations, NaN where there is no model; shape (n_series, origins, steps)."""
        columns = Regressors(self.names, self.period, self.pairs).values(panel)
        places = {name: i for i, name in enumerate(self.ids)}
        scratch, run = self._desk(steps), compiled(project)
        mean, variance = np.full((2, *ends.shape, steps), np.nan)
        for i, name in enumerate(panel.series_ids.to_list()):
            known = np.flatnonzero(~np.isnan(panel.series(i)[: ends[i, -1]]))
            k = places.get(name, -1)
            if k >= 0 and self.forms[k, 0] >= 0 and len(known):
                own = columns[panel.offsets[i] : panel.offsets[i + 1]]
                asked = mean[i], variance[i]
                self._project(run, k, panel.series(i), own, int(known[0]), ends[i], asked, scratch)
        return mean, np.sqrt(variance)

    def _project(
        self,
        run: Any,
        k: int,
        values: np.ndarray,
        columns: np.ndarray,
        first: int,
        ends: np.ndarray,
        asked: tuple[np.ndarray, np.ndarray],
        scratch: Desk,
    ) -> None:
        form, steps = Form(*self.forms[k].tolist()), asked[0].shape[1]
        after = np.full((steps, columns.shape[1]), np.nan)
        used = np.vstack([columns, after])[first:] if columns.shape[1] else np.zeros((len(values) + steps - first, 0))
        base = drift(len(used), form.d, form.seasonal_d, form.season) * self.weights[k, 0] + used @ self.weights[k, 1:]
        inside = len(values) - first
        own = self.free[k, : form.p + form.q + form.seasonal_p + form.seasonal_q]
        run(form, own, values[first:] - base[:inside], ends - first, *asked, scratch)
        asked[0][...] += base[np.maximum(ends - first, 0)[:, None] + np.arange(steps)]
        asked[1][...] *= self.sigma[k] ** 2

    def _desk(self, steps: int) -> Desk:
        forms = [Form(*row) for row in self.forms.tolist() if row[0] >= 0]
        size, lost = max(map(lags_of, forms), default=1), max(map(lost_by, forms), default=0)
        return desk(size, lost, 0, 0, steps)
