"""Forecaster: the recipe of a forecasting model, and what it fits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Protocol, Self, runtime_checkable

import numpy as np
import polars as pl

from hwds.core.errors import ConfigError
from hwds.core.recipe import Recipe
from hwds.features.base import FeatureSet
from hwds.features.none import None_
from hwds.forecast.context import ForecastContext
from hwds.forecast.fitted import ForecastModel
from hwds.frames.base import check_frame
from hwds.frames.forecasts import Forecasts
from hwds.frames.panel import Panel


class FittedForecaster(Protocol):
    """The result of `learn`: a new object, which can be saved and can forecast from many cutoffs."""

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Forecast the rows of `future` (the same series as `history`, h rows each, null target)."""

    def save(self, folder: Path) -> None:
        """Write it without pickle."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return what `save` wrote, with the same predictions in a fresh process."""


@runtime_checkable
class SamplingForecaster(FittedForecaster, Protocol):
    """A fitted model that can draw whole paths too, and so knows the law of sums over steps."""

    def sample(self, history: Panel, future: Panel, n: int, streams: Sequence[np.random.Generator]) -> np.ndarray:
        """Draw n paths of each series, shape (series, n, h): each step alone has the law that `predict` tells.

        Args:
            history: As for `predict`.
            future: As for `predict`.
            n: Paths of each series.
            streams: The random numbers of each series, its own whatever other series are forecast with it.
        """


@runtime_checkable
class WalkingForecaster(FittedForecaster, Protocol):
    """A fitted model that can forecast from many cutoffs in one pass too: a protocol whose fit serves several asks it once."""

    def predict_at(self, panel: Panel, ends: np.ndarray, horizon: int) -> list[Forecasts]:
        """Return what `predict` gives at each of many cutoffs, to the last bit; of the rows after one, only the plan may count.

        Args:
            panel: The rows known at each series' last cutoff, then those of its horizon, as `future` of `predict` has them.
            ends: How many rows are known at each cutoff, 0 where a series is not forecast at it; shape (n_series, cutoffs).
            horizon: Steps.

        Returns:
            One for each cutoff, of the series that are forecast at it, in order.
        """


@runtime_checkable
class LaunchingForecaster(FittedForecaster, Protocol):
    """A fitted model that can forecast series without a row of their own too; its recipe says `launches`."""

    def launch(self, history: Panel, future: Panel) -> Forecasts:
        """Forecast the first rows of series that are about to be launched.

        Args:
            history: All that is known of others at that instant.
            future: Their first rows, h each, null target.
        """


class Forecaster(Recipe):
    """The recipe that `model=forecast/...` chooses.

    Class attributes say how it may be worked on: `local` (each series is fitted alone, so that a fold may be cut into
    blocks of series), `uses_features` (it reads `context.features`), `launches` (what it fits is a `LaunchingForecaster`) and
    `true_law` (its quantiles are a simulator's own, and are not calibrated).
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
        context = ForecastContext(seed, cpus=cpus, features=features or None_(), levels=quantiles, season=panel.season)
        return ForecastModel(self, self.learn(panel, horizon=steps, context=context), panel, steps, quantiles)

    def backtest(self, history: Panel, windows: int, *, horizon: int, context: ForecastContext) -> pl.DataFrame:
        """Return the forecasts of this recipe on the last windows of the history, on which its intervals are calibrated.

        Args:
            history: All that may be known.
            windows: How many.
            horizon: Rows of each.
            context: Of a run.

        Returns:
            The rows of `ForecastContext.inner`.
        """
        return context.inner(self, history, windows, horizon=horizon, refit=False)
