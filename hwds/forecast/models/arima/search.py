"""The stepwise search for the orders of one series, and the exact fit of what it finds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from hwds.core.numba_cache import compiled
from hwds.forecast.models.arima.filter import innovations
from hwds.forecast.models.arima.fitting import CONDITIONAL, EXACT, FILTERED, minimise
from hwds.forecast.models.arima.polynomials import Desk, Form, desk, lags_of, lost_by, near_edge
from hwds.forecast.models.arima.series import Series

MARGIN = 0.01
"""The distance from the unit circle within which no root may lie."""

ROUNDS = 40

CHOICE = 2
"""The weight of a choice of orders, and of each difference, beside the parameters in the variance of errors to come.

By the pinball loss at .1 and .9 of windows inside the histories of five public sets, each of which gained from it.
"""


class Limits(NamedTuple):
    """The largest orders: of p and q, of P and Q, of all four together; and how many are fitted exactly in the end."""

    ordinary: int
    seasonal: int
    total: int
    finalists: int


class Trial(NamedTuple):
    """A fitted model of a series in units of its spread.

    Attributes:
        form: Its orders.
        point: Its free parameters, then those of the regression.
        criterion: AICc; infinite where a root is too near to the unit circle.
    """

    form: Form
    point: np.ndarray
    criterion: float


class Search:
    """Fits of many series with one desk.

    Args:
        limits: The largest orders.
        season: Rows in a season, 1 for none.
        rows: The longest series.
        covariates: How many there are.
        thorough: All candidates are fitted by their exact likelihood, not only the best ones of the conditional sum of squares.
    """

    def __init__(self, limits: Limits, season: int, rows: int, covariates: int, *, thorough: bool) -> None:
        self.limits, self.thorough = limits, thorough
        largest = Form(limits.ordinary, 2, limits.ordinary, limits.seasonal, 1, limits.seasonal, season, 0)
        parameters = 2 * limits.ordinary + 2 * limits.seasonal + 1 + covariates
        self.desk: Desk = desk(lags_of(largest), lost_by(largest), parameters, rows)
        self._minimise: Any = compiled(minimise)
        self._innovations: Any = compiled(innovations)

    def best(self, series: Series) -> Trial:
        """Search stepwise: Hyndman and Khandakar (2008), "Automatic time series forecasting: the forecast package for R"."""
        way = EXACT if self.thorough else CONDITIONAL
        tried: dict[Form, Trial] = {}
        best = min((self._try(way, series, form, tried) for form in self._first(series)), key=lambda trial: trial.criterion)
        searching = True
        while searching:
            near = (form for form in _neighbours(best.form, series) if form not in tried)
            better = next((t for t in (self._try(way, series, f, tried) for f in near) if t.criterion < best.criterion), None)
            searching, best = better is not None, better or best
        return self._final(series, sorted(tried.values(), key=lambda trial: trial.criterion))

    def fit(self, series: Series, form: Form) -> Trial:
        """Fit one model, first by the conditional sum of squares."""
        return self._refined(series, self._fitted(CONDITIONAL, series, form, _start(form)))

    def criterion(self, series: Series, form: Form) -> float:
        """Return AICc of one model, wherever its roots lie; infinite where the series is too short for it."""
        point = _start(form)
        if not self._allowed(series, form):
            return np.inf
        square = self._least(self._way(series), series, form, point)
        return corrected(square, len(series.work), len(point) + 1)

    def variance(self, series: Series, trial: Trial, chosen: bool) -> float:
        """Return the variance of an error one step ahead, in units of the scale: `expected_square` of the innovations.

        Args:
            series: The series.
            trial: Its model.
            chosen: Whether the series itself has chosen the orders.
        """
        form, shaped = trial.form, _shaped(trial.form)
        rest = series.values - series.levels[:, _columns(form, series)] @ trial.point[shaped:]
        total = self._innovations(form, trial.point[:shaped], rest, self.desk)
        rows = int(np.count_nonzero(~np.isnan(series.values))) - lost_by(form)
        choices = len(trial.point) + (CHOICE * (1 + form.d + form.seasonal_d) if chosen else 0)
        return expected_square(total, rows, choices)

    def _first(self, series: Series) -> Iterator[Form]:
        seasonal = int(series.season > 1)
        constant = int(series.may_drift)
        orders = [(2, 2, seasonal, seasonal), (0, 0, 0, 0), (1, 0, seasonal, 0), (0, 1, 0, seasonal)]
        forms = [form_of(series, *order, constant) for order in orders]
        yield from (form for form in forms if self._allowed(series, form) or form is forms[1])
        if constant and not series.keeps_mean:
            yield form_of(series, 0, 0, 0, 0, 0)

    def _allowed(self, series: Series, form: Form) -> bool:
        rows, most = len(series.work), self.limits
        ordinary = min(most.ordinary, len(series.values) // 3)
        seasonal = min(most.seasonal, len(series.values) // (3 * series.season)) if series.season > 1 else 0
        return (
            min(_orders(form)) >= 0
            and max(form.p, form.q) <= ordinary
            and max(form.seasonal_p, form.seasonal_q) <= seasonal
            and _shaped(form) <= most.total
            and form.p + form.q + form.season * (form.seasonal_p + form.seasonal_q) < rows - 5
        )

    def _try(self, way: int, series: Series, form: Form, tried: dict[Form, Trial]) -> Trial:
        if form not in tried:
            allowed = self._allowed(series, form) or not any(_orders(form))
            tried[form] = self._fitted(way, series, form, _start(form)) if allowed else Trial(form, np.zeros(0), np.inf)
        return tried[form]

    def _final(self, series: Series, trials: list[Trial]) -> Trial:
        if self.thorough and not np.isnan(series.values).any():
            return trials[0]
        refined = [self._refined(series, trial) for trial in trials[: self.limits.finalists] if np.isfinite(trial.criterion)]
        best = min(refined, key=lambda trial: trial.criterion, default=trials[0])
        return best if np.isfinite(best.criterion) else trials[0]

    def _refined(self, series: Series, trial: Trial) -> Trial:
        way, shaped = self._way(series), _shaped(trial.form)
        point = trial.point.copy()
        point[:shaped] = np.clip(point[:shaped], -2.0, 2.0)
        # a likelihood may have more than one peak: both that of the conditional sum of squares and a usual one are climbed
        starts = [point, _usual(trial.form)] if shaped and way == EXACT else [point]
        fits = [self._fitted(way, series, trial.form, start) for start in starts]
        return min(fits, key=lambda fit: fit.criterion)

    def _fitted(self, way: int, series: Series, form: Form, point: np.ndarray) -> Trial:
        square = self._least(way, series, form, point)
        if near_edge(form, point, MARGIN):
            return Trial(form, point, np.inf)
        return Trial(form, point, corrected(square, len(series.work), len(point) + 1))

    def _least(self, way: int, series: Series, form: Form, point: np.ndarray) -> float:
        values, regressors = (series.values, series.levels) if way == FILTERED else (series.work, series.changes)
        used = np.ascontiguousarray(regressors[:, _columns(form, series)])
        return float(self._minimise(way, form, values, used, point, self.desk, ROUNDS))

    def _way(self, series: Series) -> int:
        return FILTERED if np.isnan(series.values).any() else EXACT


def expected_square(total: float, rows: int, choices: int) -> float:
    """Return the mean square to expect of the next error: Akaike (1969), "Fitting autoregressive models for prediction" (FPE).

    Args:
        total: The sum of squared errors of the rows that a model was fitted to.
        rows: How many.
        choices: The parameters, and what else was chosen by these rows.
    """
    return float(total / max(rows, 1) * (rows + choices) / max(rows - choices, 1))


def corrected(square: float, rows: int, parameters: int) -> float:
    """Return AICc but for a constant: Hurvich and Tsai (1989)."""
    if rows <= parameters + 1:
        return np.inf
    return float(rows * np.log(max(square, 1e-300)) + 2 * parameters * rows / (rows - parameters - 1))


def form_of(series: Series, p: int, q: int, seasonal_p: int, seasonal_q: int, constant: int) -> Form:
    """Return the form of these orders for a series, with all its covariates."""
    count = constant + series.covariates.shape[1]
    return Form(p, series.d, q, seasonal_p, series.seasonal_d, seasonal_q, series.season, count)


def _orders(form: Form) -> tuple[int, int, int, int]:
    return form.p, form.q, form.seasonal_p, form.seasonal_q


def _shaped(form: Form) -> int:
    return sum(_orders(form))


def _start(form: Form) -> np.ndarray:
    return np.r_[np.full(_shaped(form), 0.1), np.zeros(form.regressors)]


def _usual(form: Form) -> np.ndarray:
    """Return a usual start: positive autocorrelation and the moving averages of exponential smoothing."""
    return np.r_[
        np.full(form.p, 0.5),
        np.full(form.q, 0.5),
        np.full(form.seasonal_p, 0.1),
        np.full(form.seasonal_q, 0.5),
        np.zeros(form.regressors),
    ]


def _columns(form: Form, series: Series) -> slice:
    return slice(1 + series.covariates.shape[1] - form.regressors, None)


def _neighbours(form: Form, series: Series) -> Iterator[Form]:
    p, q, big_p, big_q = form.p, form.q, form.seasonal_p, form.seasonal_q
    steps = ((-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (1, 1), (-1, 1), (1, -1))
    if series.season > 1:
        yield from (form._replace(seasonal_p=big_p + i, seasonal_q=big_q + j) for i, j in steps)
    yield from (form._replace(p=p + i, q=q + j) for i, j in steps)
    if series.may_drift and not series.keeps_mean:
        constant = form.regressors - series.covariates.shape[1]
        yield form._replace(regressors=form.regressors + 1 - 2 * constant)


def useful(search: Search, series: Series, optional: int) -> list[int]:
    """Return the places of the covariates to keep: the first `optional` where they lower AICc, the others always.

    The column that lowers it most comes first, and so on while there is one, round the moving averages of exponential smoothing
    with a season, which suit most series. A column that others make up, or that tells less than its parameter costs, would
    only bend what is forecast.
    """
    chosen, left = list(range(optional, series.covariates.shape[1])), list(range(optional))
    best = _smoothed(search, series, chosen)
    while left:
        criteria = {column: _smoothed(search, series, sorted([*chosen, column])) for column in left}
        first = min(left, key=lambda column: criteria[column])
        if criteria[first] >= best:
            break
        best, chosen = criteria[first], sorted([*chosen, first])
        left.remove(first)
    return chosen


def _smoothed(search: Search, series: Series, columns: list[int]) -> float:
    part = series.regressed_on(columns)
    seasonal = int(series.season > 1 and search.limits.seasonal > 0)
    return search.criterion(part, form_of(part, 0, 1, 0, seasonal, int(part.may_drift)))
