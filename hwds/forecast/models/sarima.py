"""Seasonal ARIMA models, one for each series."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Le

from hwds.core.recipe import Depth, Steps, ZeroSteps
from hwds.forecast.context import ForecastContext
from hwds.forecast.models.arima.fitted import Fit, FittedSarima
from hwds.forecast.models.arima.polynomials import Form
from hwds.forecast.models.arima.reference_orders import Orders, rival_orders
from hwds.forecast.models.arima.regressors import Regressors
from hwds.forecast.models.arima.search import Limits, Search, form_of, useful
from hwds.forecast.models.arima.series import Series
from hwds.forecast.models.base import Forecaster
from hwds.frames.panel import Panel

LONGEST = 24
"""A longer season is modelled by Fourier terms: the state would be as long as the season."""

SEASONS = 2
"""A series of fewer long seasons gets no Fourier terms: part of a wave is a trend, and it turns where none of it was seen."""

LEAST = 3
"""A series with fewer known values gets the seasonal naive."""


Order = Annotated[int, Ge(0), Le(100)]
"""An order of a polynomial."""


class Sarima(Forecaster):
    """Seasonal ARIMA whose orders are found for each series, with known-future columns as regressors.

    Differences by the KPSS test and the strength of the season, orders by the stepwise search of Hyndman and Khandakar (2008),
    "Automatic time series forecasting: the forecast package for R", by AICc over the exact likelihood. Holes are left to the
    Kalman filter. A series with fewer than three known values, or one that cannot be fitted, gets the seasonal naive and
    counts as a fallback.

    Attributes:
        search: `exact_stepwise` fits every candidate by its exact likelihood; `css_stepwise` by the conditional sum of squares,
            then the best of them exactly; `fixed` takes the orders given; `pmdarima` and `statsforecast` take the orders that
            those libraries find.
        order: p, d, q of `fixed`.
        seasonal_order: P, D, Q of `fixed`.
        constant: `fixed` has a mean, or a drift, where it is differenced once.
        most_ordinary: The largest p and q.
        most_seasonal: The largest P and Q.
        most_total: The largest sum of the four; the first model of the search, (2, 2) and (1, 1), has 6.
        finalists: The number of best candidates of `css_stepwise` that are fitted exactly, and compared again.
        covariates: Known-future columns of numbers are regressors of each series whose AICc they lower: the pulse of a
            promotion, the level from a launch on.
        harmonics: Pairs of Fourier terms for a season over 24 rows, of series that have seen two of them.
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

    search: Literal["exact_stepwise", "css_stepwise", "fixed", "pmdarima", "statsforecast"] = "exact_stepwise"
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
        regressors = Regressors.of(history, season if season > LONGEST else 0, self.harmonics, self.covariates)
        columns = regressors.values(history)
        inner = season if season <= LONGEST else 1
        search = self._search(inner, min(int(history.lengths.max()), self.longest), columns.shape[1])
        fits = [
            self._fit(search, history.series(i), columns[history.offsets[i] : history.offsets[i + 1]], regressors, inner)
            for i in range(history.n_series)
        ]
        return FittedSarima.of(history, fits, regressors, season, context.levels)

    def _search(self, season: int, rows: int, covariates: int) -> Search:
        (p, _, q), (big_p, _, big_q) = self.order, self.seasonal_order
        fixed = self.search == "fixed"
        ordinary = max(p, q, 1) if fixed else self.most_ordinary
        seasonal = (max(big_p, big_q) if fixed else self.most_seasonal) if season > 1 else 0
        limits = Limits(ordinary, seasonal, self.most_total, self.finalists)
        return Search(limits, season, rows, covariates, thorough=self.search == "exact_stepwise")

    def _fit(self, search: Search, values: np.ndarray, columns: np.ndarray, regressors: Regressors, season: int) -> Fit | None:
        values, columns = values[-self.longest :], columns[-self.longest :]
        known = np.flatnonzero(~np.isnan(values))
        if len(known) < LEAST:
            return None
        values, columns = values[known[0] :], columns[known[0] :]
        spread = columns.std(0)
        spread[spread == 0] = 1.0
        searched = self.search in ("exact_stepwise", "css_stepwise")
        given = None if searched else self._given(values, season, search.limits)
        if given is None and not searched:
            return None
        optional = len(regressors.names)
        used = (columns / spread)[:, : optional if len(values) < SEASONS * regressors.period else None]
        series = Series.of(values, used, season, (given[0][1], given[1][1]) if given else None)
        chosen = useful(search, series, optional)
        series = series.regressed_on(chosen)
        trial = search.fit(series, _form(series, given)) if given else search.best(series)
        if not np.isfinite(trial.point).all():
            return None
        shaped, weights = len(trial.point) - trial.form.regressors, np.zeros(1 + len(spread))
        places = [0, *(1 + column for column in chosen)][1 + len(chosen) - trial.form.regressors :]
        weights[places] = trial.point[shaped:]
        sigma = np.sqrt(search.variance(series, trial, self.search != "fixed")) * series.scale
        return Fit(trial.form, trial.point[:shaped], weights * series.scale / np.r_[1.0, spread], float(sigma))

    def _given(self, values: np.ndarray, season: int, limits: Limits) -> Orders | None:
        """Return the orders of `fixed` or of a rival library; None where it failed or the series is too short for them."""
        fixed: Orders = (self.order, self.seasonal_order, self.constant)
        orders = fixed if self.search == "fixed" else rival_orders(self.search, values, season, limits)
        if orders is None:
            return None
        ordinary, seasonal, constant = orders
        seasonal = seasonal if season > 1 else (0, 0, 0)
        return (ordinary, seasonal, constant) if ordinary[1] + season * seasonal[1] < len(values) - 1 else None


def _form(series: Series, orders: Orders) -> Form:
    (p, _, q), (big_p, _, big_q), constant = orders
    return form_of(series, p, q, big_p, big_q, int(constant and series.may_drift))
