"""Seasonal ARIMA models, one for each series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Le
from numpy import ndarray

from hwds.core.compiling import compiled
from hwds.core.recipe import Depth, Steps, ZeroSteps
from hwds.core.serialization import Serializable
from hwds.forecast.arima import (
    ArimaSeries,
    OrderLimits,
    Orders,
    OrderSearch,
    arima_form,
    drift_regressor,
    useful_covariates,
)
from hwds.forecast.arima_kernels import (
    ArimaForm,
    ArimaScratch,
    differencing_rows,
    forecast_from_ends,
    make_scratch,
    state_length,
)
from hwds.forecast.covariates import Regressors
from hwds.forecast.metrics import last_season
from hwds.forecast.models.base import ForecastContext, Forecaster, normal_bands
from hwds.forecast.models.seasonal_naive import FittedSeasonalNaive, seasonal_spread
from hwds.frames.panel import Forecasts, Panel

# Fitted seasonal ARIMA models: a few numbers a series, and the forecasts that they give of any
# history.


@dataclass(frozen=True)
class SarimaFit:
    """One series' model: the orders, the free parameters, the weights of the constant and the
    columns, the error's spread.
    """

    form: ArimaForm
    free: ndarray
    weights: ndarray
    sigma: float


@dataclass(frozen=True)
class FittedSarima(Serializable):
    """The models of all series: a few numbers each.

    Attributes:
        ids: The series, in order.
        forms: Their orders as `Form` has them, p of -1 for a series without a model; shape (n, 8).
        free: Their free parameters, shape (n, most).
        weights: The weights of the constant and of each regressor, shape (n, 1 + regressors).
        sigma: The standard deviation of an error one step ahead, shape (n,).
        names: The columns that are regressors.
        period: Rows of the season that Fourier terms tell; 0 for none.
        pairs: Sines and cosines of it.
        season: Rows in a season.
        levels: The quantile levels.
    """

    ids: tuple[str, ...]
    forms: ndarray
    free: ndarray
    weights: ndarray
    sigma: ndarray
    names: tuple[str, ...]
    period: int
    pairs: int
    season: int
    levels: tuple[float, ...]

    @classmethod
    def of(
        cls,
        history: Panel,
        fits: Sequence[SarimaFit | None],
        regressors: Regressors,
        season: int,
        levels: tuple[float, ...],
    ) -> FittedSarima:
        """Lay the fits out in arrays."""
        n, most = len(fits), max((len(fit.free) for fit in fits if fit), default=0)
        forms, free = np.full((n, len(ArimaForm._fields)), -1), np.zeros((n, most))
        weights, sigma = np.zeros((n, 1 + regressors.count)), np.zeros(n)
        for i, fit in enumerate(fits):
            if fit:
                forms[i], weights[i], sigma[i] = fit.form, fit.weights, fit.sigma
                free[i, : len(fit.free)] = fit.free
        return cls(
            tuple(history.series_ids.to_list()),
            forms,
            free,
            weights,
            sigma,
            regressors.names,
            regressors.period,
            regressors.pairs,
            season,
            tuple(levels),
        )

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Filter the history with the parameters, and forecast from its end."""
        whole = history.followed_by(future)
        mean, spread = self._project_all(whole, history.lengths[:, None], int(future.lengths[0]))
        return self._forecasts(whole, history.lengths, mean[:, 0], spread[:, 0])

    def sample(
        self, history: Panel, future: Panel, n: int, streams: Sequence[np.random.Generator]
    ) -> ndarray:
        """Return paths of each series, shape (series, n, h).

        Those of the seasonal naive where there is no model.
        """
        steps, whole = int(future.lengths[0]), history.followed_by(future)
        joint = np.empty((history.n_series, steps, steps))
        paths = np.empty((history.n_series, n, steps))
        mean, spread = self._project_all(whole, history.lengths[:, None], steps, joint)
        unmodelled = ~(np.isfinite(mean) & np.isfinite(spread)).all((1, 2))
        for i in np.flatnonzero(~unmodelled).tolist():
            paths[i] = normal_draws(mean[i, 0], joint[i], n, streams[i])
        if unmodelled.any():
            naive = FittedSeasonalNaive(self.season, self.levels)
            paths[unmodelled] = naive.sample(history, future, n, streams)[unmodelled]
        return paths

    def predict_at(self, panel: Panel, ends: ndarray, horizon: int) -> list[Forecasts]:
        """Return the forecasts from each of many cutoffs, by one run of the filter over each
        series.
        """
        order = np.argsort(ends, axis=1, kind="stable")
        forecasts = self._project_all(panel, np.take_along_axis(ends, order, 1), horizon)
        place = np.argsort(order, axis=1)[..., None]
        mean, spread = (np.take_along_axis(values, place, 1) for values in forecasts)
        return [
            self._forecasts(panel, ends[:, k], mean[has, k], spread[has, k])
            for k, has in enumerate(ends.T > 0)
        ]

    def _forecasts(self, panel: Panel, ends: ndarray, mean: ndarray, spread: ndarray) -> Forecasts:
        """Return the forecasts of series with a row up to `ends`.

        Where there is no model, the seasonal naive of those rows.
        """
        unmodelled = ~(np.isfinite(mean) & np.isfinite(spread)).all(1)
        if unmodelled.any():
            history, steps = panel.until(ends), mean.shape[1]
            passed = np.arange(steps) // self.season + 1
            naive = last_season(history.target, history.offsets, self.season, steps)
            wide = seasonal_spread(history, self.season)[:, None] * np.sqrt(passed)
            mean = np.where(unmodelled[:, None], naive, mean)
            spread = np.where(unmodelled[:, None], wide, spread)
        bands = normal_bands(mean, spread, self.levels)
        return Forecasts.of(bands.mean, bands.quantiles, unmodelled)

    def _project_all(
        self, panel: Panel, ends: ndarray, steps: int, joint: ndarray | None = None
    ) -> tuple[ndarray, ndarray]:
        """Return means and standard deviations, NaN where there is no model.

        Shape (n_series, origins, steps).

        With `joint`, of shape (n_series, steps, steps), the covariance of all steps after the last
        origin is written there.
        """
        columns = Regressors(self.names, self.period, self.pairs).values(panel)
        places = {name: i for i, name in enumerate(self.ids)}
        scratch, run = self._scratch(steps), compiled(forecast_from_ends)
        mean, variance = np.full((2, *ends.shape, steps), np.nan)
        for i, name in enumerate(panel.series_ids.to_list()):
            known = np.flatnonzero(~np.isnan(panel.series(i)[: ends[i, -1]]))
            k = places.get(name, -1)
            if k >= 0 and self.forms[k, 0] >= 0 and len(known):
                regressors = columns[panel.offsets[i] : panel.offsets[i + 1]]
                out = mean[i], variance[i]
                form = self._project(
                    run, k, panel.series(i), regressors, int(known[0]), ends[i], out, scratch
                )
                if joint is not None:
                    joint[i] = self.sigma[k] ** 2 * joint_covariance(form, scratch, steps)
        return mean, np.sqrt(variance)

    def _project(
        self,
        run: Any,
        k: int,
        values: ndarray,
        columns: ndarray,
        first: int,
        ends: ndarray,
        out: tuple[ndarray, ndarray],
        scratch: ArimaScratch,
    ) -> ArimaForm:
        """Write the forecasts of one series, and return the form of its model."""
        form, steps = ArimaForm(*self.forms[k].tolist()), out[0].shape[1]
        used = np.zeros((len(values) + steps - first, 0))
        if columns.shape[1]:
            after = np.full((steps, columns.shape[1]), np.nan)
            used = np.vstack([columns, after])[first:]
        base = drift_regressor(len(used), form.d, form.seasonal_d, form.season) * self.weights[k, 0]
        # a matrix product's last bits would change with the number of rows
        for column, weight in zip(used.T, self.weights[k, 1:], strict=True):
            base = base + column * weight
        inside = len(values) - first
        # before the first value there is nothing to forecast from
        known = np.where(ends > first, ends - first, -1)
        free = self.free[k, : form.p + form.q + form.seasonal_p + form.seasonal_q]
        run(form, free, values[first:] - base[:inside], known, *out, scratch)
        out[0][...] += base[np.maximum(ends - first, 0)[:, None] + np.arange(steps)]
        out[1][...] *= self.sigma[k] ** 2
        return form

    def _scratch(self, steps: int) -> ArimaScratch:
        forms = [ArimaForm(*row) for row in self.forms.tolist() if row[0] >= 0]
        size = max(map(state_length, forms), default=1)
        differenced = max(map(differencing_rows, forms), default=0)
        return make_scratch(size, differenced, 0, 0, steps)


def joint_covariance(form: ArimaForm, scratch: ArimaScratch, steps: int) -> ndarray:
    """Return the covariance of all steps after the last origin, in units of the innovation's
    variance, shape (steps, steps).

    Args:
        form: The model.
        scratch: The memory as the forecast of the last origin leaves it: `square` and `ahead`.
        steps: The number of steps.
    """
    size = state_length(form)
    states = size + differencing_rows(form)
    # copies, for the last bits of a product may depend on how its factors lie in a scratch that
    # other series share
    ahead, square = scratch.ahead[:steps, :states].copy(), scratch.square[:states, :states].copy()
    psi = ahead[:, :size].copy() @ scratch.theta[:size]
    later = np.arange(steps)[:, None] - np.arange(1, steps)[None, :]
    weights = np.where(later >= 0, psi[np.maximum(later, 0)], 0.0)
    return ahead @ square @ ahead.T + weights @ weights.T


def normal_draws(
    mean: ndarray, covariance: ndarray, n: int, stream: np.random.Generator
) -> ndarray:
    """Draw normal vectors, shape (n, steps).

    A covariance that rounding left slightly indefinite is taken at its root.

    Args:
        mean: Shape (steps,).
        covariance: Shape (steps, steps).
        n: The number of vectors.
        stream: Random numbers.
    """
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return mean + stream.standard_normal((n, len(mean))) @ root.T


# Seasonal ARIMA models, one for each series.

LONGEST = 24
"""A longer season is modelled by Fourier terms: the state would be as long as the season."""

SEASONS = 2
"""A series of fewer long seasons gets no Fourier terms: part of a wave is a trend, and it turns
where none of it was seen.
"""

LEAST_KNOWN = 3
"""A series with fewer known values gets the seasonal naive."""


Order = Annotated[int, Ge(0), Le(100)]
"""An order of a polynomial."""


class Sarima(Forecaster):
    """Seasonal ARIMA whose orders are found for each series, with known-future columns as
    regressors.

    Differences by the KPSS test and the strength of the season, orders by the stepwise search of
    Hyndman and Khandakar (2008), "Automatic time series forecasting: the forecast package for R",
    by AICc over the exact likelihood. Holes are left to the Kalman filter. A series with fewer than
    three known values, or one that cannot be fitted, gets the seasonal naive and counts as a
    fallback.

    Attributes:
        search: `exact_stepwise` fits every candidate by its exact likelihood; `css_stepwise` by the
            conditional sum of squares, then the best of them exactly; `fixed` takes the orders
            given.
        order: p, d, q of `fixed`.
        seasonal_order: P, D, Q of `fixed`.
        constant: `fixed` has a mean, or a drift, where it is differenced once.
        most_ordinary: The largest p and q.
        most_seasonal: The largest P and Q.
        most_total: The largest sum of the four; the first model of the search, (2, 2) and (1, 1),
            has 6.
        finalists: The number of best candidates of `css_stepwise` that are fitted exactly, and
            compared again.
        covariates: Known-future columns of numbers are regressors of each series whose AICc they
            lower: the pulse of a promotion, the level from a launch on.
        harmonics: Pairs of Fourier terms for a season over 24 rows, of series that have seen two of
            them.
        season: Rows in a season; 0 takes the dataset's.
        longest: The most rows of a series that it is fitted to, from its end.
    """

    local = True
    search_space: ClassVar[Mapping[str, Any]] = {
        "search": {"choice": ["exact_stepwise", "css_stepwise"]},
        "most_ordinary": {"randint": [1, 6]},
        "most_seasonal": {"randint": [0, 3]},
        "covariates": {"choice": [True, False]},
    }

    search: Literal["exact_stepwise", "css_stepwise", "fixed"] = "exact_stepwise"
    order: tuple[Order, Order, Order] = (0, 1, 1)
    seasonal_order: tuple[Order, Order, Order] = (0, 1, 1)
    constant: bool = False
    most_ordinary: Depth = 5
    most_seasonal: Order = 2
    most_total: Depth = 6
    finalists: Depth = 5
    covariates: bool = True
    harmonics: Depth = 3
    season: ZeroSteps = 0
    longest: Steps = 2_500

    def learn(self, history: Panel, *, horizon: int, context: ForecastContext) -> FittedSarima:
        """Fit each series alone."""
        season = self.season or context.season
        regressors = Regressors.of(
            history, season if season > LONGEST else 0, self.harmonics, self.covariates
        )
        columns = regressors.values(history)
        inner = season if season <= LONGEST else 1
        longest = min(int(history.lengths.max()), self.longest)
        search = self._search(inner, longest, columns.shape[1])
        fits = []
        for i in range(history.n_series):
            own = columns[history.offsets[i] : history.offsets[i + 1]]
            fits.append(self._fit(search, history.series(i), own, regressors, inner))
        return FittedSarima.of(history, fits, regressors, season, context.levels)

    def _search(self, season: int, rows: int, covariates: int) -> OrderSearch:
        (p, _, q), (big_p, _, big_q) = self.order, self.seasonal_order
        fixed = self.search == "fixed"
        ordinary = max(p, q, 1) if fixed else self.most_ordinary
        seasonal = (max(big_p, big_q) if fixed else self.most_seasonal) if season > 1 else 0
        limits = OrderLimits(ordinary, seasonal, self.most_total, self.finalists)
        return OrderSearch(
            limits, season, rows, covariates, thorough=self.search == "exact_stepwise"
        )

    def _fit(
        self,
        search: OrderSearch,
        values: ndarray,
        columns: ndarray,
        regressors: Regressors,
        season: int,
    ) -> SarimaFit | None:
        values, columns = values[-self.longest :], columns[-self.longest :]
        known = np.flatnonzero(~np.isnan(values))
        if len(known) < LEAST_KNOWN:
            return None
        values, columns = values[known[0] :], columns[known[0] :]
        spread = columns.std(0)
        spread[spread == 0] = 1.0
        given = self._fixed_orders(len(values), season) if self.search == "fixed" else None
        if given is None and self.search == "fixed":
            return None
        optional = len(regressors.names)
        waves = None if len(values) >= SEASONS * regressors.period else optional
        used = (columns / spread)[:, :waves]
        orders = (given[0][1], given[1][1]) if given else None
        series = ArimaSeries.of(values, used, season, orders)
        chosen = useful_covariates(search, series, optional)
        series = series.regressed_on(chosen)
        trial = search.fit(series, _given_form(series, given)) if given else search.best(series)
        if not np.isfinite(trial.point).all():
            return None
        shaped, weights = len(trial.point) - trial.form.regressors, np.zeros(1 + len(spread))
        places = [0, *(1 + column for column in chosen)][1 + len(chosen) - trial.form.regressors :]
        weights[places] = trial.point[shaped:]
        sigma = np.sqrt(search.variance(series, trial, self.search != "fixed")) * series.scale
        return SarimaFit(
            trial.form,
            trial.point[:shaped],
            weights * series.scale / np.r_[1.0, spread],
            float(sigma),
        )

    def _fixed_orders(self, rows: int, season: int) -> Orders | None:
        """Return the orders of `fixed`; None where a series of so many rows is too short for
        them.
        """
        seasonal = self.seasonal_order if season > 1 else (0, 0, 0)
        differenced = self.order[1] + season * seasonal[1]
        return (self.order, seasonal, self.constant) if differenced < rows - 1 else None


def _given_form(series: ArimaSeries, orders: Orders) -> ArimaForm:
    (p, _, q), (big_p, _, big_q), constant = orders
    return arima_form(series, p, q, big_p, big_q, int(constant and series.may_drift))
