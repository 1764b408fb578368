"""Forecaster: the recipe of a forecasting model, what it is given and what it fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
from numpy import ndarray
from polars import DataFrame, Series

from hwds.core.errors import ConfigError, DataError
from hwds.core.files import Displayed
from hwds.core.recipe import Recipe
from hwds.core.serialization import save_fitted
from hwds.evaluation.panel_folds import Align, FromEnd, future_of, panel_known_at, series_at
from hwds.evaluation.protocol import RunContext
from hwds.frames.features.base import FeatureSet, Plan
from hwds.frames.features.none import None_
from hwds.frames.panel import Forecasts, Panel
from hwds.frames.roles import SERIES, TIME, Roles
from hwds.frames.table import check_frame

# ForecastContext: what a forecaster knows besides its history.


class Features(Protocol):
    """A feature set as a forecaster sees it."""

    def columns(self, roles: Roles, horizon: int) -> Plan:
        """Return the features it computes for a panel with these roles, or a refusal."""

    def compute(self, panel: Panel) -> Panel:
        """Return the panel with the columns of the plan added.

        Rows after the history have a null target.
        """


class Backtests(Protocol):
    """The inner backtests of a run: what models ask of each other, computed once for all who
    ask.
    """

    def inner(
        self,
        model: Any,
        history: Panel,
        windows: int,
        *,
        horizon: int,
        context: ForecastContext,
        refit: bool,
    ) -> DataFrame:
        """Return the rows of `ForecastContext.inner`."""

    def fitted(self, model: Any, history: Panel, *, horizon: int, context: ForecastContext) -> Any:
        """Return the model of `ForecastContext.fitted`."""


@dataclass(frozen=True, slots=True)
class ForecastContext(RunContext):
    """The settings that a forecaster is given with the data.

    Attributes:
        levels: The quantile levels to forecast, rising.
        season: Rows in a season.
        align: Whether cutoffs are instants of a calendar that the series share, or counted back
            from each one's own end.
        known_until: The instant of the cutoff, where series share a calendar; None takes the last
            one of the history.
        sliding: Rows of history that a fit sees at most; None for all.
        backtests: The backtests behind `inner` and `fitted`; None outside of a run.

    Example:
        ForecastContext(seed=0, levels=(0.1, 0.5, 0.9), season=12)
    """

    levels: tuple[float, ...] = ()
    season: int = 1
    align: Align = "end"
    known_until: Any = None
    sliding: int | None = None
    backtests: Backtests | None = None

    def inner(
        self, model: Any, history: Panel, windows: int, *, horizon: int, refit: bool = True
    ) -> DataFrame:
        """Forecast the last windows of the history, each of `horizon` rows.

        Stacks, selection and conformal intervals ask here, so that a member is fitted once for all
        who ask. The rows are those of a protocol: `series_id, cutoff, time, step, actual, mean` and
        quantiles, with `window`, -1 for the last one, -2 for that before; a series too short for a
        window has none.

        Args:
            model: A forecaster.
            history: The history that the asking model was given to learn from.
            windows: How many.
            horizon: Rows of each window.
            refit: Whether it is fitted anew before each window; else once, before the first of them
                (a model that fits each series alone is fitted anew all the same), and windows that
                leave a series with its own end less than half of its rows are left out.

        Raises:
            RuntimeError: There is no run to answer.
        """
        if self.backtests is None:
            raise RuntimeError("ForecastContext.inner: only a run answers; this context has none.")
        return self.backtests.inner(
            model, history, windows, horizon=horizon, context=self, refit=refit
        )

    def fitted(self, model: Any, history: Panel, *, horizon: int) -> Any:
        """Fit another model on the history.

        In a run its forecasts are computed once for all who ask.

        Its attribute `own` is the fitted model itself, where it is to be saved; without a run it is
        fitted at once.
        """
        if self.backtests is None:
            return model.learn(history, horizon=horizon, context=self)
        return self.backtests.fitted(model, history, horizon=horizon, context=self)


# Normal intervals round a point forecast.


def normal_bands(mean: ndarray, spread: ndarray, levels: tuple[float, ...]) -> Forecasts:
    """Return forecasts whose quantiles are normal round the mean.

    Args:
        mean: Shape (n, h).
        spread: Standard deviations, shape (n, h), in the target's unit.
        levels: Quantile levels, rising.
    """
    scores = np.array([NormalDist().inv_cdf(level) for level in levels])
    return Forecasts.of(mean, mean[..., None] + spread[..., None] * scores)


# A forecaster that was fitted in Python, with the history that it was fitted on.


@dataclass(frozen=True, eq=False)
class ForecastModel(Displayed):
    """The result of `Forecaster.fit`.

    Attributes:
        model: The recipe.
        fitted: The fitted model.
        panel: The history.
        horizon: Steps that it was fitted for.
        levels: The quantile levels that it forecasts.
    """

    model: Recipe
    fitted: Any
    panel: Panel
    horizon: int
    levels: tuple[float, ...]

    def __repr__(self) -> str:
        name = self.model.name or type(self.model).__name__
        return (
            f"ForecastModel({name}, horizon={self.horizon}, levels={self.levels}, "
            f"panel={self.panel!r})"
        )

    def predict(self, panel: Panel | None = None) -> DataFrame:
        """Forecast the rows after the history.

        Args:
            panel: A longer or another history of the same columns; the one that the model was
                fitted on where it is not given.

        Returns:
            `series_id, time, step, mean` and a column a quantile level (`q_0.1`), `horizon` rows a
            series.

        Raises:
            DataError: A column that is known ahead has no value in the rows to forecast
                (`Panel.of(..., plan=...)`).
        """
        panel = panel or self.panel
        cutoff = FromEnd(0)
        future = future_of(panel, series_at(panel, cutoff), cutoff.ends(panel), self.horizon)
        for name in panel.planned:
            if future.table[name].null_count():
                raise DataError(
                    f"predict: '{name}' must be known for the rows to forecast: Panel.of(..., "
                    f"plan=...) has them."
                )
        forecasts = self.fitted.predict(panel_known_at(panel, cutoff), future)
        columns = {
            "step": np.tile(np.arange(1, self.horizon + 1, dtype=np.int32), panel.n_series),
            "mean": forecasts.mean.ravel(),
            **{
                f"q_{level:g}": forecasts.quantiles[..., i].ravel()
                for i, level in enumerate(self.levels)
            },
        }
        return future.table.select(SERIES, TIME).with_columns(
            Series(name, values, nan_to_null=True) for name, values in columns.items()
        )

    def save(self, folder: Path | str) -> None:
        """Write what the model learned, without pickle; `hwds.load_fitted(folder)` reads it."""
        save_fitted(self.fitted, Path(folder))


# Forecaster: the recipe of a forecasting model, and what it fits.


class FittedForecaster(Protocol):
    """The result of `learn`: a new object, which can be saved and can forecast from many
    cutoffs.
    """

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Forecast the rows of `future` (the same series as `history`, h rows each, null
        target).
        """

    def save(self, folder: Path) -> None:
        """Write it without pickle."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return what `save` wrote, with the same predictions in a fresh process."""


@runtime_checkable
class SamplingForecaster(FittedForecaster, Protocol):
    """A fitted model that can draw whole paths too, and so knows the law of sums over steps."""

    def sample(
        self, history: Panel, future: Panel, n: int, streams: Sequence[np.random.Generator]
    ) -> ndarray:
        """Draw n paths of each series, shape (series, n, h): each step alone has the law that
        `predict` tells.

        Args:
            history: As for `predict`.
            future: As for `predict`.
            n: Paths of each series.
            streams: The random numbers of each series, its own whatever other series are forecast
                with it.
        """


@runtime_checkable
class WalkingForecaster(FittedForecaster, Protocol):
    """A fitted model that can forecast from many cutoffs in one pass too: a protocol whose fit
    serves several asks it once.
    """

    def predict_at(self, panel: Panel, ends: ndarray, horizon: int) -> list[Forecasts]:
        """Return what `predict` gives at each of many cutoffs, to the last bit.

        Of the rows after one, only the plan may count.

        Args:
            panel: The rows known at each series' last cutoff, then those of its horizon, as
                `future` of `predict` has them.
            ends: The number of rows known at each cutoff, 0 where a series is not forecast at it;
                shape (n_series, cutoffs).
            horizon: Steps.

        Returns:
            One for each cutoff, of the series that are forecast at it, in order.
        """


@runtime_checkable
class LaunchingForecaster(FittedForecaster, Protocol):
    """A fitted model that can forecast series without a row of their own too; its recipe says
    `launches`.
    """

    def launch(self, history: Panel, future: Panel) -> Forecasts:
        """Forecast the first rows of series that are about to be launched.

        Args:
            history: All that is known of others at that instant.
            future: Their first rows, h each, null target.
        """


class Forecaster(Recipe):
    """The recipe that `model=forecast/...` chooses.

    Class attributes say how it may be worked on: `local` (each series is fitted alone, so that a
    fold may be cut into blocks of series), `uses_features` (it reads `context.features`),
    `launches` (what it fits is a `LaunchingForecaster`) and `true_law` (its quantiles are a
    simulator's own, and are not calibrated).
    """

    true_law: ClassVar[bool] = False
    local: ClassVar[bool] = False
    launches: ClassVar[bool] = False
    uses_features: ClassVar[bool] = False

    def learn(self, history: Panel, *, horizon: int, context: ForecastContext) -> FittedForecaster:
        """Return a new fitted model; the recipe is not changed.

        Args:
            history: All that may be known: rows up to the cutoff.
            horizon: The number of steps that will be forecast.
            context: Streams, quantile levels, season, features, threads.
        """
        raise NotImplementedError(f"{type(self).__name__}.learn")

    def fit(
        self,
        panel: Panel,
        *,
        horizon: int | None = None,
        levels: Sequence[float] = (0.1, 0.5, 0.9),
        features: FeatureSet | None = None,
        seed: int = 0,
        cpus: int = 1,
    ) -> ForecastModel:
        """Fit the model on all rows of a panel, in Python and without a run.

        Args:
            panel: The history.
            horizon: The steps that it will forecast; the panel's own where it is not given.
            levels: Quantile levels, rising, with 0.5 among them.
            features: Computed columns, for models that use some.
            seed: Names every random stream.
            cpus: Threads that the model may use.

        Returns:
            A model whose `predict()` forecasts the rows after the history.

        Raises:
            ConfigError: The frame is no panel, or the horizon no whole number from 1.

        Example:
            >>> hwds.forecast.SeasonalNaive().fit(panel, horizon=12).predict()  # doctest: +SKIP
        """
        check_frame("fit", panel, Panel, self)
        whole = isinstance(horizon, int | np.integer) and not isinstance(horizon, bool)
        if horizon is not None and not (whole and horizon >= 1):
            raise ConfigError(f"fit: horizon must be a whole number, 1 or more, got {horizon!r}.")
        steps, quantiles = int(horizon or panel.horizon), tuple(levels)
        context = ForecastContext(
            seed, cpus=cpus, features=features or None_(), levels=quantiles, season=panel.season
        )
        return ForecastModel(
            self, self.learn(panel, horizon=steps, context=context), panel, steps, quantiles
        )

    def backtest(
        self, history: Panel, windows: int, *, horizon: int, context: ForecastContext
    ) -> DataFrame:
        """Return the forecasts of this recipe on the last windows of the history, on which its
        intervals are calibrated.

        Args:
            history: All that may be known.
            windows: How many.
            horizon: Rows of each.
            context: Of a run.

        Returns:
            The rows of `ForecastContext.inner`.
        """
        return context.inner(self, history, windows, horizon=horizon, refit=False)
