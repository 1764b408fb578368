"""Models of one series at a time: their quantiles, their season, and the counted fallback."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import Any, ClassVar, Literal

import numpy as np
from numpy import ndarray

from hwds.core.errors import fit_failure
from hwds.core.recipe import Steps, ZeroFolds, ZeroSteps
from hwds.core.serialization import Serializable
from hwds.forecast.models.base import ForecastContext, Forecaster, normal_bands
from hwds.forecast.models.seasonal_naive import FittedSeasonalNaive
from hwds.frames.panel import Forecasts, Panel

# Quantiles round the forecasts of statistical models: their own, from past errors, or from past
# demands.

Banded = tuple[ndarray, ndarray]
"""A mean, shape (steps,), and quantiles, shape (steps, levels)."""

FITTED_ROWS = 4_000
"""Beyond so many rows in all, fewer past origins are used (never under four): models cost at least
their history's length.
"""


def library_forecast(
    library: Any,
    values: ndarray,
    steps: int,
    levels: tuple[float, ...],
    *,
    origins: int = 0,
    least: int = 1,
) -> Banded:
    """Forecast by a statsforecast model: with its own intervals, or with `backtest_bands` ones by
    `origins`.
    """
    if origins:

        def point(past: ndarray, ahead: int) -> ndarray:
            return library.forecast(y=past, h=ahead)["mean"]

        return backtest_bands(point, values, steps, levels, origins, least)
    forecasts = library.forecast(y=values, h=steps, level=interval_widths(levels))
    return forecasts["mean"], quantiles_of_intervals(forecasts, levels)


def normal_quantiles(mean: ndarray, spread: ndarray, levels: tuple[float, ...]) -> Banded:
    """Return the mean and normal quantiles of one series.

    Args:
        mean: Shape (steps,).
        spread: Standard deviations, shape (steps,).
        levels: Quantile levels.
    """
    return mean, normal_bands(mean[None], spread[None], levels).quantiles[0]


def interval_widths(levels: tuple[float, ...]) -> list[float]:
    """Return the central intervals, in per cent, whose ends are the levels (the median aside)."""
    return sorted({_interval_width(level) for level in levels} - {0.0})


def quantiles_of_intervals(forecasts: Mapping[str, ndarray], levels: tuple[float, ...]) -> ndarray:
    """Return quantiles from the ends of a library's central intervals, shape (steps, levels).

    The median is the mean.
    """
    if not levels:
        return np.empty((len(forecasts["mean"]), 0))
    return np.stack([forecasts[_interval_end(level)] for level in levels], -1)


def _interval_width(level: float) -> float:
    return round(abs(200.0 * level - 100.0), 9)


def _interval_end(level: float) -> str:
    width = _interval_width(level)
    return "mean" if width == 0 else f"{'lo' if level < 0.5 else 'hi'}-{width}"


def backtest_bands(
    point: Callable[[ndarray, int], ndarray],
    values: ndarray,
    steps: int,
    levels: tuple[float, ...],
    origins: int,
    least: int,
) -> Banded:
    """Return a point forecast and normal quantiles, as wide as the same model's errors from origins
    inside the history were.

    Args:
        point: The model: a series and a number of steps to a mean of shape (steps,).
        values: The history, shape (n,).
        steps: Steps to answer for.
        levels: Quantile levels.
        origins: The most origins, a third of the horizon apart, after the first third of the
            history.
        least: The fewest values that the model can be fitted to.

    Raises:
        ValueError: The history is too short for one origin.
    """
    cuts = past_origins(len(values), steps, origins, least)
    if not cuts:
        raise ValueError("no origin inside the history")
    errors = [
        values[cut : cut + steps] - point(values[:cut], steps)[: len(values) - cut] for cut in cuts
    ]
    return normal_quantiles(point(values, steps), spread_by_step(errors, steps), levels)


def past_origins(rows: int, steps: int, origins: int, least: int) -> list[int]:
    """Return the number of rows known at each origin inside a history of so many rows, the latest
    first.
    """
    number = min(origins, max(4, FITTED_ROWS // rows))
    stride = max(1, steps * origins // (3 * number))
    return [cut for cut in range(rows - stride, 0, -stride) if cut >= max(least, rows / 3)][:number]


def spread_by_step(errors: Sequence[ndarray], steps: int) -> ndarray:
    """Return standard deviations that grow with the step, shape (steps,), from errors of forecasts
    made inside the history.

    The squared errors are fitted by a line over the step, which neither falls nor begins below
    zero: with a handful of origins, the errors of one step alone say little.

    Args:
        errors: One array an origin, each from step 1 on, of any length up to `steps`.
        steps: Steps to answer for.
    """
    step = np.concatenate([np.arange(1, len(error) + 1) for error in errors]).astype(float)
    squares = np.concatenate(errors) ** 2
    centred = step - step.mean()
    slope = max(0.0, float(centred @ squares / max(float(centred @ centred), 1.0)))
    first = float(squares.mean() - slope * step.mean())
    if first < 0:  # through the origin
        first, slope = 0.0, float(step @ squares / (step @ step))
    return np.sqrt(first + slope * np.arange(1, steps + 1))


def demand_bands(values: ndarray, level: float, steps: int, levels: tuple[float, ...]) -> Banded:
    """Return the same mean for every step, and quantiles of a demand that comes by chance and is as
    large as one of the past.

    Sizes are drawn from the demands above zero, the chance of one is such that the mean is the
    forecast; where that takes a chance above 1, sizes are stretched. Willemain, Smart and Schwarz
    (2004), "A new approach to forecasting intermittent demand for service parts inventories",
    bootstrap the same two parts.

    Args:
        values: The history, shape (n,), not negative.
        level: The forecast of the mean.
        steps: Steps to answer for.
        levels: Quantile levels.
    """
    sizes = values[values > 0]
    chance, stretch = min(1.0, level / sizes.mean()), max(1.0, level / sizes.mean())
    # the level among sizes; below 0 there is no demand
    inside = 1.0 - (1.0 - np.array(levels)) / max(chance, 1e-12)
    size = np.quantile(sizes, np.clip(inside, 0, 1), method="inverted_cdf") * stretch
    quantiles = np.where(inside > 0, size, 0.0)
    return np.full(steps, level), np.tile(quantiles, (steps, 1))


# Statistical models of one series at a time: what they share, and the counted fallback to the
# seasonal naive.

WILD_MULTIPLE = 10.0
"""A forecast, or a quantile of the middle 80 %, beyond this many times the largest value that was
seen is no answer.
"""

WIDE_LEVEL = 0.9
"""The level from which on quantiles may lie further out, see `wild_multiple`."""


class Statistical(Forecaster):
    """A model fitted to each series alone, when it forecasts, and answered for by the seasonal
    naive where it cannot be.

    Form and parameters are estimated anew from every history, so that one fit serves any cutoff.
    Holes are closed by `fill_holes`. The seasonal naive answers, and the series is marked as a
    fallback, where fewer than `least` values or less than half of them are known, where all are
    equal, where a model of demand meets a negative value, where the library refuses
    (`fit_failure`), and where its answer is not finite or is wild (`WILD_MULTIPLE`,
    `wild_multiple`). Any other error fails the cell. A series that was never negative is not
    forecast below zero.

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
        """Learn nothing but the season and the levels: what is estimated, is estimated from the
        history of `predict`.
        """
        return FittedStatistical(self, self.season or context.season, context.levels)

    def suits(self, values: ndarray) -> bool:
        """Return whether the model can be fitted to the known values of a series.

        Shape (known,).
        """
        if len(values) < self.least or (values == values[0]).all():
            return False
        return not self.of_demand or bool(values.min() >= 0)

    def unsuited(self, values: ndarray) -> str:
        """Return why the model cannot be fitted to the known values of a series; empty where it
        can.
        """
        if self.suits(values):
            return ""
        if len(values) < self.least:
            return f"fewer than {self.least} values"
        if (values == values[0]).all():
            return "all values equal"
        return "values that the model is not for"

    def forecast(
        self, values: ndarray, season: int, steps: int, levels: tuple[float, ...]
    ) -> Banded:
        """Return the mean, shape (steps,), and the quantiles, shape (steps, levels), after a series
        without holes.
        """
        raise NotImplementedError(f"{type(self).__name__}.forecast")


@dataclass(frozen=True)
class FittedStatistical(Serializable):
    """A statistical model, the season and the quantile levels."""

    model: Statistical
    season: int
    levels: tuple[float, ...]

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Fit and forecast each series of the history.

        What cannot be is the seasonal naive's, and marked.
        """
        steps = int(future.lengths[0])
        simple = FittedSeasonalNaive(self.season, self.levels).predict(history, future)
        mean, quantiles = simple.mean.copy(), simple.quantiles.copy()
        why = np.full(len(mean), "", object)
        for i in range(len(mean)):
            forecast = self._forecast_series(history.series(i)[-self.model.longest :], steps)
            if isinstance(forecast, str):
                why[i] = forecast
            else:
                mean[i], quantiles[i] = forecast
        return Forecasts.of(mean, quantiles, why != "", why)

    def _forecast_series(self, values: ndarray, steps: int) -> Banded | str:
        """Return the forecast, or why there is none.

        What is no failure of the model is raised: no number comes from a machine that fails.
        """
        there = np.flatnonzero(~np.isnan(values))
        known = values[there]
        if 2 * len(there) < len(values):
            return "less than half known"
        if why := self.model.unsuited(known):
            return why
        span = values[there[0] : there[-1] + 1]
        gone = len(values) - 1 - there[-1]  # a hole at the end is forecast, too
        scale = power_of_two(known)
        try:
            # candidates that overflow are dropped by the library; what it answers is checked below
            with np.errstate(all="ignore"):
                whole = fill_holes(span, self.season) / scale
                forecast = self.model.forecast(whole, self.season, steps + gone, self.levels)
        except Exception as error:  # some libraries raise nothing else
            if kind := fit_failure(error):
                return kind
            raise
        both = np.column_stack(forecast)[gone:] * scale
        wild = np.array([WILD_MULTIPLE, *map(wild_multiple, self.levels)]) * np.abs(known).max()
        if not (np.abs(both) <= wild).all():
            return "a wild forecast" if np.isfinite(both).all() else "no finite forecast"
        both = np.maximum(both, 0.0) if known.min() >= 0 else both
        return both[:, 0], both[:, 1:]


@cache
def wild_multiple(level: float) -> float:
    """Return how many times the largest value that was seen a quantile is wild beyond.

    A log-normal law round that value, whose middle 80 % just reach `WILD_MULTIPLE`, has its
    quantile of the level there: what is an answer at usual levels does not become wild because
    levels further out are asked.
    """
    normal = NormalDist()
    return float(WILD_MULTIPLE ** max(1.0, abs(normal.inv_cdf(level)) / normal.inv_cdf(WIDE_LEVEL)))


def fill_holes(values: ndarray, season: int) -> ndarray:
    """Return a series that begins and ends with a known value, its holes closed.

    A hole takes the value of the same season a year before (itself closed, if need be); in the
    first year, and where there is no season, it lies on the line between its neighbours.
    """
    holes = np.flatnonzero(np.isnan(values))
    if not len(holes):
        return values
    known = np.flatnonzero(~np.isnan(values))
    whole = np.interp(np.arange(len(values)), known, values[known])
    for hole in holes[(holes >= season) & (season > 1)]:
        whole[hole] = whole[hole - season]
    return whole


def power_of_two(values: ndarray) -> float:
    """Return a power of two that brings very large or small values near 1, else 1: division by it
    loses no bit.

    The libraries' optimisers have absolute bounds and tolerances (theta's first level lies within
    1e10).
    """
    exponent = int(np.frexp(np.abs(values).max())[1])
    return 1.0 if -10 <= exponent <= 30 else float(2.0 ** (exponent - 10))


class DemandLevel(Statistical):
    """A model of intermittent demand with one level for every step, by statsforecast."""

    least = 3
    of_demand = True

    def library(self) -> Any:
        """Return statsforecast's model."""
        raise NotImplementedError(f"{type(self).__name__}.library")

    def forecast(
        self, values: ndarray, season: int, steps: int, levels: tuple[float, ...]
    ) -> Banded:
        """Find the level, which holds for every step."""
        level = float(self.library().forecast(y=values, h=1)["mean"][0])
        return demand_bands(values, level, steps, levels)


# The season of one series: classical decomposition, its factors shrunk by how sure they are;
# and whether one is there.

LEAST_RATIO = 0.01
"""A factor below this would make a series of what it divides: factors are added then."""


@dataclass(frozen=True, slots=True)
class Season:
    """The season of a series.

    Attributes:
        factors: The factor (or addition) of each place in the season, shape (season,); they average
            1 (or 0).
        additive: Whether they are added.
    """

    factors: ndarray
    additive: bool

    def out_of(self, values: ndarray) -> ndarray:
        """Return a series without its season, shape (n,), which begins at the first place."""
        factors = self._at(0, len(values))
        return values - factors if self.additive else values / factors

    def into(self, values: ndarray, first: int) -> ndarray:
        """Return rows with the season put back, the first of which stands `first` rows after the
        beginning.
        """
        factors = self._at(first, len(values))
        return values + factors if self.additive else values * factors

    def _at(self, first: int, rows: int) -> ndarray:
        return self.factors[(first + np.arange(rows)) % len(self.factors)]


def season_of(
    values: ndarray,
    season: int,
    *,
    additive: bool = False,
    whole: bool = False,
    caution: float = 1.0,
) -> Season | None:
    """Return the season of a series without holes, shrunk towards none.

    None where two whole seasons and a bit are not there.

    Classical decomposition: each value against the centred moving average over a season, then means
    by place. A factor's distance from none is multiplied by 1 - v / ((v - 2) F), or 0 where that is
    negative (James and Stein; Miller and Williams 2003, "Shrinkage estimators of time series
    seasonal factors and their effect on forecasting accuracy"), F being the variance between places
    against that within, of v degrees of freedom: v / ((v - 2) F) is 1 on average where there is no
    season. No test has to decide, and what is kept of a season that is none is little. `caution`
    multiplies v / ((v - 2) F).

    Args:
        values: The series, shape (n,).
        season: Rows in a season.
        additive: Whether factors are added; they are where a value is not positive, or a whole
            factor would be below .01.
        whole: Whether factors are kept as they are.
        caution: 1, or more where a season is rather overlooked than made of chance.
    """
    if season < 2 or len(values) < 2 * season:
        return None
    additive = additive or bool((values <= 0).any())
    trend = _moving_average(values, season)
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = values - trend if additive else np.log(values / trend)
    known = np.isfinite(apart)
    place = np.arange(len(values)) % season
    count = np.bincount(place[known], minlength=season)
    free = int(known.sum()) - season
    if count.min() < 1 or free <= 2:
        return None
    means = np.bincount(place[known], apart[known], season) / count
    within = float(((apart - means[place])[known] ** 2).sum()) / free
    between = float((count * (means - apart[known].mean()) ** 2).sum()) / (season - 1)
    kept = max(0.0, 1.0 - caution * free / (free - 2) * within / between) if between > 0 else 0.0
    kept = 1.0 if whole else kept
    if additive:
        return Season(kept * (means - means.mean()), additive=True)
    ratios = np.bincount(place[known], np.exp(apart[known]), season) / count
    factors = 1.0 + kept * (ratios / ratios.mean() - 1.0)
    if whole and factors.min() < LEAST_RATIO:
        return season_of(values, season, additive=True, whole=whole)
    return Season(factors, additive=False)


def _moving_average(values: ndarray, season: int) -> ndarray:
    """Return the centred moving average over a season, NaN at both ends."""
    kernel = np.ones(season) if season % 2 else np.r_[0.5, np.ones(season - 1), 0.5]
    half = len(kernel) // 2
    trend = np.full(len(values), np.nan)
    trend[half : len(values) - half] = np.convolve(values, kernel / season, mode="valid")
    return trend


def is_significant(values: ndarray, season: int) -> bool:
    """Return whether the autocorrelation a season apart is, at 90 %, beyond what those of fewer
    rows make likely.

    The test of the M4 competition's benchmarks, which statsforecast's AutoTheta applies; False for
    seasons under four rows, and where two whole ones are not there.

    Args:
        values: The series, shape (n,).
        season: Rows in a season.
    """
    if season < 4 or len(values) < 2 * season:
        return False
    apart = values - values.mean()
    products = [apart[lag:] @ apart[: len(apart) - lag] for lag in range(1, season + 1)]
    correlations = np.array(products) / (apart @ apart)
    variance = (1 + 2 * (correlations[:-1] ** 2).sum()) / len(values)
    limit = NormalDist().inv_cdf(0.95) * np.sqrt(variance)
    return bool(abs(correlations[-1]) > limit)


# Seasonless: a statistical model of the series without its season, which is taken out before it
# and put back after.


class Seasonless(Statistical):
    """A model that forecasts each series without its season.

    The season is taken out by classical decomposition, its factors shrunk by how sure they are
    (`statistical.seasons`); a test, as in statsforecast's AutoTheta, takes it out whole where its
    autocorrelation is significant, and overlooks a smooth one. Quantiles are normal, as wide as the
    model's errors from origins inside the history; its own (`origins=0`) are narrower. Seasonal
    naive as a counted fallback.

    Attributes:
        seasons: Which seasons are taken out: `shrunken` ones, or those that are significant, whole
            (`tested`); for a series that falls to 0 and not below, always `tested`.
        decomposition: The kind of season that is taken out; `additive` also where a series is not
            positive.
        logs: Whether a series without zeros is forecast in logarithms. Its trend is then a growth
            rate, its season a factor, its own quantiles (`origins=0`) are skewed, and its mean is
            the median.
        origins: Origins inside the history whose errors make the intervals (normal ones); 0 takes
            the model's own.
    """

    seasons: Literal["shrunken", "tested"] = "shrunken"
    decomposition: Literal["multiplicative", "additive"] = "multiplicative"
    logs: bool = False
    origins: ZeroFolds = 12

    def plain(self, values: ndarray, season: int, steps: int) -> tuple[ndarray, ndarray]:
        """Return the forecast of a series without a season and the variances of its errors, both
        (steps,).

        Args:
            values: The series, shape (n,).
            season: Rows in the season that was taken out.
            steps: Steps to answer for.
        """
        raise NotImplementedError(f"{type(self).__name__}.plain")

    def forecast(
        self, values: ndarray, season: int, steps: int, levels: tuple[float, ...]
    ) -> Banded:
        """Take out the season, fit, forecast, put the season back."""
        # months without demand: a season of these is mostly chance
        tested = self.seasons == "tested" or values.min() == 0
        logs = self.logs and bool(values.min() > 0)

        def point(past: ndarray, ahead: int) -> ndarray:
            mean, _, back = self._forecast_without_season(past, season, ahead, tested, logs)
            return back(mean)

        if self.origins:
            return backtest_bands(point, values, steps, levels, self.origins, self.least)
        mean, variance, back = self._forecast_without_season(values, season, steps, tested, logs)
        normal = np.column_stack(normal_quantiles(mean, np.sqrt(variance), levels))
        both = np.column_stack([back(column) for column in normal.T])
        return both[:, 0], both[:, 1:]

    def _forecast_without_season(
        self, values: ndarray, season: int, steps: int, tested: bool, logs: bool
    ) -> tuple[ndarray, ndarray, Callable[[ndarray], ndarray]]:
        """Return the forecast of what is left without season and units, its variances, both
        (steps,), and the way back.
        """
        unit = float(values.mean()) if logs else 1.0
        seen = np.log(values / unit) if logs else values
        additive = self.decomposition == "additive" or logs
        apart = None
        if not tested or is_significant(seen, season):
            apart = season_of(seen, season, additive=additive, whole=tested)

        def back(rows: ndarray) -> ndarray:
            whole = rows if apart is None else apart.into(rows, len(values))
            return unit * np.exp(whole) if logs else whole

        return *self.plain(seen if apart is None else apart.out_of(seen), season, steps), back
