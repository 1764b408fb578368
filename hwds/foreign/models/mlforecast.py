"""Regressors with lags by mlforecast."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from typing import Annotated, Any

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series

from hwds.core.cache import is_of_system
from hwds.core.errors import ConfigError
from hwds.core.recipe import Rising, Steps, ZeroSteps
from hwds.core.serialization import Serializable
from hwds.evaluation.panel_folds import future_of, rows_after
from hwds.forecast.covariates import is_number
from hwds.forecast.models.base import ForecastContext, Forecaster, normal_bands
from hwds.forecast.models.seasonal_naive import FittedSeasonalNaive, seasonal_spread
from hwds.forecast.predictions import nonnegative_series
from hwds.forecast.statistical import fill_holes, spread_by_step
from hwds.foreign.models.statsforecast import Settings, accepted, library_class
from hwds.frames.panel import Forecasts, Panel


def installed_class(path: str) -> type[Any]:
    """Return the class `module:Name` of an installed library.

    A class of the user's own is refused: its code would be in no cache key.

    Raises:
        ConfigError: There is no such class, or it belongs to no installed library.
    """
    name, _, called = path.partition(":")
    try:
        module = import_module(name)
    except ImportError as error:
        raise ConfigError(f"model.estimator: '{path}' cannot be imported: {error}.") from error
    if not is_of_system(str(getattr(module, "__file__", ""))):
        raise ConfigError(f"model.estimator: '{path}' belongs to no installed library.")
    return library_class(module, called)


class MLForecast(Forecaster):
    """A regressor with lags by mlforecast, fitted to all series at once: scikit-learn, LightGBM ...

    Known-future columns of numbers and static columns are inputs. The regressor forecasts the next
    row and is fed its own forecasts. Quantiles are normal, as wide as its errors on the last
    horizon of the history, each in the unit of its series' seasonal spread. Seasonal naive as a
    counted fallback of a series that is no longer than the longest lag.

    Attributes:
        estimator: The class of a regressor, `module:Class`.
        settings: Its parameters, by its own names; the run's seed is given as `random_state`.
        lags: Rows back whose values are inputs; none takes 1 to 12 and the season.
        differences: Rows back that are subtracted before the fit, one after the other.
        standardize: Whether each series is scaled to mean 0 and variance 1.
        season: Rows in a season; 0 takes the dataset's.
    """

    imports = ("mlforecast",)

    estimator: str = "sklearn.ensemble:HistGradientBoostingRegressor"
    settings: Settings = field(default_factory=dict)
    lags: Annotated[tuple[Steps, ...], Rising] = ()
    differences: tuple[Steps, ...] = ()
    standardize: bool = True
    season: ZeroSteps = 0

    def needed_imports(self) -> dict[str, tuple[str, ...]]:
        """Return mlforecast and the package of the regressor."""
        return {"recipe": self.imports, "estimator": (self.estimator.split(":")[0].split(".")[0],)}

    def learn(self, history: Panel, *, horizon: int, context: ForecastContext) -> FittedMLForecast:
        """Learn the spread from the last horizon of the history, then fit on all rows."""
        season = self.season or context.season
        inputs = Inputs.of(history, self, season)
        fitted = FittedMLForecast(
            self, inputs, inputs.rows(history), np.ones(horizon), context.levels, context.seed
        )
        errors = fitted.errors(history, horizon)
        return replace(fitted, spread=spread_by_step(errors, horizon)) if errors else fitted


STATIC = "static_"


@dataclass(frozen=True)
class Inputs(Serializable):
    """What a regressor reads of a panel.

    Attributes:
        lags: Rows back.
        least: Rows that a series must have more than.
        season: Rows in a season.
        known: Known-future columns of numbers.
        codes: The values of each static column at the fit; a value is its place, -1 a new one.
    """

    lags: tuple[int, ...]
    least: int
    season: int
    known: tuple[str, ...]
    codes: dict[str, tuple[str, ...]]

    @classmethod
    def of(cls, history: Panel, model: MLForecast, season: int) -> Inputs:
        """Return the inputs of a model on a history."""
        lags = model.lags or tuple(sorted({*range(1, 13), season}))
        known = tuple(name for name in history.roles.known_future if is_number(history, name))
        texts = history.table.select(pl.col(history.roles.static).cast(pl.String))
        codes = {each.name: tuple(each.drop_nulls().unique().sort()) for each in texts}
        return cls(lags, max(lags) + sum(model.differences), season, known, codes)

    def read(self, history: Panel) -> ndarray:
        """Return which series are long enough, shape (n_series,)."""
        known = np.add.reduceat(~np.isnan(history.target), history.offsets[:-1])
        return (history.lengths > self.least) & (known > 0)

    def rows(self, history: Panel) -> DataFrame:
        """Return the rows of these series as the library has them: `unique_id, ds, y` and inputs.

        A hole takes the value a season before; one at an end takes the nearest value.
        """
        read = self.read(history)
        values = [self._whole(history.series(i)) for i in np.flatnonzero(read).tolist()]
        table = self._columns(history, np.zeros(history.n_series, int)).filter(
            Series(read.repeat(history.lengths))
        )
        return table.with_columns(y=np.concatenate(values) if values else np.zeros(0))

    def ahead(self, history: Panel, future: Panel) -> DataFrame | None:
        """Return the known-future inputs of the rows to forecast; None where there are none."""
        if not self.known:
            return None
        read = self.read(history).repeat(future.lengths)
        columns = self._columns(future, history.lengths).filter(Series(read))
        return columns.select("unique_id", "ds", *self.known)

    def _whole(self, values: ndarray) -> ndarray:
        there = np.flatnonzero(~np.isnan(values))
        first, last = there[0], there[-1]
        span = fill_holes(values[first : last + 1], self.season)
        return np.pad(span, (first, len(values) - 1 - last), mode="edge")

    def _columns(self, panel: Panel, before: ndarray) -> DataFrame:
        table = panel.table
        statics = {
            STATIC + name: table[name]
            .cast(pl.String)
            .replace_strict(values, range(len(values)), default=-1, return_dtype=pl.Int32)
            for name, values in self.codes.items()
        }
        return DataFrame(
            {
                "unique_id": panel.series_of_row,
                "ds": panel.positions + before.repeat(panel.lengths),
                **{name: panel.values(name) for name in self.known},
                **statics,
            }
        )


@dataclass(frozen=True, eq=False)
class FittedMLForecast(Serializable):
    """A regressor as the rows that it is fitted on.

    No code is stored: a model that is loaded is fitted again, to the same bits.

    Attributes:
        model: The recipe.
        inputs: What it reads.
        rows: The history, as `Inputs.rows` lays it out.
        spread: Standard deviations by step, in the unit of a series' spread, shape (horizon,).
        levels: The quantile levels.
        seed: Of the regressor's own random numbers.
    """

    model: MLForecast
    inputs: Inputs
    rows: DataFrame
    spread: ndarray
    levels: tuple[float, ...]
    seed: int

    @cached_property
    def library(self) -> Any:
        """The library's fitted object."""
        from mlforecast import MLForecast as Library
        from mlforecast.target_transforms import Differences, LocalStandardScaler

        made = installed_class(self.model.estimator)
        given = accepted(made, {"random_state": self.seed % 2**31}) | dict(self.model.settings)
        transforms: list[Any] = (
            [Differences(list(self.model.differences))] if self.model.differences else []
        )
        if self.model.standardize:
            transforms.append(LocalStandardScaler())
        library = Library(
            {"mean": made(**given)}, 1, lags=[*self.inputs.lags], target_transforms=transforms
        )
        return library.fit(self.rows, static_features=self._statics)

    @property
    def _statics(self) -> list[str]:
        return [STATIC + name for name in self.inputs.codes]

    def means(self, history: Panel, future: Panel) -> ndarray:
        """Return the forecasts of the series that are read, shape (read, steps)."""
        steps = int(future.lengths[0])
        made = self.library.predict(
            steps, new_df=self.inputs.rows(history), X_df=self.inputs.ahead(history, future)
        )
        return made.sort("unique_id", "ds")["mean"].to_numpy().reshape(-1, steps)

    def errors(self, history: Panel, horizon: int) -> list[ndarray]:
        """Return the errors of each series on the last rows, in the unit of its spread, of a fit
        on those before.
        """
        ends = np.maximum(history.lengths - horizon, 0)
        series = np.flatnonzero(ends)
        earlier = history.until(ends)
        if not len(series) or not (read := self.inputs.read(earlier)).any():
            return []
        future = future_of(history, series, ends, horizon)
        means = replace(self, rows=self.inputs.rows(earlier)).means(earlier, future)
        where, _ = rows_after(history, series[read], ends, horizon)
        errors = history.target[where] - means
        errors /= seasonal_spread(earlier, self.inputs.season)[read, None]
        return [row for row in errors if np.isfinite(row).all()]

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Forecast by the regressor; what it cannot read is the seasonal naive's, and marked."""
        simple = FittedSeasonalNaive(self.inputs.season, self.levels).predict(history, future)
        read = self.inputs.read(history) if len(self.rows) else np.zeros(history.n_series, bool)
        mean, quantiles = simple.mean.copy(), simple.quantiles.copy()
        if read.any():
            scale = seasonal_spread(history, self.inputs.season)[read, None]
            mean[read] = self.means(history, future)
            bands = normal_bands(mean[read], scale * self.spread[: mean.shape[1]], self.levels)
            quantiles[read] = bands.quantiles
        positive = nonnegative_series(history) & read
        mean[positive] = np.maximum(mean[positive], 0.0)
        quantiles[positive] = np.maximum(quantiles[positive], 0.0)
        return Forecasts.of(mean, quantiles, ~read, "no longer than the longest lag")
