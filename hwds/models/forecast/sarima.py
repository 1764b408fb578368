"""Seasonal ARIMA models, one for each series."""

from __future__ import annotations

from typing import Literal

import numpy as np

from hwds.context import Context
from hwds.frames.panel import Panel
from hwds.models.forecast.base import Forecaster
from hwds.models.forecast.sarima_fitted import Fit, FittedSarima
from hwds.models.forecast.sarima_regressors import Regressors
from hwds.models.forecast.sarima_rivals import Orders, rival_orders
from hwds.models.forecast.sarima_search import Limits, Search, Trial, form_of
from hwds.models.forecast.sarima_series import Series
from hwds.recipe import Count, Whole

LONGEST = 24
"""A longer season is told by Fourier terms: the state would be as long as the season."""

LEAST = 3
"""A series with fewer known values gets the seasonal naive."""


class Sarima(Forecaster):
    """Seasonal ARIMA whose orders are found for each series, with known-future columns as regressors.

    Differences by the KPSS test and the strength of the season, orders by the stepwise search of Hyndman and Khandakar (2008),
    "Automatic time series forecasting: the forecast package for R", by AICc over the conditional sum of squares; what it
    finds is fitted by its exact likelihood. Holes are left to the Kalman filter. A series with fewer than three known values,
    or one that cannot be fitted, gets the seasonal naive and counts as a fallback.

    Attributes:
        search: `css_stepwise`; `exact_stepwise` fits every candidate by its exact likelihood; `fixed` takes the orders given;
            `pmdarima` and `statsforecast` take the orders that those libraries find.
        order: p, d, q of `fixed`.
        seasonal_order: P, D, Q of `fixed`.
        constant: `fixed` has a mean, or a drift, where it is differenced once.
        most_ordinary: The largest p and q.
        most_seasonal: The largest P and Q.
        most_total: The largest sum of the four.
        finalists: How many of the best candidates are fitted exactly, and compared again.
        exact: The winner is fitted by its exact likelihood, not by the conditional sum of squares alone.
        covariates: Known-future columns of numbers are regressors.
        harmonics: Pairs of Fourier terms for a season over 24 rows.
        season: Rows in a season; 0 takes the dataset's.

    Example:
        python -m hwds model=forecast/sarima
    """

    local = True

    search: Literal["css_stepwise", "exact_stepwise", "fixed", "pmdarima", "statsforecast"] = "css_stepwise"
    order: tuple[Whole, Whole, Whole] = (0, 1, 1)
    seasonal_order: tuple[Whole, Whole, Whole] = (0, 1, 1)
    constant: bool = False
    most_ordinary: Count = 5
    most_seasonal: Whole = 2
    most_total: Count = 5
    finalists: Count = 5
    exact: bool = True
    covariates: bool = True
    harmonics: Count = 3
    season: Whole = 0

    def fit(self, history: Panel, *, horizon: int, context: Context) -> FittedSarima:
        """Fit each series alone."""
        season = self.season or context.season
        regressors = Regressors.of(history, season if season > LONGEST else 0, self.harmonics, self.covariates)
        columns = regressors.values(history)
        inner = season if season <= LONGEST else 1
        search = self._search(inner, int(history.lengths.max()), columns.shape[1])
        fits = [
            self._fit(search, history.series(i), columns[history.offsets[i] : history.offsets[i + 1]], inner)
            for i in range(history.n_series)
        ]
        return FittedSarima.of(history, fits, regressors, season, context.levels)

    def _search(self, season: int, rows: int, covariates: int) -> Search:
        (p, _, q), (big_p, _, big_q) = self.order, self.seasonal_order
        fixed = self.search == "fixed"
        ordinary = max(p, q, 1) if fixed else self.most_ordinary
        seasonal = (max(big_p, big_q) if fixed else self.most_seasonal) if season > 1 else 0
        limits = Limits(ordinary, seasonal, self.most_total, self.finalists)
        return Search(limits, season, rows, covariates, exact=self.exact, thorough=self.search == "exact_stepwise")

    def _fit(self, search: Search, values: np.ndarray, columns: np.ndarray, season: int) -> Fit | None:
        known = np.flatnonzero(~np.isnan(values))
        if len(known) < LEAST:
            return None
        values, columns = values[known[0] :], columns[known[0] :]
        spread = columns.std(0)
        spread[spread == 0] = 1.0
        series, trial = self._trial(search, values, columns / spread, season)
        if trial is None or not np.isfinite(trial.point).all():
            return None
        shaped = len(trial.point) - trial.form.regressors
        weights = np.r_[np.zeros(1 + columns.shape[1] - trial.form.regressors), trial.point[shaped:]]
        sigma = np.sqrt(search.variance(series, trial)) * series.scale
        return Fit(trial.form, trial.point[:shaped], weights * series.scale / np.r_[1.0, spread], float(sigma))

    def _trial(self, search: Search, values: np.ndarray, columns: np.ndarray, season: int) -> tuple[Series, Trial | None]:
        if self.search in ("css_stepwise", "exact_stepwise"):
            series = Series.of(values, columns, season, None)
            return series, search.best(series)
        given: Orders = (self.order, self.seasonal_order, self.constant)
        orders = given if self.search == "fixed" else rival_orders(self.search, values, season, search.limits)
        if orders is None:
            return Series.of(values, columns, season, (0, 0)), None
        (p, d, q), (big_p, big_d, big_q), constant = orders
        if season < 2:
            big_p = big_d = big_q = 0
        if d + season * big_d >= len(values) - 1:
            return Series.of(values, columns, season, (0, 0)), None
        series = Series.of(values, columns, season, (d, big_d))
        return series, search.fit(series, form_of(series, p, q, big_p, big_q, int(constant and series.may_drift)))
