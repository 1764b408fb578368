"""The orders of a seasonal ARIMA model: differences, the constant, and the search by AICc."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from hwds.core.compiling import compiled
from hwds.forecast.arima_kernels import (
    CONDITIONAL,
    EXACT,
    FILTERED,
    ArimaForm,
    ArimaScratch,
    differencing_rows,
    innovations,
    make_scratch,
    minimise,
    near_unit_circle,
    state_length,
)

# The number of differences of a series: the KPSS test, and the strength of the season.

KPSS_CRITICAL = 0.463
"""5 % point of the KPSS statistic round a level: Kwiatkowski, Phillips, Schmidt and Shin (1992),
table 1.
"""

STRONG_SEASON = 0.64
"""The strength of a season above which auto.arima differences it."""

LOESS_SEASONS = 11
"""The seasons that a loess of one phase looks at: as R's `mstl` has it."""

MOST_SEASON_ROWS = 480
"""The most rows from which the season's strength is estimated."""


def level_differences(values: ndarray, most: int) -> int:
    """Difference until the KPSS test no longer refuses a level, as `ndiffs` of Hyndman and
    Khandakar (2008) does.

    Args:
        values: Without holes, shape (rows,).
        most: The most differences.
    """
    count = 0
    while count < most and len(values) > 9 and np.ptp(values) > 0 and _kpss(values) > KPSS_CRITICAL:
        values, count = np.diff(values), count + 1
    return count


def _kpss(values: ndarray) -> float:
    n = len(values)
    errors = values - values.mean()
    long_run = errors @ errors
    lags = int(3 * np.sqrt(n) / 13)
    for lag in range(1, lags + 1):
        long_run += 2 * (1 - lag / (lags + 1)) * (errors[lag:] @ errors[:-lag])
    return float((np.cumsum(errors) ** 2).sum() / (n * max(long_run, 1e-300)))


def seasonal_differences(values: ndarray, season: int) -> int:
    """Return 1 where the season is strong, 0 where it is not or the series has less than three of
    them, which anything fits.

    The strength is 1 - var(remainder) / var(remainder + season): Wang, Smith and Hyndman (2006),
    "Characteristic-based clustering for time series data".
    """
    if season < 2 or len(values) < 3 * season:
        return 0
    seasonal, remainder = decompose_season(values[-(MOST_SEASON_ROWS // season) * season :], season)
    both = np.var(seasonal + remainder)
    return int(both > 0 and 1 - np.var(remainder) / both > STRONG_SEASON)


def decompose_season(values: ndarray, season: int) -> tuple[ndarray, ndarray]:
    """Return the season and the remainder by loess: Cleveland, Cleveland, McRae and Terpenning
    (1990), "STL", not robust.

    Args:
        values: Without holes, at least two seasons, shape (rows,).
        season: Rows in a season.
    """
    n, odd = len(values), season + 1 - season % 2
    wide = int(np.ceil(1.5 * season / (1 - 1.5 / LOESS_SEASONS)))
    trend_of, low_of = _loess(n, wide + 1 - wide % 2, 0), _loess(n, odd, 0)
    trend = np.zeros(n)
    seasonal = trend
    for _ in range(2):
        cycles = np.empty(n + 2 * season)
        for phase in range(season):
            part = (values - trend)[phase::season]
            cycles[phase::season] = _loess(len(part), LOESS_SEASONS, 1) @ part
        # moving averages and a loess take the rest of the trend out of the phases
        low = cycles
        for width in (season, season, 3):
            low = np.convolve(low, np.full(width, 1 / width), "valid")
        seasonal = cycles[season:-season] - low_of @ low
        trend = trend_of @ (values - seasonal)
    return seasonal, values - trend - seasonal


@lru_cache(maxsize=512)
def _loess(n: int, width: int, beyond: int) -> ndarray:
    """Return the matrix of a local line with tricube weights at -beyond .. n - 1 + beyond, of
    points at 0 .. n - 1.
    """
    at = np.arange(-beyond, n + beyond)[:, None]
    distance = np.abs(np.arange(n) - at)
    radius = np.sort(distance, axis=1)[:, min(width, n) - 1][:, None] + max(width - n, 0) / 2
    weights = np.clip(1 - (distance / np.maximum(radius, 1)) ** 3, 0, None) ** 3
    weights /= weights.sum(1, keepdims=True)
    # a weighted line through the points, as the weights of its value at each place
    centre = (weights * np.arange(n)).sum(1, keepdims=True)
    apart = np.arange(n) - centre
    spread = (weights * apart**2).sum(1, keepdims=True)
    return weights * (
        1 + np.where(spread > 1e-9 * n, (at - centre) / np.maximum(spread, 1e-300), 0) * apart
    )


# One series made ready for a seasonal ARIMA model: its scale, its differences and its
# regressors.

FEW_ROWS = 10
"""Fewer rows than this have too few errors left for AICc to judge whether there is a mean."""


@dataclass
class ArimaSeries:
    """One series on its objective to a model.

    Attributes:
        values: The series in units of `scale`, NaN for holes; it begins with a known value.
        filled: The values with holes bridged by lines.
        covariates: Each less its mean and over its spread, shape (rows, covariates).
        season: Rows in a season, 1 for none.
        d: Differences.
        seasonal_d: Seasonal differences.
        scale: The number that the values were divided by.
    """

    values: ndarray
    filled: ndarray
    covariates: ndarray
    season: int
    d: int
    seasonal_d: int
    scale: float

    @classmethod
    def of(
        cls, values: ndarray, covariates: ndarray, season: int, orders: tuple[int, int] | None
    ) -> ArimaSeries:
        """Find the differences that are not given, and the scale."""
        rows = np.arange(len(values))
        known = ~np.isnan(values)
        filled = np.interp(rows, rows[known], values[known])
        seasonal_d = seasonal_differences(filled, season) if orders is None else orders[1]
        if orders is None:
            work = take_differences(filled, 0, seasonal_d, season)
            d = level_differences(work, 1 if seasonal_d else 2)
        else:
            d = orders[0]
        spread = float(np.std(take_differences(filled, d, seasonal_d, season)))
        largest = float(np.abs(filled).max())
        scale = spread if spread > 1e-12 * largest else max(largest, 1e-300)
        return cls(values / scale, filled / scale, covariates, season, d, seasonal_d, scale)

    def regressed_on(self, columns: list[int]) -> ArimaSeries:
        """Return the same series with these of its covariates."""
        return replace(self, covariates=self.covariates[:, columns])

    @cached_property
    def work(self) -> ndarray:
        """The differenced series without holes."""
        return take_differences(self.filled, self.d, self.seasonal_d, self.season)

    @cached_property
    def levels(self) -> ndarray:
        """The regressors: the constant or the drift, then the covariates.

        Shape (rows, 1 + covariates).
        """
        drift = drift_regressor(len(self.values), self.d, self.seasonal_d, self.season)
        return np.column_stack([drift, self.covariates])

    @cached_property
    def changes(self) -> ndarray:
        """The regressors differenced as the series is."""
        changes = take_differences(self.levels, self.d, self.seasonal_d, self.season)
        return np.ascontiguousarray(changes)

    @property
    def may_drift(self) -> bool:
        """A constant after two differences would be a parabola."""
        return self.d + self.seasonal_d < 2

    @property
    def keeps_mean(self) -> bool:
        """An undifferenced series of few rows is not tried without its mean, whose price by AICc is
        then beyond any gain.
        """
        return self.d + self.seasonal_d == 0 and len(self.values) < FEW_ROWS


def drift_regressor(rows: int, d: int, seasonal_d: int, season: int) -> ndarray:
    """Return the series whose differences are constant: 1, or the rows passed."""
    if d + seasonal_d == 0:
        return np.ones(rows)
    return np.arange(rows) / (season if seasonal_d else 1.0)


def take_differences(values: ndarray, d: int, seasonal_d: int, season: int) -> ndarray:
    """Return the values (or columns) less those a season before, then less those of the row before,
    d times.
    """
    for _ in range(seasonal_d):
        values = values[season:] - values[:-season]
    return np.diff(values, n=d, axis=0)


# The stepwise search for the orders of one series, and the exact fit of what it finds.

ROOT_MARGIN = 0.01
"""The distance from the unit circle within which no root may lie."""

FIT_ROUNDS = 40

CHOICE_WEIGHT = 2
"""The weight of a choice of orders, and of each difference, beside the parameters in the variance
of errors to come.

By the pinball loss at .1 and .9 of windows inside the histories of five public sets, each of which
gained from it.
"""


class OrderLimits(NamedTuple):
    """The largest orders: of p and q, of P and Q, of all four together; and how many are fitted
    exactly in the end.
    """

    ordinary: int
    seasonal: int
    total: int
    finalists: int


class OrderTrial(NamedTuple):
    """A fitted model of a series in units of its spread.

    Attributes:
        form: Its orders.
        point: Its free parameters, then those of the regression.
        criterion: AICc; infinite where a root is too near to the unit circle.
    """

    form: ArimaForm
    point: ndarray
    criterion: float


class OrderSearch:
    """Fits of many series with one scratch memory.

    Args:
        limits: The largest orders.
        season: Rows in a season, 1 for none.
        rows: The longest series.
        covariates: The number of covariates.
        thorough: All candidates are fitted by their exact likelihood, not only the best ones of the
            conditional sum of squares.
    """

    def __init__(
        self, limits: OrderLimits, season: int, rows: int, covariates: int, *, thorough: bool
    ) -> None:
        self.limits, self.thorough = limits, thorough
        largest = ArimaForm(
            limits.ordinary, 2, limits.ordinary, limits.seasonal, 1, limits.seasonal, season, 0
        )
        parameters = 2 * limits.ordinary + 2 * limits.seasonal + 1 + covariates
        self.scratch: ArimaScratch = make_scratch(
            state_length(largest), differencing_rows(largest), parameters, rows
        )
        self._minimise: Any = compiled(minimise)
        self._innovations: Any = compiled(innovations)

    def best(self, series: ArimaSeries) -> OrderTrial:
        """Search stepwise: Hyndman and Khandakar (2008), "Automatic time series forecasting: the
        forecast package for R".
        """
        objective = EXACT if self.thorough else CONDITIONAL
        tried: dict[ArimaForm, OrderTrial] = {}
        first = [self._trial(objective, series, form, tried) for form in self._first_forms(series)]
        best, better = None, min(first, key=lambda trial: trial.criterion)
        while better is not best:
            best = better
            for form in _neighbours(best.form, series):
                if form not in tried:
                    trial = self._trial(objective, series, form, tried)
                    if trial.criterion < best.criterion:
                        better = trial
                        break
        return self._refine_best(series, sorted(tried.values(), key=lambda trial: trial.criterion))

    def fit(self, series: ArimaSeries, form: ArimaForm) -> OrderTrial:
        """Fit one model, first by the conditional sum of squares."""
        return self._refine(series, self._fit_from(CONDITIONAL, series, form, _flat_start(form)))

    def criterion(self, series: ArimaSeries, form: ArimaForm) -> float:
        """Return AICc of one model, wherever its roots lie.

        Infinite where the series is too short for it.
        """
        point = _flat_start(form)
        if not self._is_allowed(series, form):
            return np.inf
        square = self._least_square(self._objective(series), series, form, point)
        return corrected_criterion(square, len(series.work), len(point) + 1)

    def variance(self, series: ArimaSeries, trial: OrderTrial, chosen: bool) -> float:
        """Return the variance of an error one step ahead, in units of the scale: `expected_square`
        of the innovations.

        Args:
            series: The series.
            trial: Its model.
            chosen: Whether the series itself has chosen the orders.
        """
        form, shaped = trial.form, _free_count(trial.form)
        regression = series.levels[:, _regressor_columns(form, series)] @ trial.point[shaped:]
        total = self._innovations(
            form, trial.point[:shaped], series.values - regression, self.scratch
        )
        rows = int(np.count_nonzero(~np.isnan(series.values))) - differencing_rows(form)
        choices = len(trial.point)
        if chosen:
            choices += CHOICE_WEIGHT * (1 + form.d + form.seasonal_d)
        return expected_square(total, rows, choices)

    def _first_forms(self, series: ArimaSeries) -> Iterator[ArimaForm]:
        seasonal, constant = int(series.season > 1), int(series.may_drift)
        orders = [
            (2, 2, seasonal, seasonal),
            (0, 0, 0, 0),
            (1, 0, seasonal, 0),
            (0, 1, 0, seasonal),
        ]
        forms = [arima_form(series, *order, constant) for order in orders]
        yield from (form for form in forms if self._is_allowed(series, form) or form is forms[1])
        if constant and not series.keeps_mean:
            yield arima_form(series, 0, 0, 0, 0, 0)

    def _is_allowed(self, series: ArimaSeries, form: ArimaForm) -> bool:
        rows, most = len(series.work), self.limits
        ordinary = min(most.ordinary, len(series.values) // 3)
        seasonal = 0
        if series.season > 1:
            seasonal = min(most.seasonal, len(series.values) // (3 * series.season))
        return (
            min(_orders(form)) >= 0
            and max(form.p, form.q) <= ordinary
            and max(form.seasonal_p, form.seasonal_q) <= seasonal
            and _free_count(form) <= most.total
            and form.p + form.q + form.season * (form.seasonal_p + form.seasonal_q) < rows - 5
        )

    def _trial(
        self,
        objective: int,
        series: ArimaSeries,
        form: ArimaForm,
        tried: dict[ArimaForm, OrderTrial],
    ) -> OrderTrial:
        if form not in tried:
            allowed = self._is_allowed(series, form) or not any(_orders(form))
            tried[form] = OrderTrial(form, np.zeros(0), np.inf)
            if allowed:
                tried[form] = self._fit_from(objective, series, form, _flat_start(form))
        return tried[form]

    def _refine_best(self, series: ArimaSeries, trials: list[OrderTrial]) -> OrderTrial:
        if self.thorough and not np.isnan(series.values).any():
            return trials[0]
        refined = [
            self._refine(series, trial)
            for trial in trials[: self.limits.finalists]
            if np.isfinite(trial.criterion)
        ]
        best = min(refined, key=lambda trial: trial.criterion, default=trials[0])
        return best if np.isfinite(best.criterion) else trials[0]

    def _refine(self, series: ArimaSeries, trial: OrderTrial) -> OrderTrial:
        objective, shaped = self._objective(series), _free_count(trial.form)
        point = trial.point.copy()
        point[:shaped] = np.clip(point[:shaped], -2.0, 2.0)
        # a likelihood may have more than one peak: both that of the conditional sum of squares and
        # a usual one are climbed
        starts = [point, _usual_start(trial.form)] if shaped and objective == EXACT else [point]
        fits = [self._fit_from(objective, series, trial.form, start) for start in starts]
        return min(fits, key=lambda fit: fit.criterion)

    def _fit_from(
        self, objective: int, series: ArimaSeries, form: ArimaForm, point: ndarray
    ) -> OrderTrial:
        square = self._least_square(objective, series, form, point)
        if near_unit_circle(form, point, ROOT_MARGIN):
            return OrderTrial(form, point, np.inf)
        criterion = corrected_criterion(square, len(series.work), len(point) + 1)
        return OrderTrial(form, point, criterion)

    def _least_square(
        self, objective: int, series: ArimaSeries, form: ArimaForm, point: ndarray
    ) -> float:
        values, regressors = series.work, series.changes
        if objective == FILTERED:
            values, regressors = series.values, series.levels
        used = np.ascontiguousarray(regressors[:, _regressor_columns(form, series)])
        return float(self._minimise(objective, form, values, used, point, self.scratch, FIT_ROUNDS))

    def _objective(self, series: ArimaSeries) -> int:
        return FILTERED if np.isnan(series.values).any() else EXACT


def expected_square(total: float, rows: int, choices: int) -> float:
    """Return the mean square to expect of the next error: Akaike (1969), "Fitting autoregressive
    models for prediction" (FPE).

    Args:
        total: The sum of squared errors of the rows that a model was fitted to.
        rows: The number of these rows.
        choices: The parameters, and what else was chosen by these rows.
    """
    return float(total / max(rows, 1) * (rows + choices) / max(rows - choices, 1))


def corrected_criterion(square: float, rows: int, parameters: int) -> float:
    """Return AICc but for a constant: Hurvich and Tsai (1989)."""
    if rows <= parameters + 1:
        return np.inf
    return float(
        rows * np.log(max(square, 1e-300)) + 2 * parameters * rows / (rows - parameters - 1)
    )


def arima_form(
    series: ArimaSeries, p: int, q: int, seasonal_p: int, seasonal_q: int, constant: int
) -> ArimaForm:
    """Return the form of these orders for a series, with all its covariates."""
    count = constant + series.covariates.shape[1]
    return ArimaForm(
        p, series.d, q, seasonal_p, series.seasonal_d, seasonal_q, series.season, count
    )


def _orders(form: ArimaForm) -> tuple[int, int, int, int]:
    return form.p, form.q, form.seasonal_p, form.seasonal_q


def _free_count(form: ArimaForm) -> int:
    return sum(_orders(form))


def _flat_start(form: ArimaForm) -> ndarray:
    return np.r_[np.full(_free_count(form), 0.1), np.zeros(form.regressors)]


def _usual_start(form: ArimaForm) -> ndarray:
    """Return a usual start: positive autocorrelation and the moving averages of exponential
    smoothing.
    """
    return np.r_[
        np.full(form.p, 0.5),
        np.full(form.q, 0.5),
        np.full(form.seasonal_p, 0.1),
        np.full(form.seasonal_q, 0.5),
        np.zeros(form.regressors),
    ]


def _regressor_columns(form: ArimaForm, series: ArimaSeries) -> slice:
    return slice(1 + series.covariates.shape[1] - form.regressors, None)


def _neighbours(form: ArimaForm, series: ArimaSeries) -> Iterator[ArimaForm]:
    p, q, big_p, big_q = form.p, form.q, form.seasonal_p, form.seasonal_q
    steps = ((-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (1, 1), (-1, 1), (1, -1))
    if series.season > 1:
        yield from (form._replace(seasonal_p=big_p + i, seasonal_q=big_q + j) for i, j in steps)
    yield from (form._replace(p=p + i, q=q + j) for i, j in steps)
    if series.may_drift and not series.keeps_mean:
        constant = form.regressors - series.covariates.shape[1]
        yield form._replace(regressors=form.regressors + 1 - 2 * constant)


def useful_covariates(search: OrderSearch, series: ArimaSeries, optional: int) -> list[int]:
    """Return the places of the covariates to keep: the first `optional` where they lower AICc, the
    others always.

    The column that lowers it most comes first, and so on while there is one, round the moving
    averages of exponential smoothing with a season, which suit most series. A column that others
    make up, or that tells less than its parameter costs, would only bend what is forecast.
    """
    chosen, left = list(range(optional, series.covariates.shape[1])), list(range(optional))
    best = _smoothing_trial(search, series, chosen)
    while left:
        criteria = {
            column: _smoothing_trial(search, series, sorted([*chosen, column])) for column in left
        }
        first = min(left, key=lambda column: criteria[column])
        if criteria[first] >= best:
            break
        best, chosen = criteria[first], sorted([*chosen, first])
        left.remove(first)
    return chosen


def _smoothing_trial(search: OrderSearch, series: ArimaSeries, columns: list[int]) -> float:
    part = series.regressed_on(columns)
    seasonal = int(series.season > 1 and search.limits.seasonal > 0)
    return search.criterion(part, arima_form(part, 0, 1, 0, seasonal, int(part.may_drift)))


# Orders that are given.

Orders = tuple[tuple[int, int, int], tuple[int, int, int], bool]
"""(p, d, q), (P, D, Q), and whether there is a constant."""
